"""Laws of risk: whatever is asked in whatever order, no order that leaves breaks a limit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online.domain.account import Account, Position
from online.domain.book import Book
from online.domain.circumstances import judge_quote
from online.domain.limits import Limits
from online.domain.market import Quote, Side, Timeframe
from online.domain.order import Purpose
from online.domain.record import Request, decode_record, encode_record
from online.domain.risk import judge_entry
from online.domain.signal import Probabilities
from online.sending import resolve_pending
from online.trade import Desk, consider, run_to_completion
from tests.fake_broker import FakeBroker
from tests.fakes import (
    BAR_NS,
    EURUSD,
    HOUR_NS,
    INSTRUMENTS,
    LONG,
    SECOND_NS,
    SHORT,
    FakeClock,
    FakeFeatures,
    FakeJournal,
    FakeModel,
    make_facts,
    make_intent,
    make_limits,
    make_quote,
    make_reading,
)

pytestmark = pytest.mark.lean
ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)
NEAR_PRICE = st.one_of(st.floats(0.9, 1.3), ANY_FLOAT)


@dataclass(frozen=True, slots=True)
class Ask:
    """One request and the world it meets."""

    hours: int
    send: bool
    probabilities: Probabilities
    bid: float
    spread_points: float
    equity: float
    unit: float
    loses: bool
    forgets: bool
    seconds_late: int


ASKS = st.builds(
    Ask,
    hours=st.integers(0, 3),
    send=st.booleans(),
    probabilities=st.sampled_from([LONG, SHORT]),
    bid=NEAR_PRICE,
    spread_points=st.one_of(st.floats(0.0, 60.0), ANY_FLOAT),
    equity=st.one_of(st.floats(5_000.0, 50_000.0), ANY_FLOAT),
    unit=st.one_of(st.floats(1e-4, 1e-2), ANY_FLOAT),
    loses=st.booleans(),
    forgets=st.booleans(),
    seconds_late=st.integers(-5, 120),
)
LIMITS = st.builds(
    make_limits,
    max_volume_lots=st.floats(0.01, 2.0),
    max_notional=st.floats(1_000.0, 200_000.0),
    max_gross_notional=st.floats(1_000.0, 200_000.0),
    max_spread_points=st.floats(1.0, 40.0),
    max_orders_per_window=st.integers(1, 4),
    max_daily_loss_fraction=st.floats(0.01, 0.2),
    max_drawdown_fraction=st.floats(0.01, 0.5),
)


@settings(max_examples=150, deadline=None)
@given(LIMITS, st.lists(ASKS, min_size=1, max_size=25))
def test_no_sequence_of_requests_sends_an_order_beyond_a_limit(
    limits: Limits, asks: list[Ask]
) -> None:
    broker, clock, features, model = FakeBroker(), FakeClock(), FakeFeatures(), FakeModel()
    journal = FakeJournal()
    desk = Desk(features, broker, journal, clock, model, limits, INSTRUMENTS, Book())
    bar_ns, sent_at_ns = BAR_NS, []
    for ask in asks:
        bar_ns += ask.hours * HOUR_NS
        clock.time_ns = bar_ns + max(ask.seconds_late, 0) * SECOND_NS
        quoted_ns = bar_ns + min(ask.seconds_late, 0) * SECOND_NS
        broker.quote = Quote("EURUSD", ask.bid, ask.bid + ask.spread_points * 1e-5, quoted_ns)
        broker.account = Account("USD", ask.equity, ask.equity)
        broker.loses = ask.loses
        if ask.forgets:  # a stop or a target ended them
            broker.positions = ()
        features.reading = make_reading((55.0, 0.0, ask.unit, 0.5), (bar_ns, bar_ns))
        model.probabilities = ask.probabilities
        held, before = broker.positions or (), len(broker.sent)
        run_to_completion(consider(Request("EURUSD", Timeframe.H1, bar_ns, ask.send), desk))
        for intent in broker.sent[before:]:
            assert ask.send
            if intent.purpose is Purpose.CLOSE:
                continue
            sent_at_ns.append(clock.time_ns)
            assert_within(limits, intent.volume_lots, intent.quoted, held)
            assert 0.0 < intent.stop < math.inf
            assert intent.side.sign * (intent.quoted - intent.stop) > 0.0
            loss = abs(intent.quoted - intent.stop) * intent.volume_lots * EURUSD.contract_size
            assert loss <= ask.equity * limits.risk_per_trade_fraction * (1.0 + 1e-9)
            assert ask.spread_points <= limits.max_spread_points + 1e-6
        if ask.loses:
            run_to_completion(resolve_pending(desk))
    assert_rate(limits, sent_at_ns)
    entries = [i.intent_id for i in broker.sent if i.purpose is Purpose.ENTRY]
    assert len(entries) == len(set(entries))
    assert all(decode_record(encode_record(record)) == record for record in journal.records)


def assert_within(
    limits: Limits, volume_lots: float, price: float, held: tuple[Position, ...]
) -> None:
    """Check an entry's size against the limits, on top of what is held."""
    notional = volume_lots * EURUSD.contract_size * price
    gross = sum(p.volume_lots * EURUSD.contract_size * p.opened_price for p in held)
    assert 0.0 < volume_lots <= limits.max_volume_lots
    assert notional <= limits.max_notional
    assert notional + gross <= limits.max_gross_notional


