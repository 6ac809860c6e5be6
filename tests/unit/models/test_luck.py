"""Intervals and the probability of backtest overfitting."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.bootstrap import figure_interval, mean_interval, resampled_sums, sharpe_interval
from models.labels import Rows
from models.overfitting import overfitting_probability
from models.reliability import calibration_error
from models.sharpe import effective_trials
from online.domain.errors import InvalidInput


def test_the_best_of_noise_is_luck_half_of_the_time() -> None:
    found = [
        overfitting_probability(np.random.default_rng(seed).standard_normal((600, 12)))
        for seed in range(30)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.12)


def test_a_trial_that_is_better_throughout_is_no_luck() -> None:
    returns = np.random.default_rng(1).standard_normal((600, 12))
    returns[:, 4] += 0.5
    assert overfitting_probability(returns) < 0.05


def test_trials_that_are_all_the_same_are_as_good_as_each_other() -> None:
    returns = np.tile(np.random.default_rng(1).standard_normal((600, 1)), (1, 5))
    assert overfitting_probability(returns) == 0.5


def test_one_trial_is_no_choice() -> None:
    assert math.isnan(overfitting_probability(np.ones((100, 1))))
    with pytest.raises(InvalidInput, match="even"):
        overfitting_probability(np.ones((100, 2)), 7)


def test_an_interval_of_independent_values_is_that_of_the_normal() -> None:
    values = np.random.default_rng(2).standard_normal(2500) + 0.3
    found = mean_interval(values, 1, 7)
    half = 1.645 * values.std() / 50.0
    assert found.low == pytest.approx(values.mean() - half, abs=half / 8)
    assert found.high == pytest.approx(values.mean() + half, abs=half / 8)


def test_neighbours_that_repeat_each_other_widen_the_interval() -> None:
    values = np.repeat(np.random.default_rng(3).standard_normal(250), 10)
    naive, honest = mean_interval(values, 1, 7), mean_interval(values, 40, 7)
    assert honest.high - honest.low > 2.0 * (naive.high - naive.low)


def test_the_sharpe_ratio_lies_within_its_interval() -> None:
    values = np.random.default_rng(4).standard_normal(400) + 0.2
    low, high = sharpe_interval(values, 7, 7)
    assert low < values.mean() / values.std() < high


def test_a_calibration_error_lies_within_its_interval_although_repeated_rows_inflate_it() -> None:
    random = np.random.default_rng(5)
    said = random.dirichlet((4.0, 4.0, 4.0), 600)
    came = (random.random(600)[:, None] > said.cumsum(axis=1)[:, :-1]).sum(axis=1)

    def error(rows: Rows) -> float:
        return calibration_error(said[rows], came[rows])

    everything = np.arange(600)
    raw = figure_interval(error, 600, 5, 7)
    mended = figure_interval(error, 600, 5, 7, repeats_inflate=True)
    assert not raw.low <= error(everything) <= raw.high
    assert mended.low < error(everything) < mended.high
    assert mended.high - mended.low == pytest.approx(raw.high - raw.low)
    assert figure_interval(lambda _: 0.0, 600, 5, 7, repeats_inflate=True) == (0.0, 0.0)


def test_too_few_values_have_no_interval() -> None:
    assert math.isnan(mean_interval(np.ones(1), 1, 7).low)
    assert math.isnan(sharpe_interval(np.ones(50), 3, 7).high)


def test_every_resample_has_as_many_values_as_there_are() -> None:
    assert set(resampled_sums(np.ones(103), 10, 7)) == {103.0}


def test_trials_that_lean_on_each_other_are_worth_fewer() -> None:
    random = np.random.default_rng(3)
    apart = random.standard_normal((4000, 6))
    assert effective_trials(apart) == pytest.approx(6.0, abs=0.1)
    together = np.repeat(apart[:, :1], 6, axis=1)
    assert effective_trials(together) == pytest.approx(1.0)
    assert 1.0 < effective_trials(together + apart) < 6.0
    assert effective_trials(np.zeros((100, 3))) == 1.0
