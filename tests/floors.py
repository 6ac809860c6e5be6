"""An operator's floor for tests: a journal, and the simulated terminal behind a link that fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from online.adapters.memory_journal import MemoryJournal
from online.adapters.simulated_broker import SimulatedBroker
from online.domain.account import Position
from online.domain.book import Book
from online.domain.errors import InvalidInput, Unavailable
from online.domain.market import Instrument, Quote
from online.domain.operation import Operation
from online.domain.order import Intent, OrderReply, OrderStatus
from online.domain.reconciliation import Statement
from online.domain.record import OperationRecord
from online.operate import Wish, operate
from online.ports import Observation
from online.sending import append, resolve_pending, send
from online.simulator.terminal import SimulatedTerminal
from online.trade import run_to_completion
from tests.fakes import BAR_NS, EURUSD, FakeClock
from tests.gateway_world import entry
from tests.journals import decision

SECOND_NS = 1_000_000_000


class Died(BaseException):
    """The process ended here."""


@dataclass
class FailingBroker:
    """A broker whose orders are lost on the way there, or their replies on the way back.

    `refuses` is AutoTrading switched off, `cannot_tell` an order that nothing is told of. `reached`
    counts how often each order came to the terminal; `dies_before` and `dies_after` end the process
    there, around the order.
    """

    inner: SimulatedBroker
    loses_order: bool = False
    loses_reply: bool = False
    refuses: bool = False
    down: bool = False
    cannot_tell: str = ""
    dies_before: bool = False
    dies_after: bool = False
    reached: Counter[str] = field(default_factory=Counter)

    async def observe(
        self, symbol: str, after_deal: int, pairs: tuple[str, ...] = ()
    ) -> Observation:
        if self.down:
            raise Unavailable("the terminal is down")
        return await self.inner.observe(symbol, after_deal, pairs)

    async def statement(self, since_ns: int) -> Statement:
        if self.down:
            raise Unavailable("the terminal is down")
        return await self.inner.statement(since_ns)

    async def send(self, intent: Intent) -> OrderReply:
        if self.dies_before:
            raise Died
        if self.loses_order:
            raise Unavailable("the order was lost on its way")
        self.reached[intent.intent_id] += 1
        if self.refuses:
            words = "AutoTrading disabled by client"
            return OrderReply(OrderStatus.REJECTED, 10027, 0, 0, 0, 0.0, 0.0, words)
        reply = await self.inner.send(intent)
        if self.dies_after:
            raise Died
        if self.loses_reply:
            raise Unavailable("the reply was lost")
        return reply

    async def find(self, intent: Intent) -> OrderReply | None:
        if self.down:
            raise Unavailable("the terminal is down")
        if intent.intent_id == self.cannot_tell:
            raise InvalidInput("another order has this id", code="INTENT_DIFFERS")
        return await self.inner.find(intent)


class TestFloor:
    """Everything an operation needs, within reach; it quotes EURUSD 1.1 to 1.1002."""

    __test__ = False
    strategy = 1

    def __init__(self, *, hedging: bool = True) -> None:
        self.terminal = SimulatedTerminal([EURUSD], hedging=hedging)
        self.journal = MemoryJournal()
        self.clock = FakeClock()
        self.book = Book()
        self.broker = FailingBroker(SimulatedBroker(self.terminal))
        self.instruments: Mapping[str, Instrument] = {"EURUSD": EURUSD}
        self.clock.time_ns = BAR_NS
        self.quote(1.1, 1.1002)

    def quote(self, bid: float, ask: float) -> None:
        """Let a second pass and the market say something."""
        self.clock.time_ns += SECOND_NS
        self.terminal.on_quote(Quote("EURUSD", bid, ask, self.clock.time_ns))

    def enter(self, **changes: Any) -> OrderReply:  # noqa: ANN401 - fields of Intent
        """Journal an entry as a decision does, and send it."""
        number = self.book.allocate()
        intent = entry(number, **changes)
        record = msgspec.structs.replace(decision(number, self.clock.time_ns), intent=intent)
        run_to_completion(append(self, record))
        return run_to_completion(send(intent, record.decision_id, self))

    def operate(self, client_id: str, operation: Operation) -> OrderReply:
        """Carry out an operation."""
        return run_to_completion(operate(Wish(client_id, operation, "ann", "a test"), self))

    def resolve(self) -> int:
        """Look for evidence; return how many orders stay unknown."""
        return len(run_to_completion(resolve_pending(self)))

    def restart(self) -> None:
        """Forget everything but the journal."""
        self.book = Book()
        for record in self.journal.records():
            self.book.apply(record)

    @property
    def held(self) -> Position:
        """The one open position."""
        (position,) = self.terminal.positions()
        return position

    @property
    def operations(self) -> list[OperationRecord]:
        """What was journaled of operations."""
        return [r for r in self.journal.records() if isinstance(r, OperationRecord)]
