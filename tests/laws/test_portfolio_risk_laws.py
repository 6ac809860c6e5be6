"""Laws of the worst case: replies lost, positions that show late, restarts; no limit is broken."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online.domain.account import Account, Position
from online.domain.book import Book
from online.domain.errors import Unavailable
from online.domain.limits import Limits
from online.domain.market import Quote, Timeframe
from online.domain.order import Intent, OrderReply, Purpose
from online.domain.record import Request
from online.ports import Observation
from online.sending import resolve_pending
from online.trade import Desk, consider, run_to_completion
from tests.fake_broker import FakeBroker
from tests.fakes import (
    BAR_NS,
    HOUR_NS,
    INSTRUMENTS,
    LONG,
    SHORT,
    FakeClock,
    FakeFeatures,
    FakeJournal,
    FakeModel,
    make_limits,
    make_manifest,
    make_position,
    make_reading,
)
from tests.journals import refold

pytestmark = pytest.mark.lean
UNITS = {"EURUSD": 0.00125, "USDJPY": 0.15}
PRICES = {"EURUSD": (1.1, 1.1001), "USDJPY": (110.0, 110.01)}


@dataclass(slots=True)
class LateBroker(FakeBroker):
    """Broker whose replies get lost and whose positions then show only when they are revealed."""

    hidden: list[Position] = field(default_factory=list)
    at_ns: int = BAR_NS

    async def observe(
        self, symbol: str, after_deal: int, pairs: tuple[str, ...] = ()
    ) -> Observation:
        self.quote = Quote(symbol, *PRICES[symbol], self.at_ns)
        margin = sum(map(value_of, self.positions or ())) / 100.0
        self.account = Account("USD", 10_000.0, 10_000.0, margin, 100.0)
        return await FakeBroker.observe(self, symbol, after_deal, pairs)

    async def send(self, intent: Intent) -> OrderReply:
        self.sent.append(intent)
        if intent.purpose is Purpose.CLOSE:
            kept = (p for p in self.positions or () if p.ticket != intent.position)
            self.positions = tuple(kept)
            return self._reply(intent, intent.position)
        position = make_position(
            ticket=len(self.sent) + 100,
            magic=intent.magic,
            symbol=intent.symbol,
            side=intent.side,
            volume_lots=intent.volume_lots,
            opened_price=intent.quoted,
        )
        if self.loses:
            self.hidden.append(position)
            raise Unavailable("the reply was lost")
        self.positions = (*(self.positions or ()), position)
        return self._reply(intent, position.ticket)

    async def find(self, intent: Intent) -> OrderReply | None:
        for position in self.positions or ():
            if position.magic == intent.magic:
                return self._reply(intent, position.ticket)
        return None

    def reveal(self) -> None:
        """Let everything show that has filled unseen."""
        self.positions = (*(self.positions or ()), *self.hidden)
        self.hidden.clear()

    @property
    def truth(self) -> tuple[Position, ...]:
        """What is held in fact."""
        return (*(self.positions or ()), *self.hidden)


@dataclass(frozen=True, slots=True)
class Step:
    """One request, and what happens to its order and after it."""

    symbol: str
    goes_long: bool
    minutes: int
    loses: bool
    reveals: bool
    restarts: bool
    ends: bool


STEPS = st.builds(
    Step,
    symbol=st.sampled_from(sorted(UNITS)),
    goes_long=st.booleans(),
    minutes=st.integers(1, 30),
    loses=st.booleans(),
    reveals=st.booleans(),
    restarts=st.booleans(),
    ends=st.booleans(),
)
LIMITS = st.builds(
    make_limits,
    allowed_symbols=st.just(("EURUSD", "USDJPY")),
    max_volume_lots=st.floats(0.05, 1.0),
    max_symbol_notional=st.floats(5_000.0, 150_000.0),
    max_currency_notional=st.floats(5_000.0, 150_000.0),
    max_gross_notional=st.floats(5_000.0, 200_000.0),
    max_orders_per_window=st.integers(2, 6),
    max_repeats_per_window=st.integers(1, 2),
    min_margin_level_percent=st.floats(100.0, 2_000.0),
)


@settings(max_examples=80, deadline=None)
@given(LIMITS, st.lists(STEPS, min_size=2, max_size=25))
def test_no_sequence_breaks_a_limit_whatever_was_lost_hidden_or_restarted(
    limits: Limits, steps: list[Step]
) -> None:
    broker, clock, journal, book = LateBroker(), FakeClock(), FakeJournal(), Book()
    desks = {
        symbol: Desk(
            *(FakeFeatures(), broker, journal, clock),
            *(FakeModel(manifest=make_manifest(symbol=symbol)), limits, INSTRUMENTS, book),
        )
        for symbol in UNITS
    }
    sent: list[tuple[int, Intent]] = []
    for step in steps:
        clock.time_ns = broker.at_ns = clock.time_ns + step.minutes * 60 * 1_000_000_000
        bar_ns = clock.time_ns
        desk = desks[step.symbol]
        features, model = desk.features, desk.model
        assert isinstance(features, FakeFeatures)
        assert isinstance(model, FakeModel)
        features.reading = make_reading((55.0, 0.0, UNITS[step.symbol], 0.5), (bar_ns, bar_ns))
        model.probabilities = LONG if step.goes_long else SHORT
        broker.loses = step.loses
        before = len(broker.sent)
        request = Request(step.symbol, Timeframe.H1, bar_ns, send=True)
        run_to_completion(consider(request, desk))
        for intent in broker.sent[before:]:
            if intent.purpose is Purpose.ENTRY:
                sent.append((clock.time_ns, intent))
                assert_worst_case(limits, broker.truth)
                assert_paces(limits, sent)
        if step.reveals:
            broker.reveal()
            run_to_completion(resolve_pending(desk))
        if step.ends:
            broker.positions = ()
        if step.restarts:
            book = refold(journal.records)
            for each in desks.values():
                each.book = book


def assert_worst_case(limits: Limits, truth: tuple[Position, ...]) -> None:
    """Check what is held in fact, seen or not, against every limit of exposure."""
    values = {p.ticket: value_of(p) for p in truth}
    assert sum(values.values()) <= limits.max_gross_notional
    for symbol in UNITS:
        total = sum(values[p.ticket] for p in truth if p.symbol == symbol)
        assert total <= limits.max_symbol_notional
        net = sum(p.side.sign * values[p.ticket] for p in truth if p.symbol == symbol)
        assert abs(net) <= limits.max_currency_notional
        sides = {p.side for p in truth if p.symbol == symbol}
        assert len(sides) <= 1  # none crosses another of ours
    assert limits.min_margin_level_percent * sum(values.values()) / 100.0 <= 10_000.0 * 100.0


def value_of(position: Position) -> float:
    """Return a position's value in dollars, independently of the rules."""
    units = position.volume_lots * 100_000.0
    return units * position.opened_price if position.symbol == "EURUSD" else units


def assert_paces(limits: Limits, sent: list[tuple[int, Intent]]) -> None:
    """Check every window that ends with the newest entry."""
    now_ns, newest = sent[-1]
    assert sum(at > now_ns - HOUR_NS for at, _ in sent) <= limits.max_orders_per_window
    same = [
        at
        for at, intent in sent
        if intent.symbol == newest.symbol
        and intent.side is newest.side
        and at > now_ns - limits.repeat_window_seconds * 1_000_000_000
    ]
    assert len(same) <= limits.max_repeats_per_window
