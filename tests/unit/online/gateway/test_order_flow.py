"""Orders one behind the other: what may go ahead, and what is asked again when its turn comes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import msgspec
import pytest

from online.domain.errors import InvalidInput, Unavailable
from online.domain.order import Intent, OrderReply, OrderStatus
from online.domain.order_state import Stage
from online.gateway.channel import WorkerChannel
from online.gateway.door import PLACES
from online.gateway.errands import Errand, Execute, Executed, Result
from online.gateway.gate import Gate
from online.gateway.inbox import Inbox, open_inbox
from online.gateway.inbox_entry import Entry
from online.gateway.market_desk import Health
from online.gateway.messages import WorkerStatus
from online.gateway.order_flow import AbsenceRule, OrderFlow
from tests.gateway_world import closing, entry

pytestmark = pytest.mark.lean
FILLED = OrderReply(OrderStatus.FILLED, 10009, 1, 2, 1, 1.1, 0.1, "done")
CLOSED = OrderReply(OrderStatus.REJECTED, 10018, 0, 0, 0, 0.0, 0.0, "Market closed")


class SlowWorker:
    """A worker that answers when it is told to."""

    ready = True
    status = WorkerStatus("orders", 1, True, 0, "")  # noqa: FBT003 - a status

    def __init__(self) -> None:
        self.answers: dict[str, asyncio.Future[OrderReply]] = {}

    async def run(self, errand: Errand) -> Result:
        assert isinstance(errand, Execute)
        answer = self.answers[errand.intent.intent_id] = asyncio.Future()
        return Executed(await answer)


class CountingInbox(Inbox):
    """An inbox that notes which orders were written together."""

    def __init__(self, opened: Inbox) -> None:
        super().__init__(opened._connection)
        self.groups: list[list[str]] = []

    def accept(self, intents: Sequence[Intent], at_ns: int) -> None:
        self.groups.append([intent.intent_id for intent in intents])
        super().accept(intents, at_ns)


class Line:
    """An order flow with one slow worker, and the orders that are on their way."""

    def __init__(self, inbox: Inbox) -> None:
        gate = Gate(inbox)
        gate.health = Health(connected=True, trade_allowed=True, quote_age_seconds=None)
        self.inbox, self.worker = inbox, SlowWorker()
        channel = cast("WorkerChannel", self.worker)
        absence = AbsenceRule(1.0, 3)
        self.flow = OrderFlow(inbox, gate, channel, channel, absence, lambda: 1)
        self.accepted: list[str] = []
        self.wanted = True

    def send(self, intent: Intent, patience: float = 60.0) -> asyncio.Task[OrderReply]:
        return asyncio.create_task(
            self.flow.send(
                intent,
                patience,
                lambda: self.wanted,
                lambda: self.accepted.append(intent.intent_id),
            )
        )

    def stage(self, intent: Intent) -> Stage | None:
        found = self.inbox.find(intent)
        return None if found is None else found.stage


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[CountingInbox]:
    opened = CountingInbox(open_inbox(tmp_path / "inbox.db"))
    yield opened
    opened.close()


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_orders_that_come_together_are_written_together_and_sent_one_by_one(
    inbox: CountingInbox,
) -> None:
    async def story() -> None:
        line = Line(inbox)
        sending = [line.send(entry(n)) for n in (1, 2, 3)]
        await settle()
        assert inbox.groups == [["entry-1", "entry-2", "entry-3"]]
        assert line.accepted == ["entry-1", "entry-2", "entry-3"]
        assert [e.intent for e in inbox.open_orders()] == [entry(1), entry(2), entry(3)]
        assert list(line.worker.answers) == ["entry-1"], "the worker has one at a time"
        assert await line.flow.find(entry(2)) is None, "it waits: nobody looks for its fate"
        for number in (1, 2, 3):
            line.worker.answers[f"entry-{number}"].set_result(FILLED)
            await settle()
        assert [await each for each in sending] == [FILLED] * 3
        assert list(line.worker.answers) == ["entry-1", "entry-2", "entry-3"]

    asyncio.run(story())


@pytest.mark.parametrize("lots", [0.1, 0.04])
def test_of_closes_of_one_position_that_come_together_the_first_is_sent_and_no_other(
    inbox: CountingInbox, lots: float
) -> None:
    async def story() -> None:
        line = Line(inbox)
        part = msgspec.structs.replace(closing(2, entry(1), 7), volume_lots=lots)
        first, second, other = part, closing(3, entry(1), 7), closing(4, entry(2), 8)
        sending = [line.send(intent) for intent in (first, second, other, entry(5))]
        await settle()
        refused = await sending[1]
        assert (refused.status, "close-2" in refused.comment) == (OrderStatus.NOT_SENT, True)
        assert line.stage(second) is None
        for name in ("close-2", "close-4", "entry-5"):
            line.worker.answers[name].set_result(FILLED)
            await settle()
        assert [(await sending[place]).status for place in (0, 2, 3)] == [OrderStatus.FILLED] * 3
        assert "close-3" not in line.worker.answers

    asyncio.run(story())


def test_no_more_are_accepted_than_there_are_places_and_the_next_when_half_are_free(
    inbox: CountingInbox,
) -> None:
    async def story() -> None:
        line = Line(inbox)
        sending = [line.send(entry(n)) for n in range(1, PLACES + 11)]
        await settle()
        assert len(line.accepted) == PLACES
        assert line.stage(entry(PLACES + 1)) is None
        for number in range(1, PLACES // 2 + 1):
            assert len(inbox.groups) == 1
            line.worker.answers[f"entry-{number}"].set_result(FILLED)
            await settle()
        assert [len(group) for group in inbox.groups] == [PLACES, PLACES // 2]
        for number in range(PLACES // 2 + 1, PLACES + 11):
            line.worker.answers[f"entry-{number}"].set_result(FILLED)
            await settle()
        assert [await each for each in sending] == [FILLED] * (PLACES + 10)
        assert list(line.worker.answers) == line.accepted

    asyncio.run(story())


def test_a_copy_that_comes_together_with_its_order_is_answered_and_never_sent(
    inbox: CountingInbox,
) -> None:
    async def story() -> None:
        line = Line(inbox)
        sending, copy, other = line.send(entry(1)), line.send(entry(1)), line.send(entry(2))
        forged = line.send(entry(1, volume_lots=0.2))
        await settle()
        assert (await copy).status is OrderStatus.UNKNOWN
        assert line.accepted == ["entry-1", "entry-1", "entry-2"]
        with pytest.raises(InvalidInput) as refused:
            await forged
        assert refused.value.code == "INTENT_DIFFERS"
        for number, task in ((1, sending), (2, other)):
            line.worker.answers[f"entry-{number}"].set_result(FILLED)
            assert await task == FILLED
        assert list(line.worker.answers) == ["entry-1", "entry-2"]

    asyncio.run(story())


def test_of_two_closes_of_a_position_that_come_together_the_first_is_sent(
    inbox: CountingInbox,
) -> None:
    async def story() -> None:
        line = Line(inbox)
        first, second = (line.send(closing(n, entry(1), 7)) for n in (2, 3))
        await settle()
        reply = await second
        assert reply.status is OrderStatus.NOT_SENT
        assert "close-2 is closing position 7" in reply.comment
        line.worker.answers["close-2"].set_result(FILLED)
        assert await first == FILLED
        assert list(line.worker.answers) == ["close-2"]

    asyncio.run(story())


def test_a_group_the_disk_does_not_take_is_not_sent_and_may_come_again(
    inbox: CountingInbox,
) -> None:
    async def story() -> None:
        line = Line(inbox)
        inbox._connection.execute("PRAGMA query_only=ON")
        sending = [line.send(entry(n)) for n in (1, 2)]
        await settle()
        for each in sending:
            with pytest.raises(Unavailable) as refused:
                await each
            assert refused.value.code == "INBOX_UNAVAILABLE"
        assert (line.accepted, line.worker.answers) == ([], {})
        inbox._connection.execute("PRAGMA query_only=OFF")
        again = line.send(entry(1))
        await settle()
        line.worker.answers["entry-1"].set_result(FILLED)
        assert await again == FILLED

    asyncio.run(story())


def test_a_copy_of_what_was_sent_is_not_called_unsent_because_the_disk_takes_nothing(
    inbox: CountingInbox,
) -> None:
    async def story() -> None:
        line = Line(inbox)
        first = line.send(entry(1))
        await settle()
        inbox._connection.execute("PRAGMA query_only=ON")
        assert (await line.send(entry(1))).status is OrderStatus.UNKNOWN
        line.worker.answers["entry-1"].set_result(FILLED)
        assert await first == FILLED

    asyncio.run(story())


def test_an_order_that_cannot_be_judged_is_refused_by_itself(
    inbox: CountingInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> tuple[Entry, ...]:
        raise Unavailable("the disk reads nothing", code="INBOX_UNAVAILABLE")

    async def story() -> None:
        line = Line(inbox)
        monkeypatch.setattr(inbox, "unresolved", broken)
        close, opened = line.send(closing(1, entry(9), 7)), line.send(entry(2))
        await settle()
        with pytest.raises(Unavailable):
            await close
        line.worker.answers["entry-2"].set_result(FILLED)
        assert await opened == FILLED

    asyncio.run(story())


def test_an_order_is_handed_over_before_the_reply_to_the_one_before_is_written(
    inbox: CountingInbox,
) -> None:
    async def story() -> None:
        line = Line(inbox)
        first, second = line.send(entry(1)), line.send(entry(2))
        await settle()
        handed = inbox.record
        order: list[str] = []

        def note(intent_id: str, reply: OrderReply, at_ns: int) -> None:
            order.append(f"{intent_id} written, with the worker: {list(line.worker.answers)[-1]}")
            handed(intent_id, reply, at_ns)

        inbox.record = note  # type: ignore[method-assign]  # when it is called is the question
        line.worker.answers["entry-1"].set_result(FILLED)
        await first
        assert order == ["entry-1 written, with the worker: entry-2"]
        line.worker.answers["entry-2"].set_result(FILLED)
        assert await second == FILLED

    asyncio.run(story())


@pytest.mark.parametrize("why", ["closed", "gone", "late", "absent"])
def test_what_has_changed_when_its_turn_comes_refuses_an_accepted_order_for_good(
    inbox: Inbox, why: str
) -> None:
    async def story() -> OrderReply:
        line = Line(inbox)
        first = line.send(entry(1))
        second = line.send(entry(2), patience=0.01 if why == "late" else 60.0)
        await settle()
        assert line.accepted == ["entry-1", "entry-2"]
        if why == "gone":
            line.wanted = False
        elif why == "absent":
            line.worker.ready = False
        elif why == "late":
            loop, late = asyncio.get_running_loop(), asyncio.Event()
            loop.call_later(0.02, late.set)
            await late.wait()
        line.worker.answers["entry-1"].set_result(CLOSED if why == "closed" else FILLED)
        await first
        reply = await second
        assert list(line.worker.answers) == ["entry-1"]
        line.wanted, line.worker.ready = True, True
        assert await line.send(entry(2)) == reply, "a copy is answered, and not sent"
        return reply

    reply = asyncio.run(story())
    assert reply.status is OrderStatus.NOT_SENT
    expected = {"closed": "10018", "gone": "has left", "late": "patience", "absent": "no order"}
    assert expected[why] in reply.comment
    found = inbox.find(entry(2))
    assert found is not None
    assert (found.stage, found.reply) == (Stage.NOT_SENT, reply)


def test_an_order_given_up_while_it_waits_is_looked_for_like_any_other(inbox: Inbox) -> None:
    async def story() -> None:
        line = Line(inbox)
        first, second = line.send(entry(1)), line.send(entry(2))
        await settle()
        assert line.accepted == ["entry-1", "entry-2"]
        second.cancel()
        await settle()
        third = line.send(entry(3))
        await settle()
        assert line.stage(entry(2)) is Stage.SENDING
        line.worker.answers["entry-1"].set_result(FILLED)
        await first
        await settle()
        assert list(line.worker.answers) == ["entry-1", "entry-3"]
        line.worker.answers["entry-3"].set_result(FILLED)
        assert await third == FILLED

    asyncio.run(story())


def test_an_order_given_up_before_it_was_written_is_not_accepted(inbox: CountingInbox) -> None:
    async def story() -> None:
        line = Line(inbox)
        first, second = line.send(entry(1)), line.send(entry(2))
        await asyncio.sleep(0)
        first.cancel()
        await settle()
        assert inbox.groups == [["entry-2"]]
        line.worker.answers["entry-2"].set_result(FILLED)
        assert await second == FILLED

    asyncio.run(story())


def test_a_reply_the_disk_does_not_take_is_told_and_its_order_is_looked_for(inbox: Inbox) -> None:
    async def story() -> None:
        line = Line(inbox)
        sending = line.send(entry(1))
        await settle()
        inbox._connection.execute("PRAGMA query_only=ON")
        line.worker.answers["entry-1"].set_result(FILLED)
        assert await sending == FILLED
        assert line.stage(entry(1)) is Stage.SENDING
        inbox._connection.execute("PRAGMA query_only=OFF")
        again = await line.send(entry(1))
        assert again.status is OrderStatus.UNKNOWN, "it is never sent again"
        assert list(line.worker.answers) == ["entry-1"]

    asyncio.run(story())


def test_of_orders_that_come_together_one_that_is_neither_new_nor_known_holds_up_no_other(
    inbox: CountingInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = inbox.accept

    def accept(intents: Sequence[Intent], at_ns: int) -> None:
        if entry(2) in intents:
            inbox.groups.append([intent.intent_id for intent in intents])
            raise InvalidInput("intent entry-2 was accepted before", code="DUPLICATE_INTENT")
        write(intents, at_ns)

    async def story() -> None:
        line = Line(inbox)
        monkeypatch.setattr(inbox, "accept", accept)
        sending = [line.send(entry(n)) for n in (1, 2, 3)]
        await settle()
        together = ["entry-1", "entry-2", "entry-3"]
        assert inbox.groups == [together, together, ["entry-1"], ["entry-2"], ["entry-3"]]
        contradicted = await sending[1]
        assert contradicted.status is OrderStatus.UNKNOWN
        assert "neither as new nor as known" in contradicted.comment
        assert line.accepted == ["entry-1", "entry-3"]
        for number in (1, 3):
            line.worker.answers[f"entry-{number}"].set_result(FILLED)
            await settle()
        assert [await sending[0], await sending[2]] == [FILLED, FILLED]
        assert list(line.worker.answers) == ["entry-1", "entry-3"]

    asyncio.run(story())
