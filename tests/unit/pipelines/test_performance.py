"""Figures of a journal."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from pipelines.performance import Performance, measure
from pipelines.simulation import simulate
from tests import worlds

BARS = worlds.random_bars(400, seed=1)


@pytest.fixture(scope="module")
def performance() -> Performance:
    return simulate(
        worlds.market_of(BARS),
        np.array([bar.closed_at_ns for bar in BARS]),
        worlds.columns_of(BARS, seed=2),
        worlds.ToneModel(worlds.manifest_of()),
        worlds.LIMITS,
        worlds.TERMS,
        {"EURUSD": worlds.EURUSD},
    ).performance


def test_every_decision_is_counted_and_every_order_filled(performance: Performance) -> None:
    assert performance.decisions == len(BARS) - 1
    assert performance.orders == performance.fills > 50
    assert sum(performance.actions.values()) == performance.decisions


def test_profit_of_closed_trades_and_the_open_one_is_the_change_of_equity(
    performance: Performance,
) -> None:
    closed = sum(trade.pnl_net for trade in performance.trades)
    entries = performance.actions["buy"] + performance.actions["sell"]
    assert entries - len(performance.trades) in {0, 1}
    if entries == len(performance.trades):
        assert closed == pytest.approx(performance.pnl_net, abs=1e-6)


def test_a_random_market_costs_its_spread_and_commission(performance: Performance) -> None:
    assert performance.pnl_net < 0.0
    assert 0.0 < performance.max_drawdown < 1.0
    assert 0.0 <= performance.win_rate <= 1.0


def test_an_empty_journal_has_no_figures_that_look_like_some() -> None:
    empty = measure((), 10_000.0)
    assert empty.decisions == empty.orders == empty.fills == 0
    assert empty.pnl_net == 0.0
    assert math.isnan(empty.win_rate)
    assert math.isnan(empty.sharpe)


def test_a_flat_equity_has_no_sharpe_ratio() -> None:
    day = 86_400_000_000_000
    flat = measure((), 100.0, last=(day, 100.0))
    assert math.isnan(flat.sharpe)
    assert flat.max_drawdown == 0.0


def test_a_year_of_weekly_returns_has_52_of_them_and_no_year_has_more_than_252() -> None:
    day = 86_400_000_000_000
    values = [100.0 + 0.1 * step + (0.2 if step % 2 else 0.0) for step in range(60)]
    bare = Performance(0, 0, 0, 0, {}, {}, (), (), 100.0)

    def annual(days_apart: int) -> float:
        points = tuple((step * days_apart * day, value) for step, value in enumerate(values))
        return dataclasses.replace(bare, equity=points).sharpe

    assert annual(7) / annual(1) == pytest.approx(math.sqrt(365.25 / 7.0 / 252.0))
    assert annual(2) / annual(1) == pytest.approx(math.sqrt(365.25 / 2.0 / 252.0))
