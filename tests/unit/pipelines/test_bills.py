"""The bill of a run: every cost apart, and together they are the difference to no costs at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from online.instruments import load_charged
from pipelines.bills import bill_of
from pipelines.performance import Performance
from pipelines.simulation import Lane
from pipelines.stress import World
from tests import worlds

BARS = worlds.random_bars(400, seed=1)
MARKET = worlds.market_of(BARS)
LANE = Lane(
    MARKET,
    np.array([bar.closed_at_ns for bar in BARS]),
    worlds.columns_of(BARS, seed=2),
    worlds.ToneModel(worlds.manifest_of()),
)


def run(slippage: int) -> Performance:
    world = World(
        worlds.LIMITS, worlds.TERMS, load_charged(worlds.TERMS.commission_per_lot, slippage)
    )
    return world.run([LANE]).performance


def test_each_cost_is_told_apart_and_all_add_up() -> None:
    found = run(4)
    market = replace(MARKET, instrument=worlds.EURUSD.slipping(4))
    bill = bill_of(market, found.trades, "USD")
    lots = [trade.volume_lots for trade in found.trades]
    fills = [1 if trade.reason == "target" else 2 for trade in found.trades]
    assert len(set(fills)) == 2
    assert bill.trades == len(found.trades) > 20
    # a point of a lot is a dollar
    assert bill.slippage == pytest.approx(-4.0 * np.dot(fills, lots))
    assert bill.spread == pytest.approx(-worlds.SPREAD_POINTS * sum(lots))
    assert bill.commission == pytest.approx(-2 * 3.5 * sum(lots), abs=0.01 * 2 * len(lots))
    assert bill.swap < 0.0
    assert bill.net == pytest.approx(sum(trade.pnl_net for trade in found.trades))
    parts = [bill.before_costs, bill.spread, bill.commission, bill.swap, bill.slippage]
    assert sum(parts) == pytest.approx(bill.net)
    row = bill.row()
    assert list(row)[2:] == ["before costs", "spread", "commission", "swap", "slippage", "net"]


def test_without_slippage_nothing_is_charged_for_it_and_the_run_earns_more() -> None:
    free, paid = run(0), run(4)
    assert (
        bill_of(replace(MARKET, instrument=worlds.EURUSD.slipping(0)), free.trades, "USD").slippage
        == 0
    )
    assert free.pnl_net > paid.pnl_net
    assert [trade.opened_at_ns for trade in free.trades][:5] == [
        trade.opened_at_ns for trade in paid.trades
    ][:5]


def test_profit_in_another_currency_is_valued_as_it_was_booked() -> None:
    trade = run(0).trades[0]
    move = (trade.closed_price - trade.opened_price) * trade.volume_lots * 100_000.0
    sign = 1.0 if trade.side == "buy" else -1.0
    booked = replace(trade, pnl_net=sign * move * 0.7, commission=0.0, swap=0.0)
    foreign = replace(worlds.EURUSD, base_currency="EUR", profit_currency="CHF", slippage_points=4)
    bill = bill_of(replace(MARKET, instrument=foreign), [booked], "USD")
    assert bill.spread == pytest.approx(-8.0 * 0.7 * trade.volume_lots)
    own = replace(foreign, base_currency="USD")
    assert bill_of(replace(MARKET, instrument=own), [booked], "USD").spread == pytest.approx(
        -8.0 * trade.volume_lots / trade.closed_price
    )
    assert bill_of(replace(MARKET, instrument=foreign), [], "USD").before_costs == 0.0
