"""An order that rested and vanished: a person may state its end, and only then."""

from __future__ import annotations

from typing import Any

import pytest

from online.domain.errors import Conflict, InvalidInput, Unavailable
from online.domain.operation import Cancel
from online.domain.order import OrderKind, OrderStatus
from online.domain.order_path import IllegalTransition
from online.domain.order_replay import OrderReplay
from online.domain.order_state import Stage
from online.domain.orders import Order
from online.domain.record import ResolutionRecord
from online.resolve import Statement, resolve_by_hand
from online.trade import run_to_completion
from tests.floors import TestFloor

pytestmark = pytest.mark.lean


@pytest.fixture
def floor() -> TestFloor:
    """Return a floor on which a limit order rests."""
    floor = TestFloor()
    floor.enter(kind=OrderKind.LIMIT, price=1.095, quoted=1.095)
    return floor


def vanish(floor: TestFloor) -> None:
    """Let the broker forget what rests, without a trace."""
    floor.terminal.server.pending.resting.clear()


def state(floor: TestFloor, status: OrderStatus, **told: Any) -> Order:  # noqa: ANN401 - fields of Statement
    fields = {"by": "ann", "note": "the broker deleted it, says its desk", **told}
    return run_to_completion(resolve_by_hand(Statement("entry-1", status, **fields), floor))


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (OrderStatus.CANCELLED, {}),
        (OrderStatus.EXPIRED, {}),
        (OrderStatus.REJECTED, {}),
        (OrderStatus.FILLED, {"price": 1.095, "volume_lots": 0.1, "position": 7}),
    ],
)
def test_stated_end_is_journaled_and_survives_a_restart_and_an_audit(
    floor: TestFloor, status: OrderStatus, told: dict[str, Any]
) -> None:
    vanish(floor)
    assert floor.resolve() == 0
    assert [o.state.stage for o in floor.book.orders.resting] == [Stage.ACCEPTED]
    assert str(state(floor, status, **told).state.stage) == str(status)
    floor.restart()
    assert floor.book.orders.resting == ()
    replay = OrderReplay()
    for record in floor.journal.records():
        replay.take(record)
    assert replay.stages == {str(status): 1}
    (told_record,) = [r for r in floor.journal.records() if isinstance(r, ResolutionRecord)]
    assert (told_record.by, told_record.note) == ("ann", "the broker deleted it, says its desk")


def test_nothing_is_stated_while_the_broker_shows_the_order(floor: TestFloor) -> None:
    with pytest.raises(Conflict) as refused:
        state(floor, OrderStatus.CANCELLED)
    assert refused.value.code == "ORDER_RESTS"
    assert [o.state.stage for o in floor.book.orders.resting] == [Stage.ACCEPTED]


def test_nothing_is_stated_while_the_broker_does_not_answer(floor: TestFloor) -> None:
    vanish(floor)
    floor.broker.down = True
    with pytest.raises(Unavailable):
        state(floor, OrderStatus.CANCELLED)
    assert [o.state.stage for o in floor.book.orders.resting] == [Stage.ACCEPTED]


def test_an_end_that_the_history_tells_goes_before_the_operators_word(floor: TestFloor) -> None:
    floor.quote(1.0948, 1.095)
    with pytest.raises(Conflict) as refused:
        state(floor, OrderStatus.CANCELLED)
    assert refused.value.code == "FATE_KNOWN"
    assert floor.resolve() == 0
    assert floor.book.orders.newest(1)[0].state.stage is Stage.FILLED


@pytest.mark.parametrize("status", [OrderStatus.NOT_SENT, OrderStatus.DONE, OrderStatus.ACCEPTED])
def test_an_end_that_an_order_at_the_broker_cannot_have_is_refused(
    floor: TestFloor, status: OrderStatus
) -> None:
    vanish(floor)
    with pytest.raises(InvalidInput) as refused:
        state(floor, status)
    assert refused.value.code == "INVALID_OUTCOME"


def test_an_order_that_ended_has_nothing_to_state(floor: TestFloor) -> None:
    (resting,) = floor.book.orders.resting
    assert resting.reply is not None
    floor.operate("back", Cancel(resting.reply.order))
    assert floor.resolve() == 0
    with pytest.raises(Conflict, match="is cancelled"):
        state(floor, OrderStatus.CANCELLED)
    vanish(floor)


def test_an_audit_refuses_a_word_about_an_order_that_had_ended(floor: TestFloor) -> None:
    vanish(floor)
    state(floor, OrderStatus.CANCELLED)
    replay = OrderReplay()
    *earlier, last = floor.journal.records()
    for record in earlier:
        replay.take(record)
    replay.take(last)
    with pytest.raises(IllegalTransition):
        replay.take(last)
