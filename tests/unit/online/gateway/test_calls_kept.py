"""What was said to the terminal stays with its order in the inbox, and only what was seen does."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import msgspec
import pytest

from online.domain.called_reply import apart, with_calls
from online.domain.errors import Unavailable
from online.domain.order import OrderReply, OrderStatus
from online.domain.order_state import Stage
from online.gateway.call_note import CallNote
from online.gateway.channel import WorkerChannel, WorkerLost
from online.gateway.errands import Errand, Execute, Executed, Result, Search, Searched
from online.gateway.evidence import Evidence
from online.gateway.gate import Gate
from online.gateway.inbox import Inbox, open_inbox
from online.gateway.market_desk import Health
from online.gateway.messages import WorkerStatus
from online.gateway.order_flow import AbsenceRule, OrderFlow
from tests.gateway_world import entry
from tests.terminal_calls import make_call, unanswered

pytestmark = pytest.mark.lean
FILLED = OrderReply(OrderStatus.FILLED, 10009, 4, 5, 4, 1.1, 0.1, "done")
UNKNOWN = OrderReply(OrderStatus.UNKNOWN, 0, 0, 0, 0, 0.0, 0.0, "IPC recv failed")
SECOND_VERSION = """
DROP TRIGGER ended_orders_stay;
DROP TRIGGER orders_stay;
DROP TABLE calls;
ALTER TABLE orders DROP COLUMN calls;
PRAGMA user_version = 2;
"""


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = open_inbox(tmp_path / "inbox.db")
    yield opened
    opened.close()


class Worker:
    """A worker that says what it is told to; it notes a call where it is lost."""

    ready = True
    status = WorkerStatus("orders", 1, True, 0, "")  # noqa: FBT003 - a status

    def __init__(self, note: Path) -> None:
        self.note = CallNote(note)
        self.executed: Executed | None = None
        self.evidence = Evidence(None, resting=False, connected=True)

    async def run(self, errand: Errand) -> Result:
        if isinstance(errand, Search):
            return Searched(self.evidence)
        assert isinstance(errand, Execute)
        if self.executed is not None:
            return self.executed
        self.note.write(errand.intent.intent_id, (unanswered(),))
        raise WorkerLost("orders: the worker did not answer in time")


class Gateway:
    """An order's way through a gateway whose worker is told what to say."""

    def __init__(self, inbox: Inbox, folder: Path) -> None:
        self.note = folder / "orders.calls"
        self.worker = Worker(self.note)
        gate = Gate(inbox)
        gate.health = Health(connected=True, trade_allowed=True, quote_age_seconds=None)
        channel, absence = cast("WorkerChannel", self.worker), AbsenceRule(1.0, 3)
        self.flow = OrderFlow(inbox, gate, channel, channel, absence, lambda: 1, self.note)

    async def send(self, number: int) -> OrderReply:
        return await self.flow.send(entry(number), 60.0, lambda: True, lambda: None)


def test_calls_are_written_with_the_reply_and_evidence_found_later_keeps_them(
    inbox: Inbox,
) -> None:
    inbox.accept([entry(1)], 1)
    inbox.record("entry-1", with_calls(UNKNOWN, (unanswered("killed"),)), 2)
    inbox.record("entry-1", FILLED, 3)
    kept = inbox.find(entry(1))
    assert kept is not None
    assert (kept.stage, kept.calls) == (Stage.FILLED, (unanswered("killed"),))
    assert kept.reply is not None
    assert apart(kept.reply) == (FILLED, (unanswered("killed"),))
    assert inbox.orders_of(4, "another") == (4,)


def test_an_order_without_calls_claims_none(inbox: Inbox) -> None:
    inbox.accept([entry(1)], 1)
    inbox.record("entry-1", FILLED, 3)
    kept = inbox.find(entry(1))
    assert kept is not None
    assert (kept.calls, type(kept.reply)) == ((), OrderReply)


