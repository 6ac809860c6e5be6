"""What a search's trials earned by day, and how much of the best of them is luck."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from models.bars import Floats
from models.compare import count_search
from models.families.xgboost import XgboostConfig
from models.labels import Outcome
from models.learn import Study, learn
from models.overfitting import overfitting_probability
from models.recipe import Recipe
from models.search import (
    DAY_NS,
    DailyUnits,
    SearchLuck,
    Tried,
    add_folds,
    days_of,
    earn_daily,
    weigh_search,
)
from models.sharpe import effective_trials
from models.trading import trade
from online.domain.errors import InvalidInput
from tests.unit.models.markets import CONTRACT, COSTS, RULE, make_dataset

CONFIG = XgboostConfig()
SHARES = (0.25, 1.0)


def tried(number: int, units: Floats, *, pruned: bool = False) -> Tried:
    days = np.arange(len(units), dtype=np.int64)
    return Tried(number, CONFIG, 1.0, pruned, DailyUnits(days, SHARES, units))


def noise(seed: int, n_days: int = 300) -> Floats:
    return np.random.default_rng(seed).standard_normal((n_days, 2))


@pytest.fixture(scope="module")
def study() -> Study:
    recipe = Recipe(families=(XgboostConfig(max_rounds=20, patience=3, min_rounds=5),), n_folds=3)
    return learn(make_dataset(1200), recipe, CONTRACT, RULE, COSTS, 8)


def test_what_is_earned_by_day_adds_up_to_what_the_trades_earn() -> None:
    labels = make_dataset().labels.take(np.arange(400, 900, dtype=np.int64))
    chances = np.random.default_rng(5).dirichlet(np.ones(3), len(labels))
    days = days_of(labels.decided_at_ns)
    units = earn_daily(chances, labels, SHARES, np.append(days, days[-1] + 9))
    edge = chances[:, Outcome.LONG] - chances[:, Outcome.SHORT]
    for column, share in enumerate(SHARES):
        least = float(np.sort(np.abs(edge))[-math.ceil(share * len(edge))])
        trades = trade(edge, labels, least)
        assert np.nansum(units[:, column]) == pytest.approx(trades.net_units.sum())
        first = trades.net_units[labels.decided_at_ns[trades.rows] // DAY_NS == days[0]]
        assert units[0, column] == pytest.approx(first.sum())
    assert np.isnan(units[-1]).all()
    assert not np.isnan(units[:-1]).any()


def test_a_day_that_two_folds_share_holds_both() -> None:
    first = np.array([[1.0], [2.0], [np.nan], [np.nan]])
    second = np.array([[np.nan], [0.5], [0.25], [np.nan]])
    joined = add_folds([first, second])
    assert np.array_equal(joined, [[1.0], [2.5], [0.25], [np.nan]], equal_nan=True)


def test_units_are_read_back_bit_by_bit_and_as_a_table_of_days() -> None:
    units = np.array([[1 / 3, 0.0], [np.nan, np.nan]])
    known = DailyUnits(np.array([17_000, 17_003], dtype=np.int64), SHARES, units)
    again = dataclasses.replace(known, units=np.zeros((2, 2))).unpack(known.pack())
    assert again.units.tobytes() == units.tobytes()
    assert known.table() == ("day,share_0.250,share_1.000\n2016-07-18,0.333333,0\n2016-07-21,,\n")
    with pytest.raises(InvalidInput, match="expected 2 units"):
        dataclasses.replace(known, units=np.zeros((1, 2))).unpack(known.pack())


def test_all_settings_and_shares_are_compared_with_each_other() -> None:
    trials = [tried(number, noise(number)) for number in range(20)]
    luck = weigh_search(trials)
    assert luck is not None
    assert (luck.n_trials, luck.n_pruned, luck.n_columns, luck.n_days) == (20, 0, 40, 300)
    assert luck.effective_trials == pytest.approx(40.0, rel=0.2)
    assert 0.2 < luck.overfitting < 0.8
    better = noise(3)
    better[:, 1] += 0.6
    best = weigh_search([*trials, tried(20, better)])
    assert best is not None
    assert best.overfitting < 0.05
    assert weigh_search([]) is None


def test_a_trial_given_up_early_is_compared_where_it_was_judged() -> None:
    returns = np.concatenate([noise(seed) for seed in range(6)], axis=1)
    returns[:, 0] += 0.6
    known = overfitting_probability(returns)
    short = returns.copy()
    short[100:, 5] = np.nan
    assert overfitting_probability(short) == pytest.approx(known, abs=0.05)
    returns[100:, 0] = np.nan  # the best one is given up early: what is left of it still leads
    assert overfitting_probability(returns) < 0.2
    returns[:, 1:] = np.nan
    assert math.isnan(overfitting_probability(returns))


def test_trials_that_share_no_day_count_as_independent() -> None:
    returns = np.full((200, 2), np.nan)
    returns[:100, 0] = returns[100:, 1] = noise(1, 100)[:, 0]
    assert effective_trials(returns) == 2.0


def test_too_few_days_say_nothing_of_overfitting() -> None:
    luck = weigh_search([tried(0, noise(1, 1))])
    assert luck is not None
    assert math.isnan(luck.overfitting)


def test_a_search_changes_what_trials_are_worth_and_never_how_many_are_counted(
    study: Study,
) -> None:
    known = study.comparison
    assert known.n_trials == 8 * len(study.threshold.tried)
    assert known.deflated_sharpe <= known.deflated_sharpe_effective
    alike = SearchLuck(6, 1, 60, 200, 0.5, 1.5)
    found = count_search(known, study.threshold, alike)
    assert (found.n_trials, found.deflated_sharpe) == (known.n_trials, known.deflated_sharpe)
    assert found.effective_trials < known.effective_trials
    assert found.deflated_sharpe_effective >= known.deflated_sharpe_effective
    assert found.luck()["search.overfitting"] == 0.5
    assert "50% among the 60 pairs of 6 settings and their thresholds" in found.luck_told()
    assert "no settings were searched" in known.luck_told()
    unlike = count_search(known, study.threshold, SearchLuck(9, 0, 90, 200, 0.5, 900.0))
    assert unlike.effective_trials == known.n_trials
    assert count_search(known, study.threshold, None) is known
