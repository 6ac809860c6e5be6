"""Operations: what is done to positions and orders, once, and what is refused."""

from __future__ import annotations

import pytest

from online.domain.errors import Conflict, InvalidInput, NotFound, SextantError, Unavailable
from online.domain.operation import Cancel, Close, Modify, Operation
from online.domain.order import OrderKind, OrderReply, OrderStatus
from online.domain.order_state import Stage
from online.operate import Carried, close_all
from online.simulator import constants as mt5
from online.simulator.trade_tuples import TradeRequest
from online.trade import run_to_completion
from tests.floors import TestFloor

pytestmark = pytest.mark.lean


@pytest.fixture(params=[True, False], ids=["hedging", "netting"])
def floor(request: pytest.FixtureRequest) -> TestFloor:
    return TestFloor(hedging=request.param)


def test_close_ends_the_position_and_says_who_wanted_it_and_why(floor: TestFloor) -> None:
    floor.enter()
    reply = floor.operate("one", Close(floor.held.ticket))
    assert (reply.status, reply.volume_lots) == (OrderStatus.FILLED, 0.1)
    assert floor.terminal.positions() == ()
    (record,) = floor.operations
    assert (record.decision_id, record.by, record.note) == ("op-one", "ann", "a test")
    assert record.position is not None
    assert record.quote is not None
    order = floor.book.orders.find("op-one")
    assert order is not None
    assert order.state.stage is Stage.FILLED


def test_part_of_a_position_is_closed_and_the_rest_keeps_its_exits(floor: TestFloor) -> None:
    floor.enter()
    floor.operate("one", Close(floor.held.ticket, 0.03))
    assert (floor.held.volume_lots, floor.held.stop) == (0.07, 1.09)


def test_the_same_client_id_is_the_same_operation_and_is_sent_once(floor: TestFloor) -> None:
    floor.enter()
    operation = Close(floor.held.ticket, 0.03)
    first = floor.operate("one", operation)
    assert floor.operate("one", operation) == first
    floor.restart()
    assert floor.operate("one", operation) == first
    assert floor.broker.reached["op-one"] == 1
    assert floor.held.volume_lots == 0.07
    with pytest.raises(Conflict) as refused:
        floor.operate("one", Close(floor.held.ticket, 0.04))
    assert refused.value.code == "CLIENT_ID_USED"


def test_modify_moves_the_exits_at_the_broker(floor: TestFloor) -> None:
    floor.enter()
    assert floor.operate("one", Modify(floor.held.ticket, 1.095, 1.13)).status is OrderStatus.DONE
    assert (floor.held.stop, floor.held.target) == (1.095, 1.13)
    assert floor.operate("two", Modify(floor.held.ticket, 1.095, 0.0)).status is OrderStatus.DONE
    assert floor.held.target == 0.0


def test_resting_entry_is_taken_back(floor: TestFloor) -> None:
    placed = floor.enter(kind=OrderKind.LIMIT, price=1.095, quoted=1.095)
    assert [o.state.stage for o in floor.book.orders.resting] == [Stage.ACCEPTED]
    assert floor.operate("one", Cancel(placed.order)).status is OrderStatus.DONE
    assert floor.resolve() == 0
    assert floor.book.orders.resting == ()
    assert floor.book.orders.newest(9)[-1].state.stage is Stage.CANCELLED


def test_resting_entry_that_filled_is_followed_to_its_fill(floor: TestFloor) -> None:
    floor.enter(kind=OrderKind.LIMIT, price=1.095, quoted=1.095)
    floor.quote(1.0948, 1.095)
    floor.restart()
    assert floor.resolve() == 0
    (order,) = floor.book.orders.newest(9)
    assert order.state.stage is Stage.FILLED
    assert order.reply is not None
    assert order.reply.position == floor.held.ticket


@pytest.mark.parametrize("lost", ["loses_reply", "loses_order"])
def test_lost_close_blocks_its_position_until_evidence_and_is_not_sent_again(
    floor: TestFloor, lost: str
) -> None:
    floor.enter()
    ticket = floor.held.ticket
    setattr(floor.broker, lost, True)
    assert floor.operate("one", Close(ticket, 0.04)).status is OrderStatus.UNKNOWN
    setattr(floor.broker, lost, False)
    with pytest.raises(Conflict) as refused:
        floor.operate("two", Close(ticket))
    assert refused.value.code == "ORDER_IN_FLIGHT"
    floor.restart()
    came = lost == "loses_reply"
    assert floor.resolve() == (0 if came else 1)
    assert floor.broker.reached["op-one"] == (1 if came else 0)
    assert floor.held.volume_lots == (0.06 if came else 0.1)


def test_a_position_can_be_closed_while_the_fate_of_its_new_exits_is_unknown() -> None:
    floor = TestFloor()
    floor.enter()
    floor.broker.loses_order = True
    change = Modify(floor.held.ticket, 1.095, 1.12)
    assert floor.operate("one", change).status is OrderStatus.UNKNOWN
    floor.broker.loses_order = False
    with pytest.raises(Conflict) as refused:
        floor.operate("two", Modify(floor.held.ticket, 1.094, 1.12))
    assert refused.value.code == "ORDER_IN_FLIGHT"
    (closed,) = everything(floor)
    assert closed.reply is not None
    assert closed.reply.status is OrderStatus.FILLED
    assert floor.terminal.positions() == ()


