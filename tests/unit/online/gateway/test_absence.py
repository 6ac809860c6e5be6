"""When an order that the terminal does not show counts as not sent, and when it may not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from online.domain.errors import Unavailable
from online.domain.order import OrderReply, OrderStatus
from online.gateway.channel import WorkerChannel
from online.gateway.errands import Errand, Execute, Probed, Result, Search, Searched
from online.gateway.evidence import Evidence
from online.gateway.gate import Gate
from online.gateway.inbox import Inbox, open_inbox
from online.gateway.market_desk import Health
from online.gateway.order_flow import AbsenceRule, OrderFlow
from tests.gateway_world import entry

pytestmark = pytest.mark.lean
HEALTH = Health(connected=True, trade_allowed=True, quote_age_seconds=None)
LONG = AbsenceRule(3_600.0, 1)
AT_ONCE = AbsenceRule(0.0, 1)
THRICE = AbsenceRule(0.0, 3)


class Worker:
    """A worker, of orders or of the market, that sees what it is told to see."""

    def __init__(self) -> None:
        self.ready, self.executed = True, 0
        self.seen: Result = Searched(Evidence(None, resting=False, connected=True))
        self.fatal, self.fatal_now = frozenset[str](), False

    def sees(self, *, resting: bool = False, connected: bool = True) -> None:
        self.seen = Searched(Evidence(None, resting=resting, connected=connected))

    async def run(self, errand: Errand) -> Result:
        if isinstance(errand, Execute):
            self.executed += 1
            return Probed(HEALTH)  # no answer to such an errand
        assert isinstance(errand, Search)
        if errand.intent.intent_id in self.fatal:
            self.fatal_now = True
        if self.fatal_now:  # no other worker is ready in this round
            raise Unavailable("the worker ended", code="WORKER_LOST")
        return self.seen


Story = Callable[[OrderFlow, Worker], Awaitable[None]]


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = open_inbox(tmp_path / "inbox.db")
    yield opened
    opened.close()


def tell(inbox: Inbox, absence: AbsenceRule, story: Story) -> None:
    """Tell a story of a gateway that lets everything through."""

    async def whole() -> None:
        worker, gate = Worker(), Gate(inbox)
        gate.health = HEALTH
        channel = cast("WorkerChannel", worker)
        await story(OrderFlow(inbox, gate, channel, channel, absence, lambda: 1), worker)

    asyncio.run(whole())


async def send(flow: OrderFlow) -> OrderReply:
    return await flow.send(entry(1), 60.0, lambda: True, lambda: None)


def test_an_order_that_never_came_is_declared_not_sent_and_never_sent_later(inbox: Inbox) -> None:
    async def story(flow: OrderFlow, worker: Worker) -> None:
        found = await flow.find(entry(1))
        assert found is not None
        assert found.status is OrderStatus.NOT_SENT
        assert await send(flow) == found
        assert worker.executed == 0

    tell(inbox, AT_ONCE, story)


@pytest.mark.parametrize("doubt", ["young", "disconnected", "resting"])
def test_an_order_that_never_came_is_not_declared_in_doubt(inbox: Inbox, doubt: str) -> None:
    async def story(flow: OrderFlow, worker: Worker) -> None:
        worker.sees(resting=doubt == "resting", connected=doubt != "disconnected")
        assert await flow.find(entry(1)) is None

    tell(inbox, LONG if doubt == "young" else AT_ONCE, story)
    assert inbox.find(entry(1)) is None


def test_a_lost_order_is_absent_only_after_enough_looks(inbox: Inbox) -> None:
    inbox.accept((entry(1),), 1)

    async def story(flow: OrderFlow, _: Worker) -> None:
        assert [await flow.resolve_all() for _ in range(4)] == [1, 1, 0, 0]
        found = await flow.find(entry(1))
        assert found is not None
        assert (found.status, "3 looks" in found.comment) == (OrderStatus.NOT_SENT, True)

    tell(inbox, THRICE, story)


def test_a_lost_order_is_absent_only_after_enough_time(inbox: Inbox) -> None:
    inbox.accept((entry(1),), 1)

    async def story(flow: OrderFlow, _: Worker) -> None:
        assert [await flow.resolve_all() for _ in range(5)] == [1] * 5

    tell(inbox, LONG, story)


@pytest.mark.parametrize("doubt", ["disconnected", "resting"])
def test_a_look_that_proves_nothing_begins_the_count_anew(inbox: Inbox, doubt: str) -> None:
    inbox.accept((entry(1),), 1)

    async def story(flow: OrderFlow, worker: Worker) -> None:
        for _ in range(2):
            assert await flow.resolve_all() == 1
        worker.sees(resting=doubt == "resting", connected=doubt != "disconnected")
        assert await flow.resolve_all() == 1
        worker.sees()
        assert [await flow.resolve_all() for _ in range(3)] == [1, 1, 0]

    tell(inbox, THRICE, story)


def test_nothing_is_judged_while_an_older_order_worker_may_live(inbox: Inbox) -> None:
    inbox.accept((entry(1),), 1)

    async def story(flow: OrderFlow, worker: Worker) -> None:
        worker.ready = False
        assert await flow.resolve_all() == 1
        worker.ready = True
        assert await flow.resolve_all() == 0

    tell(inbox, AT_ONCE, story)


def test_an_answer_to_another_errand_proves_nothing(inbox: Inbox) -> None:
    async def story(flow: OrderFlow, worker: Worker) -> None:
        reply = await send(flow)
        assert (reply.status, worker.executed) == (OrderStatus.UNKNOWN, 1)
        assert "Probed" in reply.comment
        worker.seen = Probed(HEALTH)
        with pytest.raises(Unavailable) as refused:
            await flow.find(entry(1))
        assert refused.value.code == "WORKER_LOST"

    tell(inbox, AT_ONCE, story)


def test_orders_that_end_the_worker_when_looked_for_keep_no_other_without_a_fate(
    inbox: Inbox,
) -> None:
    orders = [entry(number, symbol=f"S{number}") for number in range(1, 5)]
    inbox.accept(orders, 1)

    async def story(flow: OrderFlow, worker: Worker) -> None:
        worker.fatal = frozenset({"entry-1", "entry-2"})
        for _ in range(3):
            worker.fatal_now = False
            with pytest.raises(Unavailable, match="the worker ended"):
                await flow.resolve_all()
        left = [entry.intent.intent_id for entry in inbox.unresolved()]
        assert left == ["entry-1", "entry-2"]
        worker.fatal, worker.fatal_now = frozenset(), False
        assert await flow.resolve_all() == 0

    tell(inbox, AT_ONCE, story)
