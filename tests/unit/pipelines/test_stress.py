"""What a backtest is asked afterwards: attribution, luck, other choices, crises, and its page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from feature_repo.bars import BarArrays
from feature_repo.panel import Panel
from online.domain.market import Timeframe
from online.domain.rollover import rollovers
from online.instruments import load_instruments
from pipelines.attribution import attribute, months_of
from pipelines.backtest_report import Story, write_report
from pipelines.crises import crises_within
from pipelines.lanes import with_wider_spread
from pipelines.market import Market
from pipelines.performance import measure
from pipelines.resampling import BLOCK_BARS, redraw_candles, shuffle_trades
from pipelines.simulation import Backtest, Lane
from pipelines.stress import World, hold, stress, toss, vary
from tests import worlds

BARS = worlds.random_bars(400, seed=1)
LANE = Lane(
    worlds.market_of(BARS),
    np.array([bar.closed_at_ns for bar in BARS]),
    worlds.columns_of(BARS, seed=2),
    worlds.ToneModel(worlds.manifest_of()),
)
WORLD = World(worlds.LIMITS, worlds.TERMS, load_instruments())
DAY_NS = 86_400_000_000_000


def arrays_of(market: Market) -> BarArrays:
    return BarArrays.from_rows(list(market.bars))


@pytest.fixture(scope="module")
def found() -> Backtest:
    return WORLD.run([LANE])


def test_the_shares_of_every_kind_add_up_to_all_closed_trades(found: Backtest) -> None:
    manifests = {"EURUSD": LANE.model.manifest}
    shares = attribute(found.performance, found.records, manifests)
    total = sum(trade.pnl_net for trade in found.performance.trades)
    assert set(shares) == {"symbol", "session", "side", "exit", "volatility at entry", "month"}
    for kind in shares.values():
        assert sum(share.trades for share in kind) == len(found.performance.trades)
        assert sum(share.pnl_net for share in kind) == pytest.approx(total)
    assert {share.name for share in shares["volatility at entry"]} == {
        *("calm third", "middle third", "wild third")
    }
    assert len(shares["session"]) == 3


def test_the_months_add_up_to_the_change_of_equity(found: Backtest) -> None:
    rows = months_of(found.performance)
    assert sum(change for _, change, _ in rows) == pytest.approx(found.performance.pnl_net)
    assert all(0.0 <= fall < 1.0 for _, _, fall in rows)


def test_shuffled_trades_have_one_sum_and_many_falls(found: Backtest) -> None:
    luck = shuffle_trades(found.performance, seed=1)
    assert luck is not None
    assert luck == shuffle_trades(found.performance, seed=1)
    assert 0.0 < luck.median <= luck.worst_twentieth < 1.0
    assert 0.0 <= luck.share_worse <= 1.0
    assert shuffle_trades(measure((), 1.0), seed=1) is None


def test_redrawn_candles_keep_stamps_shapes_and_what_lies_before() -> None:
    bars = arrays_of(LANE.market)
    part = replace(LANE.market, bars=BARS[100:], quotes=LANE.market.quotes[100:])
    drawn, market = redraw_candles(bars, part, seed=3)
    again, _ = redraw_candles(bars, part, seed=3)
    assert np.array_equal(drawn.closed_at_ns, bars.closed_at_ns)
    assert np.array_equal(drawn.close[:100], bars.close[:100])
    assert not np.array_equal(drawn.close[100:], bars.close[100:])
    assert np.array_equal(drawn.close, again.close)
    assert [bar.close for bar in market.bars] == drawn.close[100:].tolist()
    before = np.diff(np.log(bars.close[99:]))
    steps = np.diff(np.log(drawn.close[99:]))[1:BLOCK_BARS]
    assert np.abs(steps[:, None] - before[None, :]).min(axis=1).max() < 2e-5  # a tick, rounded


def test_twice_the_spread_moves_the_other_side_alone() -> None:
    wider = with_wider_spread(LANE, 2.0).market.quotes
    for new, old in zip(wider, LANE.market.quotes, strict=True):
        assert new.ask_open == old.ask_open
        assert new.ask_open - new.bid_open == pytest.approx(2 * (old.ask_open - old.bid_open))


def test_other_choices_change_what_they_say(found: Backtest) -> None:
    rows = {row.name: row.performance for row in vary([LANE], WORLD)}
    assert len(rows) == 8
    assert len(rows["least edge x 0.5"].trades) >= len(rows["least edge x 1.5"].trades)
    assert rows["all costs x 2"].pnl_net < rows["slippage x 2"].pnl_net < found.performance.pnl_net
    first = found.performance.trades[0].volume_lots  # sized by what is declared, not by the stress
    assert rows["all costs x 2"].trades[0].volume_lots <= first
    assert rows["slippage x 2"].trades[0].volume_lots == first
    small = max(trade.volume_lots for trade in rows["risk a trade x 0.5"].trades)
    assert small < max(trade.volume_lots for trade in found.performance.trades)


def test_coins_enter_about_as_often_as_the_model_and_are_seeded(found: Backtest) -> None:
    luck = toss([LANE], WORLD, found.performance, 5)
    assert luck == toss([LANE], WORLD, found.performance, 5)
    entered = np.mean([run.actions["buy"] + run.actions["sell"] for run in luck.runs])
    own = found.performance.actions["buy"] + found.performance.actions["sell"]
    assert entered == pytest.approx(own, rel=0.25)
    assert len({run.pnl_net for run in luck.runs}) == 5
    assert luck.runs[0].pnl_net <= luck.middle.pnl_net <= luck.runs[-1].pnl_net


@pytest.mark.parametrize("currency", ["USD", "EUR"])
def test_what_is_bought_and_held_ends_where_the_price_does(currency: str) -> None:
    held = hold([LANE], replace(worlds.TERMS, currency=currency, commission_per_lot=0.0))
    quotes = LANE.market.quotes
    first, last = quotes[0], quotes[-1]
    swap = worlds.EURUSD.swap_long_points
    assert swap is not None
    nights = sum(n for _, n in rollovers(first.opened_at_ns, last.closed_at_ns, "Wed"))
    paid = nights * swap / worlds.EURUSD.scale
    assert nights > 5
    slipped = worlds.EURUSD.slipped_points * worlds.EURUSD.point
    assert slipped > 0.0
    bought, sold = first.ask_open + slipped, last.bid_close - slipped
    unit = bought if currency == "USD" else sold  # 10,000 euros' worth earns dollars
    expected = worlds.TERMS.balance * (sold + paid - bought) / unit
    assert held.pnl_net == pytest.approx(expected)


def test_a_crisis_is_told_only_if_the_run_lived_through_it() -> None:
    day_ns = int(np.datetime64("2015-01-15", "ns").astype(np.int64))
    path = [(day_ns + step * DAY_NS, 100.0 - 5.0 * (step == 1)) for step in range(-3, 9)]
    told = crises_within(replace(measure((), 100.0), equity=tuple(path)))
    assert [(each.day, each.pnl_net, each.max_drawdown) for each in told] == [
        ("2015-01-15", 0.0, 0.05)
    ]
    short = tuple(point for point in path if point[0] < day_ns + 2 * DAY_NS)
    assert crises_within(replace(measure((), 100.0), equity=short)) == ()
    assert crises_within(measure((), 100.0)) == ()


def test_the_page_says_what_was_learnt_from_and_what_was_left_out(
    found: Backtest, tmp_path: Path
) -> None:
    shares = attribute(found.performance, found.records, {"EURUSD": LANE.model.manifest})
    panel = Panel("EURUSD", Timeframe.H1, arrays_of(LANE.market))
    asked = stress([LANE], [panel], WORLD, found.performance)
    assert asked.candles.runs == ()
    assert "could not be drawn anew" in asked.candles.left_out  # the tone is not in the catalogue
    story = Story(
        (LANE.market,), 7, found.performance, found.performance, shares, asked, worlds.TERMS
    )
    write_report(tmp_path / "page.html", story)
    text = (tmp_path / "page.html").read_text()
    for said in ("7 of 400 bars lie within a training window", "Where it came from", "coins that"):
        assert said in text
    for said in ("slippage x 2", "all costs x 2", "What it cost", "Slippage of EURUSD: 4 points"):
        assert said in text
    assert asked.candles.left_out.split(":")[0] in text


def test_a_quick_page_has_neither_luck_nor_other_choices(found: Backtest, tmp_path: Path) -> None:
    shares = attribute(found.performance, found.records, {"EURUSD": LANE.model.manifest})
    story = Story(
        (LANE.market,), 0, found.performance, found.performance, shares, None, worlds.TERMS
    )
    write_report(tmp_path / "page.html", story)
    text = (tmp_path / "page.html").read_text()
    assert "Every bar lies behind the training windows" in text
    assert "Other choices" not in text