def test_an_inbox_of_the_version_before_is_read_and_takes_calls(tmp_path: Path) -> None:
    path = tmp_path / "inbox.db"
    first = open_inbox(path)
    first.accept([entry(1), entry(2)], 1)
    first.record("entry-1", FILLED, 2)
    first.close()
    with sqlite3.connect(path) as former:
        former.executescript(SECOND_VERSION)
    former.close()
    again = open_inbox(path)
    ended, cut_off = again.find(entry(1)), again.find(entry(2))
    assert ended is not None
    assert cut_off is not None
    assert (ended.reply, ended.calls, cut_off.stage) == (FILLED, (), Stage.UNKNOWN)
    again.record("entry-2", with_calls(FILLED, (make_call(),)), 3)
    told = again.find(entry(2))
    assert told is not None
    assert told.calls == (make_call(),)
    with pytest.raises(Unavailable, match="never changes"):
        again._run("UPDATE orders SET calls = NULL WHERE intent_id = 'entry-1'")
    with pytest.raises(Unavailable, match="never forgotten"):
        again._run("DELETE FROM calls")
    again.close()


def test_an_order_whose_worker_was_lost_tells_what_it_had_sent(
    inbox: Inbox, tmp_path: Path
) -> None:
    async def story() -> None:
        gateway = Gateway(inbox, tmp_path)
        sent = await gateway.send(1)
        why = "orders: the worker did not answer in time"
        assert (sent.status, apart(sent)[1]) == (OrderStatus.UNKNOWN, (unanswered(why),))
        gateway.worker.evidence = Evidence(FILLED, resting=False, connected=True)
        found = await gateway.flow.find(entry(1))
        assert found is not None
        assert apart(found) == (FILLED, (unanswered(why),)), "the answer stays unseen"
        again = await gateway.flow.find(entry(1))
        assert again == found

    asyncio.run(story())


def test_an_order_found_at_the_broker_that_was_never_sent_here_has_no_calls(
    inbox: Inbox, tmp_path: Path
) -> None:
    async def story() -> None:
        gateway = Gateway(inbox, tmp_path)
        gateway.worker.note.write("entry-2", (make_call(),))
        gateway.worker.evidence = Evidence(FILLED, resting=False, connected=True)
        found = await gateway.flow.find(entry(1))
        assert found is not None
        assert apart(found) == (FILLED, ())

    asyncio.run(story())


def test_what_the_worker_of_a_dead_gateway_had_sent_is_taken_over_by_the_next(
    tmp_path: Path,
) -> None:
    async def die() -> None:
        first = open_inbox(tmp_path / "inbox.db")
        gateway = Gateway(first, tmp_path)
        first.accept([entry(1), entry(2)], 1)
        gateway.worker.note.write("entry-1", (unanswered(),))
        first.close()

    async def go_on() -> None:
        inbox = open_inbox(tmp_path / "inbox.db")
        gateway = Gateway(inbox, tmp_path)
        gateway.flow.recall_calls()
        gateway.flow.recall_calls()
        sending, waiting = inbox.unresolved()
        why = "the gateway ended while the call was under way"
        assert (sending.calls, sending.reply) == ((unanswered(why),), None)
        assert waiting.calls == (), "it never came to the terminal"
        gateway.worker.evidence = Evidence(FILLED, resting=False, connected=True)
        found = await gateway.flow.find(entry(1))
        assert found is not None
        assert apart(found) == (FILLED, (unanswered(why),))
        inbox.close()

    asyncio.run(die())
    asyncio.run(go_on())


def test_the_workers_word_goes_through_with_its_calls(inbox: Inbox, tmp_path: Path) -> None:
    async def story() -> None:
        gateway = Gateway(inbox, tmp_path)
        gateway.worker.executed = Executed(FILLED, (make_call(),))
        for _ in range(2):  # the second is what is recorded of the first
            assert apart(await gateway.send(1)) == (FILLED, (make_call(),))
        gateway.worker.executed = Executed(msgspec.structs.replace(FILLED, position=9))
        assert type(await gateway.send(2)) is OrderReply

    asyncio.run(story())