def test_lost_modify_is_proven_by_the_exits_of_the_position(floor: TestFloor) -> None:
    floor.enter()
    floor.broker.loses_reply = True
    change = Modify(floor.held.ticket, 1.095, 1.12)
    assert floor.operate("one", change).status is OrderStatus.UNKNOWN
    assert floor.resolve() == 0
    order = floor.book.orders.find("op-one")
    assert order is not None
    assert order.state.stage is Stage.DONE


REFUSALS: list[tuple[Operation, type[SextantError], str]] = [
    (Close(99), NotFound, "UNKNOWN_POSITION"),
    (Close(1, 0.2), Conflict, "VOLUME_ABOVE_POSITION"),
    (Close(1, 0.095), InvalidInput, "INVALID_VOLUME"),
    (Close(1, float("nan")), InvalidInput, "INVALID_VOLUME"),
    (Close(1, 1e-9), InvalidInput, "INVALID_VOLUME"),
    (Modify(99, 1.09, 1.12), NotFound, "UNKNOWN_POSITION"),
    (Modify(1, 0.0, 1.12), InvalidInput, "STOP_MISSING"),
    (Modify(1, float("inf"), 1.12), InvalidInput, "STOP_MISSING"),
    (Modify(1, 1.09, -1.0), InvalidInput, "INVALID_INPUT"),
    (Modify(1, 1.11, 1.12), Conflict, "STOP_TOO_CLOSE"),
    (Modify(1, 1.09, 1.0), Conflict, "STOP_TOO_CLOSE"),
    (Modify(1, 1.09, 1.12), Conflict, "NO_CHANGE"),
    (Cancel(99), NotFound, "UNKNOWN_ORDER"),
]


@pytest.mark.parametrize(("operation", "kind", "code"), REFUSALS)
def test_what_cannot_be_done_is_refused_with_its_code_and_nothing_is_sent(
    floor: TestFloor, operation: Operation, kind: type[SextantError], code: str
) -> None:
    floor.enter()
    with pytest.raises(kind) as refused:
        floor.operate("one", operation)
    assert refused.value.code == code
    assert floor.operations == []
    assert "op-one" not in floor.broker.reached


def test_broker_that_does_not_answer_leaves_everything_as_it_is(floor: TestFloor) -> None:
    floor.enter()
    floor.broker.down = True
    with pytest.raises(Unavailable):
        floor.operate("one", Close(1))
    assert floor.operations == []


def open_by_hand(floor: TestFloor) -> None:
    """Open a position that no journal knows."""
    buy = TradeRequest(mt5.TRADE_ACTION_DEAL, 7, symbol="EURUSD", volume=0.2, type_filling=1)
    floor.terminal.execute(buy)


def everything(floor: TestFloor) -> tuple[Carried, ...]:
    return run_to_completion(close_all("flat", "", "ann", "a test", floor)).operations


def test_close_all_cancels_and_closes_what_is_ours_and_nothing_else() -> None:
    floor = TestFloor()
    floor.enter()
    floor.enter(volume_lots=0.3)
    floor.enter(kind=OrderKind.LIMIT, price=1.095, quoted=1.095)
    open_by_hand(floor)
    done = everything(floor)
    assert [type(each.operation).__name__ for each in done] == ["Cancel", "Close", "Close"]
    assert all(each.refusal is None for each in done)
    assert floor.held.magic == 7
    assert floor.terminal.server.pending.resting == {}
    assert everything(floor) == done, "the same id is the same operation"


def test_close_all_closes_the_others_where_one_is_in_flight() -> None:
    floor = TestFloor()
    floor.enter()
    floor.enter(volume_lots=0.3)
    floor.broker.loses_order = True
    floor.operate("one", Close(1))
    floor.broker.loses_order = False
    refused, closed = everything(floor)
    assert refused.refusal is not None
    assert refused.refusal.code == "ORDER_IN_FLIGHT"
    assert isinstance(closed.reply, OrderReply)
    assert floor.held.ticket == 1


def test_strangers_position_may_be_closed_by_name_and_does_not_become_ours() -> None:
    floor = TestFloor()
    open_by_hand(floor)
    stranger = floor.held
    assert floor.operate("one", Close(stranger.ticket, 0.1)).status is OrderStatus.FILLED
    assert floor.operations[0].intent.magic != stranger.magic
    assert floor.book.entry(stranger.magic) is None


def test_close_of_a_position_that_was_turned_around_is_found_by_its_order() -> None:
    floor = TestFloor(hedging=False)
    floor.enter()
    turn = TradeRequest(
        mt5.TRADE_ACTION_DEAL, 7, symbol="EURUSD", volume=0.3, type=mt5.ORDER_TYPE_SELL,
        type_filling=1,
    )  # fmt: skip
    floor.terminal.execute(turn)
    assert floor.held.ticket != floor.held.identifier
    floor.broker.loses_reply = True
    assert floor.operate("one", Close(floor.held.ticket, 0.1)).status is OrderStatus.UNKNOWN
    assert floor.resolve() == 0
    assert floor.held.volume_lots == 0.1
