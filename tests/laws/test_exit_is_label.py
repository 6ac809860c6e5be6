"""The exit is the label: a position in the simulated terminal ends as its label foretold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bars import Bars, quote_both_sides
from models.costs import Costs
from models.labels import EXITS, SideLabels, label_bars
from models.swap import Swap
from online.adapters.simulated_broker import SimulatedBroker
from online.domain.barriers import BarrierRule, barrier_prices, deadline_ns
from online.domain.market import Bar, PriceSide, Side, Timeframe
from online.domain.order import Intent, Purpose
from online.simulator.bars import BidAskBar
from online.simulator.rules import AccountRules
from online.simulator.server_time import NEW_YORK_CLOSE
from online.simulator.terminal import SimulatedTerminal
from online.trade import run_to_completion
from tests import worlds

COMMISSION = 3.5
DEAR = replace(worlds.EURUSD, swap_long_points=-40.0, swap_short_points=-15.0)
MOST_SLIPPED = 60
COUNT = 160


def _gapped(seed: int) -> tuple[Bar, ...]:
    """Return bars of which every 37th and its follower are missing, as over a night."""
    bars = worlds.random_bars(COUNT, seed)
    return tuple(bar for place, bar in enumerate(bars) if place % 37 not in {0, 1})


def _order(purpose: Purpose, side: Side, stop: float, target: float, position: int) -> Intent:
    return Intent(
        intent_id="law",
        magic=1,
        comment="law",
        purpose=purpose,
        symbol="EURUSD",
        side=side,
        volume_lots=1.0,
        stop=stop,
        target=target,
        position=position,
        expires_at_ns=0,
        quoted=0.0,
    )


def _live_through(
    quotes: tuple[BidAskBar, ...],
    decided: int,
    side: Side,
    unit: float,
    rule: BarrierRule,
    slippage: int,
) -> tuple[str, float, float, float]:
    """Return how, from where to where and with what profit a position after a bar ends."""
    rules = AccountRules(commission_per_lot=COMMISSION, leverage=100.0, zone=NEW_YORK_CLOSE)
    known = [DEAR.slipping(slippage)]
    terminal = SimulatedTerminal(known, balance=1_000_000.0, rules=rules)
    broker = SimulatedBroker(terminal)
    first = quotes[decided + 1]
    terminal.begin_bar("EURUSD", first)
    entry = first.ask_open if side is Side.BUY else first.bid_open
    stop, target = barrier_prices(side, entry, unit, rule, worlds.EURUSD.scale)
    opened = run_to_completion(broker.send(_order(Purpose.ENTRY, side, stop, target, 0)))
    deadline = deadline_ns(first.opened_at_ns, rule)
    terminal.finish_bar("EURUSD", first)
    for bar in quotes[decided + 2 :]:
        if not terminal.positions():
            break
        terminal.begin_bar("EURUSD", bar)
        if terminal.positions() and bar.opened_at_ns >= deadline:
            close = _order(Purpose.CLOSE, side.opposite, 0.0, 0.0, opened.position)
            run_to_completion(broker.send(close))
        terminal.finish_bar("EURUSD", bar)
    last = terminal.deals_after(0)[-1]
    profit = terminal.account().balance - 1_000_000.0
    return {"expert": "timeout"}.get(last.reason, last.reason), opened.price, last.price, profit


def _compare(
    seed: int, rule: BarrierRule, slippage: int, rows: slice = slice(None)
) -> tuple[set[str], int]:
    """Hold labels to the terminal; return the exits that were seen, and the nights that cost."""
    bars = _gapped(seed)
    unit = np.random.default_rng(seed).uniform(0.0002, 0.0009, len(bars)).astype(np.float32)
    arrays = Bars(
        *(
            np.array([getattr(bar, name) for bar in bars])
            for name in ("closed_at_ns", "open", "high", "low", "close")
        )
    )
    scale = worlds.EURUSD.scale
    labelled = label_bars(
        quote_both_sides(arrays, PriceSide.ASK, worlds.SPREAD_POINTS, scale),
        unit.astype(np.float64),
        rule,
        Costs(COMMISSION, DEAR.contract_size, swap=Swap.of(DEAR), slippage_points=slippage),
        scale,
    )
    quotes = worlds.market_of(bars).quotes
    seen: set[str] = set()
    nights = 0
    sides: tuple[tuple[Side, SideLabels], ...] = (
        (Side.BUY, labelled.labels.long),
        (Side.SELL, labelled.labels.short),
    )
    for place, row in list(enumerate(labelled.rows.tolist()))[rows]:
        for side, labels in sides:
            lived = _live_through(quotes, row, side, float(unit[row]), rule, slippage)
            how, entry, where, profit = lived
            assert how == EXITS[labels.exit[place]].value
            assert (entry, where) == (labels.entry[place], labels.filled[place])
            expected = labels.net_price[place] * worlds.EURUSD.contract_size
            assert profit == pytest.approx(expected, abs=0.011)  # deals are in cents
            seen.add(how)
            gross = (labels.filled[place] - labels.entry[place]) * side.sign * DEAR.contract_size
            nights += expected < gross - 2 * COMMISSION - 1.0
    return seen, nights


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("stop_units", "target_units"), [(1.0, 1.0), (0.7, 1.6), (1.5, 0.0)])
def test_a_position_ends_how_where_and_with_the_profit_its_label_says(
    seed: int, stop_units: float, target_units: float
) -> None:
    rule = BarrierRule(stop_units, target_units, 5, Timeframe.H1)
    seen, nights = _compare(seed, rule, 4)
    assert nights > 2
    assert seen == {"stop", "timeout"} | ({"target"} if rule.has_target else set())


@given(
    seed=st.integers(0, 2**32 - 1),
    slippage=st.integers(0, MOST_SLIPPED),
    stop_units=st.sampled_from([0.5, 1.0]),
    extra_units=st.sampled_from([0.0, 0.6]),
    first=st.integers(0, 80),
)
@settings(max_examples=40, deadline=None)
def test_whatever_slips_the_account_books_what_the_label_says(
    seed: int, slippage: int, stop_units: float, extra_units: float, first: int
) -> None:
    rule = BarrierRule(stop_units, stop_units + extra_units, 5, Timeframe.H1)
    _compare(seed, rule, slippage, slice(first, first + 8))
