"""A large account for the benchmark of reconciliation: a journal's book, and the broker's pages."""

from __future__ import annotations

import asyncio
import time

import msgspec

from online.adapters.memory_journal import MemoryJournal
from online.domain.account import Account, Deal, Position
from online.domain.book import Book
from online.domain.market import Side
from online.domain.order import OrderReply, OrderStatus, make_magic
from online.domain.reconciliation import Statement
from online.domain.record import DealRecord, LimitsRecord
from online.gateway.lost_magic import restore_magic_in
from online.gateway.market_desk import PAGE_DEALS
from online.ports import Broker
from online.reconciler import Reconciler, ReconciliationRules
from tests.fake_broker import FakeBroker
from tests.fakes import FakeClock, make_intent, make_limits

N_POSITIONS, N_DEALS = 10_000, 100_000
BEGAN_NS = FakeClock().time_ns - 86_400 * 10**9
BALANCE = 1e6
_FILLED = OrderReply(OrderStatus.FILLED, 10009, 1, 1, 1, 1.1, 0.01, "")


class PagedBroker(FakeBroker):
    """A broker whose statement comes as a gateway's pages: bytes to be decoded and restored."""

    pages: tuple[bytes, ...] = ()

    async def statement(self, since_ns: int) -> Statement:  # noqa: ARG002 - the port's
        """Decode every page and put them together, as the adapter and the gateway do."""
        told = [
            restore_magic_in(msgspec.msgpack.decode(raw, type=Statement), lambda _: 0)
            for raw in self.pages
        ]
        deals = tuple(deal for page in told for deal in page.deals)
        return msgspec.structs.replace(told[-1], deals=deals)


def make_deal(ticket: int, position: int, *, opens: bool) -> Deal:
    """Return one of our fills."""
    side = Side.BUY if opens else Side.SELL
    at_ns = BEGAN_NS + ticket * 10**6
    magic = make_magic(1, position)
    return Deal(
        ticket, ticket, position, magic, "EURUSD", side, opens, "expert", 0.01, 1.1, at_ns, 0.0,
        -0.035,
    )  # fmt: skip


def make_account() -> tuple[Book, tuple[Deal, ...], tuple[Position, ...]]:
    """Return a book that knows every deal, and what the broker tells of them."""
    book = Book()
    deals: list[Deal] = []
    book.apply(LimitsRecord(BEGAN_NS, make_limits()))
    n_trades = (N_DEALS + N_POSITIONS) // 2
    for number in range(1, n_trades + 1):
        magic = make_magic(1, number)
        intent = make_intent(intent_id=f"entry-{number}", magic=magic)
        book.orders.log(intent, f"decision-{number}", BEGAN_NS)
        book.orders.hear(intent.intent_id, _FILLED)  # at once: few orders are open at any time
        deals.append(make_deal(len(deals) + 1, number, opens=True))
        if number > N_POSITIONS:
            deals.append(make_deal(len(deals) + 1, number, opens=False))
    for deal in deals:
        book.apply(DealRecord(deal.at_ns, deal))
    positions = tuple(
        Position(
            number, make_magic(1, number), "EURUSD", Side.BUY, 0.01, 1.1, BEGAN_NS, 1.0, 1.2, number
        )
        for number in range(1, N_POSITIONS + 1)
    )
    return book, tuple(deals), positions


def reconcile() -> tuple[float, int, int]:
    """Return the seconds of a round over everything, and how many positions and deals it had."""
    book, deals, positions = make_account()
    account = Account("USD", BALANCE, BALANCE)
    pages = tuple(
        msgspec.msgpack.encode(
            Statement(account, positions, (), deals[first : first + PAGE_DEALS], BALANCE)
        )
        for first in range(0, len(deals), PAGE_DEALS)
    )
    broker = PagedBroker()
    broker.pages = pages
    seconds = min(_round(broker, book) for _ in range(3))
    if book.findings or not book.compared:
        raise SystemExit(f"journal and broker must agree: {book.findings[:3]}")
    return seconds, len(positions), len(deals)


def _round(broker: Broker, book: Book) -> float:
    rules = ReconciliationRules()
    reconciler = Reconciler(broker, MemoryJournal(), FakeClock(), book, rules)
    began = time.perf_counter()
    asyncio.run(reconciler.compare_all())
    return time.perf_counter() - began
