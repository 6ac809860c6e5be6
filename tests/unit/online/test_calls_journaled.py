"""The journal holds each order's calls of the terminal once, beside the reply."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from online.domain.called_reply import with_calls
from online.domain.errors import JournalUnavailable, OrderInDoubt
from online.domain.operation import Close
from online.domain.order import Intent, OrderReply, OrderStatus
from online.domain.record import Record, ResultRecord
from online.domain.terminal_call import TerminalCall
from tests.floors import FailingBroker, TestFloor
from tests.terminal_calls import make_call, unanswered

pytestmark = pytest.mark.lean


class CallingBroker(FailingBroker):
    """A broker that tells a call with every reply and every fate, as a gateway does."""

    calls: tuple[TerminalCall, ...] = (make_call(),)

    async def send(self, intent: Intent) -> OrderReply:
        return with_calls(await super().send(intent), self.calls)

    async def find(self, intent: Intent) -> OrderReply | None:
        found = await super().find(intent)
        return None if found is None else with_calls(found, self.calls)


@pytest.fixture
def floor() -> TestFloor:
    made = TestFloor()
    made.broker = CallingBroker(made.broker.inner)
    return made


def results(floor: TestFloor) -> list[ResultRecord]:
    return [each for each in floor.journal.records() if isinstance(each, ResultRecord)]


def test_a_result_holds_the_calls_and_whoever_asked_gets_the_reply_alone(
    floor: TestFloor,
) -> None:
    reply = floor.enter()
    (record,) = results(floor)
    assert record.calls == (make_call(),)
    assert (type(reply), record.reply) == (OrderReply, reply)
    assert type(floor.operate("a", Close(floor.held.ticket))) is OrderReply
    assert [each.calls for each in results(floor)] == [(make_call(),)] * 2


def test_a_lost_reply_claims_no_call_and_the_gateways_word_tells_it_once(
    floor: TestFloor,
) -> None:
    floor.broker.loses_reply = True
    floor.enter()
    assert results(floor)[0].calls == ()
    assert floor.resolve() == 0
    assert [each.calls for each in results(floor)] == [(), (make_call(),)]


def test_calls_that_the_journal_holds_are_not_told_again_by_evidence(floor: TestFloor) -> None:
    lost: OrderReply = OrderReply(OrderStatus.UNKNOWN, 0, 0, 0, 0, 0.0, 0.0, "lost")
    broker = floor.broker
    assert isinstance(broker, CallingBroker)
    genuine = broker.send

    async def loses(intent: Intent) -> OrderReply:
        await genuine(intent)
        return with_calls(lost, (unanswered("killed"),))

    broker.send = loses  # type: ignore[method-assign]  # the worker was killed
    floor.enter()
    floor.restart()
    assert floor.resolve() == 0
    told = results(floor)
    assert [each.reply.status for each in told] == [OrderStatus.UNKNOWN, OrderStatus.FILLED]
    assert [each.calls for each in told] == [(unanswered("killed"),), ()]


def test_a_reply_that_could_not_be_journaled_leaves_its_calls_to_be_told_later(
    floor: TestFloor, monkeypatch: pytest.MonkeyPatch
) -> None:
    append: Callable[..., object] = floor.journal.append

    async def full(*records: Record, durable: bool = True) -> None:
        if isinstance(records[0], ResultRecord):
            raise JournalUnavailable("no room")
        await append(*records, durable=durable)  # type: ignore[misc]  # a coroutine

    with monkeypatch.context() as broken:
        broken.setattr(floor.journal, "append", full)
        with pytest.raises(OrderInDoubt):
            floor.enter()
    assert floor.resolve() == 0
    assert [each.calls for each in results(floor)] == [(make_call(),)]


def test_a_reply_that_is_not_finite_still_leaves_what_the_terminal_said(floor: TestFloor) -> None:
    broker = floor.broker
    assert isinstance(broker, CallingBroker)

    async def odd(intent: Intent) -> OrderReply:
        words = intent.comment
        reply = OrderReply(OrderStatus.FILLED, 10009, 1, 2, 1, float("nan"), 0.1, words)
        return with_calls(reply, (make_call(result={"price": "nan"}),))

    broker.send = odd  # type: ignore[method-assign]  # the terminal says nonsense
    assert floor.enter().status is OrderStatus.UNKNOWN
    (record,) = results(floor)
    assert record.calls[0].result == {"price": "nan"}
