"""Targets: what each class means, and which of them may be traded."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bars import quote_both_sides
from models.families.logistic import LogisticConfig
from models.gates import Alias, judge
from models.labels import Outcome, label_bars
from models.learn import learn
from models.recipe import LabelChoice, Recipe
from models.targets import CALM, WILD, Target, classify_volatility, parse_target
from online.domain.barriers import BarrierRule, barrier_prices
from online.domain.errors import InvalidInput, InvalidManifest
from online.domain.market import PriceSide, Side, Timeframe
from tests.laws.test_label_laws import COSTS, SCALE, random_market
from tests.unit.models.markets import CONTRACT, RULE, make_dataset
from tests.unit.models.test_learn import evidence

NO_TARGET = BarrierRule(1.5, 0.0, 6, Timeframe.H1)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0, 0.3))
def test_a_direction_is_the_side_that_has_gained_when_its_stop_or_its_time_ends_it(
    seed: int, gap_share: float
) -> None:
    bars, unit = random_market(seed, 80, gap_share)
    market = quote_both_sides(bars, PriceSide.ASK, 8.0, SCALE)
    found = label_bars(market, unit, NO_TARGET, COSTS, SCALE, Target.DIRECTION)
    for place in range(len(found.rows)):
        labels = found.labels
        long_gain = labels.long.filled[place] - labels.long.entry[place]
        short_gain = labels.short.entry[place] - labels.short.filled[place]
        assert not (long_gain > 0.0 and short_gain > 0.0)
        wanted = Outcome.NEITHER
        if long_gain > 0.0:
            wanted = Outcome.LONG
        elif short_gain > 0.0:
            wanted = Outcome.SHORT
        assert labels.classes[place] == wanted


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8))
def test_volatility_is_the_mean_true_range_of_the_bars_that_follow(seed: int, n_bars: int) -> None:
    bars, unit = random_market(seed, 60, 0.1)
    rows = np.arange(0, 60 - n_bars, dtype=np.int64)
    found = classify_volatility(bars, rows, unit[rows], n_bars)
    for row, label in zip(rows.tolist(), found.tolist(), strict=True):
        ranges = [
            max(bars.high[bar], bars.close[bar - 1]) - min(bars.low[bar], bars.close[bar - 1])
            for bar in range(row + 1, row + n_bars + 1)
        ]
        measured = float(np.mean(ranges)) / unit[row]
        if min(abs(measured - CALM), abs(measured - WILD)) > 1e-6:
            assert label == (0 if measured < CALM else 2 if measured > WILD else 1)


def test_a_volatility_label_ends_with_the_last_bar_it_looks_at() -> None:
    bars, unit = random_market(3, 80, 0.0)
    market = quote_both_sides(bars, PriceSide.ASK, 8.0, SCALE)
    rule = BarrierRule(1.0, 1.0, 6, Timeframe.H1)
    found = label_bars(market, unit, rule, COSTS, SCALE, Target.VOLATILITY)
    assert found.rows.max() + 6 < 80
    assert (found.labels.ended_at_ns >= bars.closed_at_ns[found.rows + 6]).all()


def test_a_rule_without_a_target_gives_a_stop_and_no_target() -> None:
    assert barrier_prices(Side.BUY, 1.1, 0.001, NO_TARGET, SCALE) == (1.0985, 0.0)
    assert barrier_prices(Side.SELL, 1.1, 0.001, NO_TARGET, SCALE) == (1.1015, 0.0)
    for units in ((1.0, 0.5), (0.0, 0.0), (float("inf"), 0.0), (1.0, -1.0)):
        with pytest.raises(InvalidManifest):
            BarrierRule(*units, 6, Timeframe.H1)


def test_a_model_of_volatility_is_judged_trades_nothing_and_carries_no_alias() -> None:
    recipe = Recipe(
        families=(LogisticConfig(),),
        n_folds=4,
        label=LabelChoice(target=Target.VOLATILITY),
        target="volatility",
    )
    study = learn(make_dataset(), recipe, CONTRACT, RULE, COSTS, 1)
    assert study.comparison.model.pooled.performance.n_trades == 0
    verdict = judge(dataclasses.replace(evidence(study), is_tradable=False))
    assert verdict.best_alias is None
    assert not verdict.allows(Alias.PAPER)
    assert [gate.name for gate in verdict.gates if gate.name == "tradable_target"]


def test_folds_closer_than_the_labels_horizon_fail_a_gate() -> None:
    recipe = Recipe(families=(LogisticConfig(),), n_folds=4)
    study = learn(make_dataset(), recipe, CONTRACT, RULE, COSTS, 1)
    near = judge(dataclasses.replace(evidence(study), embargo_horizons=0.99))
    assert "embargoed" in [gate.name for gate in near.gates if not gate.passed]
    with pytest.raises(InvalidInput, match="extra_embargo_bars"):
        Recipe(extra_embargo_bars=-1)


def test_a_name_says_what_is_predicted() -> None:
    assert parse_target("direction") is Target.DIRECTION
    with pytest.raises(InvalidInput) as caught:
        parse_target("oracle")
    assert caught.value.code == "UNKNOWN_TARGET"
    with pytest.raises(InvalidInput, match="begins so"):
        Recipe(label=LabelChoice(target=Target.VOLATILITY))
    assert LabelChoice(target=Target.DIRECTION).rule(Timeframe.H1).target_units == 0.0
