"""Laws of labels: the vectorised labels are the scalar domain functions, bar by bar."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bars import Bars, quote_both_sides
from models.costs import Costs
from models.labels import EXITS, Outcome, horizon_ns, label_bars
from models.swap import Swap
from models.targets import Target
from models.trading import hold_units
from online.domain.barriers import (
    BarrierRule,
    Exit,
    barrier_prices,
    deadline_ns,
    exit_at_open,
    exit_within_bar,
)
from online.domain.errors import InvalidInput, InvalidMarketData
from online.domain.market import PriceSide, Side, Timeframe

HOUR = Timeframe.H1.duration_ns
SCALE = 100_000.0
COSTS = Costs(3.5, 100_000.0)


def random_market(seed: int, n_bars: int, gap_share: float) -> tuple[Bars, np.ndarray]:
    """Return a random walk of bars on the price step, with closures, and a unit."""
    rng = np.random.default_rng(seed)
    gaps = np.where(rng.random(n_bars) < gap_share, rng.integers(2, 60, n_bars), 1)
    closed = 1_483_228_800_000_000_000 + np.cumsum(gaps) * HOUR
    points = 112_000 + np.cumsum(rng.integers(-60, 61, n_bars))
    opened = points + rng.integers(-25, 26, n_bars)
    high = np.maximum(points, opened) + rng.integers(0, 60, n_bars)
    low = np.minimum(points, opened) - rng.integers(0, 60, n_bars)
    bars = Bars(closed.astype(np.int64), *(x / SCALE for x in (opened, high, low, points)))
    unit = rng.integers(2, 200, n_bars) / SCALE
    return bars, unit.astype(np.float32).astype(np.float64)


def follow(
    side: Side, opening: Bars, closing: Bars, decided: int, unit: float, rule: BarrierRule
) -> tuple[Exit, float, int] | None:
    """Live one position as the simulated terminal does: one bar after the other."""
    first = decided + 1
    entry = float(opening.open[first])
    stop, target = barrier_prices(side, entry, unit, rule, SCALE)
    deadline = deadline_ns(int(closing.closed_at_ns[first]) - HOUR, rule)
    for bar in range(first, len(closing)):
        opened = float(closing.open[bar])
        at_open = exit_at_open(side, stop, target, opened)
        if at_open is not None:
            return *at_open, bar
        if bar > first and int(closing.closed_at_ns[bar]) - HOUR >= deadline:
            return Exit.TIMEOUT, opened, bar
        found = exit_within_bar(
            side, stop, target, opened, float(closing.high[bar]), float(closing.low[bar])
        )
        if found is not None:
            return *found, bar
    return None


@given(
    seed=st.integers(0, 2**32 - 1),
    gap_share=st.sampled_from([0.0, 0.02, 0.2]),
    stop_units=st.sampled_from([0.5, 1.0, 1.7]),
    extra_units=st.sampled_from([0.0, 0.3, 2.0]),
    timeout_bars=st.integers(1, 12),
    price_side=st.sampled_from(list(PriceSide)),
    spread_points=st.sampled_from([0.0, 8.0, 30.0]),
)
@settings(max_examples=60, deadline=None)
def test_labels_are_what_following_each_position_bar_by_bar_gives(
    seed: int,
    gap_share: float,
    stop_units: float,
    extra_units: float,
    timeout_bars: int,
    price_side: PriceSide,
    spread_points: float,
) -> None:
    bars, unit = random_market(seed, 80, gap_share)
    rule = BarrierRule(stop_units, stop_units + extra_units, timeout_bars, Timeframe.H1)
    market = quote_both_sides(bars, price_side, spread_points, SCALE)
    labelled = label_bars(market, unit, rule, COSTS, SCALE)
    place = {int(row): n for n, row in enumerate(labelled.rows)}
    whole = within_horizon(bars, rule)
    for row in range(len(bars)):
        contiguous = whole[row] and (
            row + 1 < len(bars) and bars.closed_at_ns[row + 1] - HOUR == bars.closed_at_ns[row]
        )
        long = short = None
        if contiguous:
            long = follow(Side.BUY, market.ask, market.bid, row, float(unit[row]), rule)
            short = follow(Side.SELL, market.bid, market.ask, row, float(unit[row]), rule)
            assert long is not None
            assert short is not None
        if long is None or short is None:
            assert row not in place
            continue
        label = labelled.labels.take(slice(place[row], place[row] + 1))
        for expected, side in ((long, label.long), (short, label.short)):
            assert EXITS[side.exit[0]] is expected[0]
            assert side.filled[0] == expected[1]
            assert side.ended_at_ns[0] == bars.closed_at_ns[expected[2]]
        assert label.ended_at_ns[0] == bars.closed_at_ns[max(long[2], short[2])]
        by_class = {
            Outcome.LONG: long[0] is Exit.TARGET,
            Outcome.SHORT: short[0] is Exit.TARGET,
        }
        assert not all(by_class.values())
        wanted = next((c for c, reached in by_class.items() if reached), Outcome.NEITHER)
        assert label.classes[0] == wanted


def within_horizon(bars: Bars, rule: BarrierRule) -> np.ndarray:
    """Tell of each bar whether a position opened after it would be timed out within the bars."""
    opened = np.append(bars.closed_at_ns[1:], 2**62) - HOUR
    return np.asarray(opened + rule.timeout_ns <= bars.closed_at_ns[-1] - HOUR)


@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(30, 79))
@settings(max_examples=40, deadline=None)
def test_no_label_looks_beyond_its_end_stamp(seed: int, cut: int) -> None:
    bars, unit = random_market(seed, 80, 0.05)
    rule = BarrierRule(1.0, 1.0, 6, Timeframe.H1)
    everything = label_bars(
        quote_both_sides(bars, PriceSide.ASK, 8.0, SCALE), unit, rule, COSTS, SCALE
    )
    past = bars.take(np.arange(cut))
    known = label_bars(
        quote_both_sides(past, PriceSide.ASK, 8.0, SCALE), unit[:cut], rule, COSTS, SCALE
    )
    ended = np.isin(everything.rows, np.flatnonzero(within_horizon(past, rule)))
    assert np.array_equal(everything.rows[ended], known.rows)
    assert np.all(known.labels.ended_at_ns <= past.closed_at_ns[-1])
    expected = everything.labels.take(np.flatnonzero(ended))
    assert np.array_equal(expected.classes, known.labels.classes)
    assert np.array_equal(expected.long.net_units, known.labels.long.net_units)
    assert np.array_equal(expected.short.net_units, known.labels.short.net_units)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_every_bar_is_labelled_or_counted_as_left_out(seed: int) -> None:
    bars, unit = random_market(seed, 120, 0.05)
    unit[:14] = np.nan
    rule = BarrierRule(1.0, 1.5, 6, Timeframe.H1)
    labelled = label_bars(
        quote_both_sides(bars, PriceSide.BID, 8.0, SCALE), unit, rule, COSTS, SCALE
    )
    assert len(labelled.labels) + sum(labelled.left_out.values()) == len(bars)


def test_the_last_bars_are_labelled_by_none_of_their_outcomes() -> None:
    bars, unit = random_market(5, 200, 0.0)
    rule = BarrierRule(0.5, 0.5, 12, Timeframe.H1)
    market = quote_both_sides(bars, PriceSide.ASK, 8.0, SCALE)
    labelled = label_bars(market, unit, rule, COSTS, SCALE)
    last = len(bars) - 2 - rule.timeout_bars
    assert labelled.rows[-1] == last
    assert labelled.left_out["beyond_window"] == len(bars) - 1 - last
    ended_early = [
        follow(Side.BUY, market.ask, market.bid, row, float(unit[row]), rule)
        for row in range(last + 1, len(bars) - 1)
    ]
    assert any(end is not None for end in ended_early)  # such a label alone would be kept


def test_costs_make_every_outcome_worse_by_exactly_the_commission() -> None:
    bars, unit = random_market(7, 200, 0.0)
    rule = BarrierRule(1.0, 1.0, 6, Timeframe.H1)
    market = quote_both_sides(bars, PriceSide.ASK, 8.0, SCALE)
    free = label_bars(market, unit, rule, Costs(0.0, 100_000.0), SCALE).labels
    paid = label_bars(market, unit, rule, COSTS, SCALE).labels
    assert paid.long.net_price == pytest.approx(free.long.net_price - 0.00007)
    assert paid.short.net_price == pytest.approx(free.short.net_price - 0.00007)


def test_each_night_costs_what_the_swap_says_and_no_class_changes() -> None:
    bars, unit = random_market(7, 400, 0.0)
    rule = BarrierRule(2.0, 2.0, 30, Timeframe.H1)
    market = quote_both_sides(bars, PriceSide.ASK, 8.0, SCALE)
    free = label_bars(market, unit, rule, COSTS, SCALE).labels
    swap = Swap(-0.00004, -0.00001, "Thu")
    paid = label_bars(market, unit, rule, replace(COSTS, swap=swap), SCALE).labels
    assert np.array_equal(paid.classes, free.classes)
    for a_night, dear, cheap in (
        (-0.00004, paid.long, free.long),
        (-0.00001, paid.short, free.short),
    ):
        nights = (dear.net_price - cheap.net_price) / a_night
        assert nights == pytest.approx(np.rint(nights), abs=1e-6)
        assert set(np.rint(nights).astype(int)) >= {0, 1, 3}
        assert dear.net_units == pytest.approx(dear.net_price / dear.risk)


@given(
    seed=st.integers(0, 2**32 - 1),
    points=st.integers(0, 200),
    target=st.sampled_from([Target.BARRIER, Target.DIRECTION]),
)
@settings(max_examples=30, deadline=None)
def test_each_fill_at_the_market_costs_the_slippage_and_no_class_exit_or_risk_changes(
    seed: int, points: int, target: Target
) -> None:
    bars, unit = random_market(seed, 120, 0.05)
    units = 1.3 if target is Target.BARRIER else 0.0
    rule = BarrierRule(1.0, units, 6, Timeframe.H1)
    market = quote_both_sides(bars, PriceSide.ASK, 8.0, SCALE)
    free = label_bars(market, unit, rule, COSTS, SCALE, target).labels
    costs = replace(COSTS, slippage_points=points)
    paid = label_bars(market, unit, rule, costs, SCALE, target).labels
    assert np.array_equal(paid.classes, free.classes)
    for dear, cheap in ((paid.long, free.long), (paid.short, free.short)):
        assert np.array_equal(dear.exit, cheap.exit)
        assert np.array_equal(dear.risk, cheap.risk)
        assert np.array_equal(dear.ended_at_ns, cheap.ended_at_ns)
        fills = np.where(dear.exit == EXITS.index(Exit.TARGET), 1, 2)
        lost = (cheap.net_price - dear.net_price) * SCALE
        assert lost == pytest.approx(points * fills, abs=1e-5)
        assert dear.net_units == pytest.approx(dear.net_price / dear.risk)


def test_what_is_bought_and_held_slips_at_both_ends() -> None:
    bars, unit = random_market(7, 200, 0.0)
    rule = BarrierRule(1.0, 1.0, 6, Timeframe.H1)
    market = quote_both_sides(bars, PriceSide.ASK, 8.0, SCALE)
    held = []
    for points in (0, 5):
        costs = replace(COSTS, slippage_points=points)
        labels = label_bars(market, unit, rule, costs, SCALE).labels
        held.append(hold_units(labels, np.arange(len(labels)), costs)[1])
    assert held[0] - held[1] == pytest.approx(10 / SCALE * COSTS.contract_size)


@pytest.mark.parametrize("wrong", [-1, 1.5, float("nan"), True])
def test_costs_with_a_slippage_that_cannot_be_are_refused(wrong: float) -> None:
    with pytest.raises(InvalidInput, match="whole number of points"):
        replace(COSTS, slippage_points=wrong)  # type: ignore[arg-type]  # that is what is refused


def test_a_slippage_that_leaves_no_price_is_refused() -> None:
    bars, unit = random_market(7, 60, 0.0)
    market = quote_both_sides(bars, PriceSide.ASK, 8.0, SCALE)
    costs = replace(COSTS, slippage_points=10_000_000)
    with pytest.raises(InvalidMarketData, match="leaves no price"):
        label_bars(market, unit, BarrierRule(1.0, 1.0, 6, Timeframe.H1), costs, SCALE)


def test_the_horizon_covers_every_label_of_an_uninterrupted_market() -> None:
    bars, unit = random_market(11, 300, 0.0)
    rule = BarrierRule(3.0, 3.0, 9, Timeframe.H1)
    market = quote_both_sides(bars, PriceSide.ASK, 8.0, SCALE)
    labels = label_bars(market, unit, rule, COSTS, SCALE).labels
    longest = int((labels.ended_at_ns - labels.decided_at_ns).max())
    assert longest <= horizon_ns(rule)
