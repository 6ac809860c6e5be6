"""Several orders in doubt at once: a deal that bears no mark of ours is one order's, once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from online.domain.order import Intent, OrderReply, OrderStatus
from online.gateway.channel import WorkerChannel
from online.gateway.errands import Errand, Result, Search, Searched
from online.gateway.evidence import Evidence, Known, Rows, weigh
from online.gateway.gate import Gate
from online.gateway.inbox import Inbox, open_inbox
from online.gateway.order_flow import AbsenceRule, OrderFlow
from online.simulator import constants as mt5
from online.simulator.trade_tuples import TradeDeal
from tests.gateway_world import entry

pytestmark = pytest.mark.lean
AT_NS = 1_751_328_000_000_000_000
ABSENCE = AbsenceRule(0.0, 2)
"""Two looks are enough."""


class Market:
    """A market worker whose terminal has these deals."""

    ready = True

    def __init__(self, *orders: int) -> None:
        self.deals = [unmarked(order) for order in orders]

    async def run(self, errand: Errand) -> Result:
        assert isinstance(errand, Search)
        at_seconds = errand.accepted_at_ns // 1_000_000_000 or None
        known = Known(at_seconds, errand.ticket, errand.taken)
        reply, rests = weigh(errand.intent, "EURUSD", Rows(self.deals, (), (), ()), known)
        return Searched(Evidence(reply, rests, connected=True))


def unmarked(order: int) -> TradeDeal:
    """Return the fill of an order whose magic and comment the server dropped."""
    return TradeDeal(
        ticket=order + 1,
        order=order,
        time=AT_NS // 1_000_000_000,
        type=mt5.DEAL_TYPE_BUY,
        entry=mt5.DEAL_ENTRY_IN,
        position_id=order,
        reason=mt5.DEAL_REASON_EXPERT,
        volume=0.1,
        price=1.1002,
        symbol="EURUSD",
    )


@pytest.fixture
def cut_off(tmp_path: Path) -> Iterator[Inbox]:
    """Return an inbox in which a crash cut off three orders that are alike."""
    first = open_inbox(tmp_path / "inbox.db")
    first.accept([entry(n) for n in (3, 1, 2)], AT_NS)
    first.close()
    opened = open_inbox(tmp_path / "inbox.db")
    yield opened
    opened.close()


def resolve(inbox: Inbox, market: Market, *asked: Intent) -> list[OrderReply | None]:
    """Ask for orders one after the other, then let all be looked for until all is known."""

    async def story() -> list[OrderReply | None]:
        channel = cast("WorkerChannel", market)
        flow = OrderFlow(inbox, Gate(inbox), channel, channel, ABSENCE, lambda: AT_NS)
        told = [await flow.find(intent) for intent in asked]
        for _ in range(10):
            if not await flow.resolve_all():
                return told
        raise AssertionError([e.intent.intent_id for e in inbox.unresolved()])

    return asyncio.run(story())


def fates(inbox: Inbox) -> list[OrderStatus]:
    found = [inbox.find(entry(n)) for n in (3, 1, 2)]
    return [e.reply.status for e in found if e is not None and e.reply is not None]


@pytest.mark.parametrize("filled", [0, 1, 2, 3])
def test_as_many_orders_are_filled_as_there_are_deals_and_the_eldest_first(
    cut_off: Inbox, filled: int
) -> None:
    resolve(cut_off, Market(*range(10, 10 + filled)))
    expected = [OrderStatus.FILLED] * filled + [OrderStatus.NOT_SENT] * (3 - filled)
    assert fates(cut_off) == expected


def test_who_asks_for_a_younger_one_first_is_not_told_the_deal_of_the_eldest(
    cut_off: Inbox,
) -> None:
    told = resolve(cut_off, Market(10), entry(2), entry(1))
    assert told == [None, None]
    assert fates(cut_off) == [OrderStatus.FILLED, OrderStatus.NOT_SENT, OrderStatus.NOT_SENT]


def test_a_deal_that_bears_the_marks_of_the_younger_is_the_youngers(cut_off: Inbox) -> None:
    market, younger = Market(10), entry(2)
    market.deals = [market.deals[0]._replace(magic=younger.magic, comment=younger.comment)]
    (told,) = resolve(cut_off, market, younger)
    assert told is not None
    assert told.status is OrderStatus.FILLED
    assert fates(cut_off) == [OrderStatus.NOT_SENT, OrderStatus.NOT_SENT, OrderStatus.FILLED]


def test_the_deal_of_an_order_that_was_answered_is_no_others(tmp_path: Path) -> None:
    inbox = open_inbox(tmp_path / "inbox.db")
    inbox.accept([entry(1), entry(2)], AT_NS)
    filled = OrderReply(OrderStatus.FILLED, 10009, 10, 11, 10, 1.1002, 0.1, "done")
    inbox.record("entry-1", filled, AT_NS)
    inbox.record("entry-2", _LOST, AT_NS)
    resolve(inbox, Market(10))
    found = inbox.find(entry(2))
    assert found is not None
    assert found.reply is not None
    assert found.reply.status is OrderStatus.NOT_SENT
    inbox.close()


_LOST = OrderReply(OrderStatus.UNKNOWN, 0, 0, 0, 0, 0.0, 0.0, "lost")
