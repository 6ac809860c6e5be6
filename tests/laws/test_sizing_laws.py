"""Laws of sizing: a stopped entry loses what was declared, all costs counted, and hardly less."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from online.adapters.simulated_broker import SimulatedBroker
from online.domain.account import Account
from online.domain.conversion import conversion_symbols, read_rates
from online.domain.market import Quote, Side
from online.domain.order import Intent
from online.domain.record import DecisionRecord
from online.domain.sizing import Sizing, size_entry
from online.instruments import charge, load_charged, load_instruments
from online.simulator.rules import AccountRules
from online.simulator.terminal import SimulatedTerminal
from online.trade import run_to_completion
from pipelines.simulation import simulate
from tests import worlds
from tests.fakes import make_intent, make_limits

PRICES = {
    "EURUSD": 1.1,
    "USDJPY": 150.0,
    "XAUUSD": 1300.0,
    "NSXUSD": 7000.0,
    "BTCUSD": 9000.0,
    "GBPUSD": 1.3,
    "EURJPY": 165.0,
    "GBPJPY": 195.0,
}
TRADED = ("EURUSD", "USDJPY", "XAUUSD", "NSXUSD", "BTCUSD")
BOOKED = 0.005 * 3 * 1.01
"""Profit and both commissions are booked in cents: by how much they may be off together."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that will be stopped."""

    symbol: str
    currency: str
    side: Side
    equity: float
    fraction: float
    spread_points: int
    stop_points: int
    commission_per_lot: float
    slippage_points: int | None


ENTRIES = st.builds(
    Entry,
    symbol=st.sampled_from(TRADED),
    currency=st.sampled_from(["USD", "EUR", "JPY", "GBP"]),
    side=st.sampled_from(Side),
    equity=st.floats(1_000.0, 1e6),
    fraction=st.floats(0.001, 0.1),
    spread_points=st.integers(0, 40),
    stop_points=st.integers(50, 30_000),
    commission_per_lot=st.floats(0.0, 30.0),
    slippage_points=st.one_of(st.none(), st.integers(0, 2_000)),
)


def _quote(symbol: str, bid: float, spread_points: int = 0) -> Quote:
    scale = load_instruments()[symbol].scale
    ticks = round(bid * scale)
    return Quote(symbol, ticks / scale, (ticks + spread_points) / scale, 0)


def _stop_out(entry: Entry) -> tuple[Sizing, float] | None:
    """Size an entry, let the simulated terminal stop it; return the size and the whole loss.

    None if the budget does not buy the smallest volume.
    """
    known = load_charged(entry.commission_per_lot, entry.slippage_points)
    own, side = known[entry.symbol], entry.side
    quote = _quote(entry.symbol, PRICES[entry.symbol], entry.spread_points)
    pairs = conversion_symbols([own], entry.currency, known)
    others = [_quote(pair, PRICES[pair]) for pair in pairs]
    opened = quote.price_to_open(side)
    stop = round(opened * own.scale - side.sign * entry.stop_points) / own.scale
    equity = round(entry.equity, 2)
    limits = make_limits(risk_per_trade_fraction=entry.fraction, max_volume_lots=1e6)
    account = Account(entry.currency, equity, equity, 0.0, 1e9)
    rates = read_rates(others, known, 1_000, 0)
    sizing = size_entry(account, opened, stop, own, limits, rates)
    assert sizing is not None
    if not sizing.volume_lots:
        return None

    rules = AccountRules(
        currency=entry.currency,
        commission_per_lot=entry.commission_per_lot,
        leverage=1e9,
        stop_out_percent=0.0,
    )
    terminal = SimulatedTerminal(known, balance=equity, rules=rules)
    for each in (*others, quote):
        terminal.on_quote(each)
    order: Intent = make_intent(
        symbol=entry.symbol, side=side, volume_lots=sizing.volume_lots, stop=stop, target=0.0
    )
    reply = run_to_completion(SimulatedBroker(terminal).send(order))
    assert reply.volume_lots == sizing.volume_lots
    away = entry.spread_points / own.scale
    bid = stop if side is Side.BUY else stop - away
    terminal.on_quote(Quote(entry.symbol, bid, bid + away if side is Side.BUY else stop, 1))
    assert not terminal.positions()
    assert terminal.deals_after(0)[-1].reason == "stop"
    return sizing, equity - terminal.account().balance


@given(ENTRIES)
@settings(max_examples=300, deadline=None)
def test_a_stopped_entry_loses_the_declared_fraction_at_most_and_a_step_less_at_least(
    entry: Entry,
) -> None:
    found = _stop_out(entry)
    assume(found)
    assert found is not None
    sizing, lost = found
    budget = round(entry.equity, 2) * entry.fraction
    assert lost <= budget * (1.0 + 1e-9) + BOOKED
    assert lost == pytest.approx(sizing.volume_lots * sizing.loss_per_lot, rel=1e-9, abs=BOOKED)
    if sizing.volume_lots + sizing.step_lots <= sizing.most_lots:
        a_step_more = lost + sizing.step_lots * sizing.loss_per_lot + BOOKED
        assert a_step_more >= budget * (1.0 - 1e-9)


@given(ENTRIES)
@settings(max_examples=60, deadline=None)
def test_the_journal_alone_gives_the_same_volume(entry: Entry) -> None:
    found = _stop_out(entry)
    assume(found)
    assert found is not None
    sizing, _ = found
    told = msgspec.json.decode(msgspec.json.encode(sizing), type=Sizing)
    assert told == sizing
    assert told.volume_lots == sizing.volume_lots
    assert told.volume_lots <= told.most_lots  # so its own limit never refuses it


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_stop_of_a_backtest_loses_more_than_was_declared(seed: int) -> None:
    bars = worlds.random_bars(400, seed)
    instruments = load_instruments()
    stamps_ns = np.array([bar.closed_at_ns for bar in bars])
    model, columns = worlds.ToneModel(worlds.manifest_of()), worlds.columns_of(bars, seed)
    found = simulate(
        *(worlds.market_of(bars), stamps_ns, columns, model),
        *(worlds.LIMITS, worlds.TERMS, instruments),
    )
    decided = {
        record.at_ns: record
        for record in found.records
        if isinstance(record, DecisionRecord) and record.sizing and record.intent
    }
    own = charge(instruments, worlds.TERMS.commission_per_lot)["EURUSD"]
    slipped = own.slipped_points / own.scale
    shares = []
    for trade in found.performance.trades:
        record = decided[trade.opened_at_ns]
        assert record.intent is not None
        assert record.account is not None
        filled = abs(trade.closed_price - record.intent.stop)
        if trade.reason == "stop" and filled < slipped + 0.5 / own.scale:  # no gap
            budget = record.account.equity * worlds.LIMITS.risk_per_trade_fraction
            shares.append((trade.swap - trade.pnl_net - BOOKED) / budget)
    assert len(shares) > 10
    assert 0.9 < max(shares) <= 1.0


def test_sizes_without_costs_would_lose_more_than_was_declared() -> None:
    entry = Entry("EURUSD", "USD", Side.BUY, 1e5, 0.01, 8, 150, 3.5, 4)
    found = _stop_out(entry)
    assert found is not None
    sizing, lost = found
    assert lost <= 1_000.0
    careless = replace(load_instruments()["EURUSD"].slipping(0), commission_per_lot=0.0)
    account, limits = Account("USD", 1e5, 1e5), make_limits(max_volume_lots=1e3)
    before = size_entry(account, 1.1, 1.0985, careless, limits, {})
    assert before is not None
    assert before.volume_lots * sizing.loss_per_lot > 1_090.0
