"""An operator's word ends what neither reply nor evidence can."""

from __future__ import annotations

from typing import Any

import pytest

from online.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from online.domain.operation import Close, Modify
from online.domain.order import OrderStatus
from online.domain.order_state import Stage
from online.domain.orders import Order
from online.domain.record import ResolutionRecord
from online.resolve import Statement, resolve_by_hand
from online.trade import run_to_completion
from tests.floors import TestFloor

pytestmark = pytest.mark.lean


@pytest.fixture
def floor() -> TestFloor:
    """Return a floor on which an entry and then a modify got lost on their way."""
    floor = TestFloor()
    floor.enter()
    floor.broker.loses_order = True
    floor.enter()
    floor.operate("lost", Modify(1, 1.095, 1.12))
    floor.broker.loses_order = False
    return floor


def state(floor: TestFloor, intent_id: str, status: OrderStatus, **told: Any) -> Order:  # noqa: ANN401 - fields of Statement
    fields = {"by": "ann", "note": "the broker's desk says so on the phone", **told}
    return run_to_completion(resolve_by_hand(Statement(intent_id, status, **fields), floor))


def test_stated_fate_is_journaled_with_name_and_note_and_frees_the_symbol(
    floor: TestFloor,
) -> None:
    assert floor.resolve() == 2  # nowhere to be found, which proves nothing
    order = state(floor, "entry-2", OrderStatus.NOT_SENT)
    assert order.state.stage is Stage.NOT_SENT
    state(floor, "op-lost", OrderStatus.NOT_SENT)
    floor.restart()
    assert floor.book.pending == ()
    told = [r for r in floor.journal.records() if isinstance(r, ResolutionRecord)]
    assert [(r.by, r.intent_id, r.reply.status) for r in told] == [
        ("ann", "entry-2", OrderStatus.NOT_SENT),
        ("ann", "op-lost", OrderStatus.NOT_SENT),
    ]
    assert told[0].decision_id.endswith("-2")
    assert floor.operate("again", Modify(1, 1.095, 1.12)).status is OrderStatus.DONE


def test_evidence_goes_before_the_operators_word() -> None:
    floor = TestFloor()
    floor.broker.loses_reply = True
    floor.enter()
    with pytest.raises(Conflict) as refused:
        state(floor, "entry-1", OrderStatus.NOT_SENT)
    assert refused.value.code == "FATE_KNOWN"
    assert floor.resolve() == 0
    with pytest.raises(Conflict, match="is filled"):
        state(floor, "entry-1", OrderStatus.NOT_SENT)


def test_an_order_that_the_broker_cannot_tell_of_keeps_no_other_without_a_fate() -> None:
    floor = TestFloor()
    floor.broker.loses_reply = True
    for _ in range(3):
        floor.enter()
    floor.broker.cannot_tell = "entry-1"
    with pytest.raises(Unavailable) as told:
        floor.resolve()
    assert told.value.code == "INTENT_DIFFERS"
    assert [intent.intent_id for intent in floor.book.pending] == ["entry-1"]


def test_fate_can_be_stated_while_the_broker_is_out_of_reach(floor: TestFloor) -> None:
    floor.broker.down = True
    told = {"price": 1.1002, "volume_lots": 0.1, "position": 2}
    order = state(floor, "entry-2", OrderStatus.FILLED, **told)
    assert order.reply is not None
    assert (order.reply.price, order.reply.position) == (1.1002, 2)


@pytest.mark.parametrize(
    ("intent_id", "status", "told"),
    [
        ("entry-2", OrderStatus.UNKNOWN, {}),
        ("entry-2", OrderStatus.ACCEPTED, {}),
        ("entry-2", OrderStatus.FILLED, {}),
        ("entry-2", OrderStatus.FILLED, {"price": 1.1, "volume_lots": 0.2}),
        ("entry-2", OrderStatus.DONE, {}),
        ("entry-2", OrderStatus.NOT_SENT, {"by": ""}),
        ("entry-2", OrderStatus.NOT_SENT, {"note": ""}),
        ("op-lost", OrderStatus.FILLED, {"price": 1.1, "volume_lots": 0.1}),
    ],
)
def test_outcome_that_cannot_be_is_refused(
    floor: TestFloor, intent_id: str, status: OrderStatus, told: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        state(floor, intent_id, status, **told)
    assert refused.value.code == "INVALID_OUTCOME"


def test_order_that_nobody_journaled_is_not_found(floor: TestFloor) -> None:
    with pytest.raises(NotFound):
        state(floor, "entry-9", OrderStatus.NOT_SENT)


def test_exits_are_changed_again_once_the_fate_is_stated(floor: TestFloor) -> None:
    change = Modify(1, 1.094, 1.12)
    with pytest.raises(Conflict):
        floor.operate("again", change)
    state(floor, "op-lost", OrderStatus.NOT_SENT)
    assert floor.operate("again", change).status is OrderStatus.DONE
    assert floor.operate("close", Close(1)).status is OrderStatus.FILLED