def assert_rate(limits: Limits, sent_at_ns: list[int]) -> None:
    """Check that no window held more entries than allowed."""
    window_ns = limits.order_window_seconds * SECOND_NS
    for start in sent_at_ns:
        inside = [at for at in sent_at_ns if start <= at < start + window_ns]
        assert len(inside) <= limits.max_orders_per_window


@given(ANY_FLOAT, ANY_FLOAT, st.integers(-(10**15), 10**15))
def test_a_quote_that_passes_is_a_fresh_market_within_the_cap(
    bid: float, ask: float, age_ns: int
) -> None:
    limits = make_limits()
    quote = make_quote(bid, ask, BAR_NS - age_ns)
    if not judge_quote(quote, EURUSD, limits, BAR_NS):
        assert 0.0 < bid <= ask < math.inf
        assert 0 <= age_ns <= limits.max_quote_age_milliseconds * 1_000_000
        assert (ask - bid) * EURUSD.scale <= limits.max_spread_points + 1e-6


@given(ANY_FLOAT, ANY_FLOAT, ANY_FLOAT, ANY_FLOAT, st.sampled_from(Side))
def test_an_order_that_passes_has_a_finite_size_and_exits_on_their_sides(
    volume: float, quoted: float, stop: float, target: float, side: Side
) -> None:
    intent = make_intent(volume_lots=volume, quoted=quoted, stop=stop, target=target, side=side)
    limits, quote = make_limits(), make_quote()
    if not judge_entry(intent, make_facts(), INSTRUMENTS, limits):
        closing = quote.price_to_close(side)
        assert 0.0 < volume <= limits.max_volume_lots
        assert side.sign * (closing - stop) > 0.0
        assert side.sign * (target - closing) > 0.0
        assert math.isfinite(volume * quoted * stop * target)


@given(st.sampled_from(["bid", "ask"]), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_a_number_that_is_none_never_reaches_the_journal(name: str, number: float) -> None:
    broker, journal = FakeBroker(), FakeJournal()
    broker.quote = msgspec.structs.replace(make_quote(), **{name: number})
    desk = Desk(
        FakeFeatures(),
        broker,
        journal,
        FakeClock(),
        FakeModel(),
        make_limits(),
        INSTRUMENTS,
        Book(),
    )
    run_to_completion(consider(Request("EURUSD", Timeframe.H1, BAR_NS, send=True), desk))
    (record,) = journal.records
    assert decode_record(encode_record(record)) == record
