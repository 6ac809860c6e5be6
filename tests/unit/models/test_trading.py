"""Trading on signals: one position at a time, and the figures drawn from it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.sharpe import deflated_sharpe, expected_best, probabilistic_sharpe
from models.threshold import fit_min_edge
from models.trading import max_drawdown, toss_coins, trade
from online.domain.errors import InvalidInput
from tests.unit.models.markets import make_dataset


@given(seed=st.integers(0, 2**32 - 1), min_edge=st.sampled_from([0.0, 0.3, 0.9]))
@settings(max_examples=30, deadline=None)
def test_no_position_is_entered_while_another_lives(seed: int, min_edge: float) -> None:
    labels = make_dataset().labels
    edge = np.random.default_rng(seed).uniform(-1.0, 1.0, len(labels))
    edge[::7] = 0.0
    expected: list[int] = []
    free_at = 0
    for row in range(len(labels)):
        wanted = abs(edge[row]) >= min_edge and edge[row] != 0.0
        if wanted and labels.decided_at_ns[row] >= free_at:
            expected.append(row)
            side = labels.long if edge[row] > 0.0 else labels.short
            free_at = int(side.ended_at_ns[row])
    trades = trade(edge, labels, min_edge)
    assert trades.rows.tolist() == expected
    chosen = np.where(edge > 0, labels.long.net_units, labels.short.net_units)[expected]
    assert np.array_equal(trades.net_units, chosen)


def test_no_edge_is_no_trade() -> None:
    labels = make_dataset().labels
    assert len(trade(np.zeros(len(labels)), labels, 0.0)) == 0


def test_the_deflated_sharpe_ratio_is_that_of_the_papers_example() -> None:
    # Bailey and López de Prado 2014: 2.5 a year over 1250 days, skew -3, kurtosis 10, 100 trials
    # whose annual Sharpe ratios vary by 1/2; the paper gives 0.1132 and 0.9004.
    threshold = expected_best(100) * math.sqrt(0.5 / 250.0)
    assert threshold == pytest.approx(0.1132, abs=5e-5)
    found = probabilistic_sharpe(2.5 / math.sqrt(250.0), threshold, 1250, -3.0, 10.0)
    assert found == pytest.approx(0.9004, abs=5e-5)


def test_more_trials_deflate_the_sharpe_ratio() -> None:
    units = np.random.default_rng(1).normal(0.1, 1.0, 500)
    alone, among = deflated_sharpe(units, [], 1), deflated_sharpe(units, [], 50)
    assert 0.0 < among < 0.5 < alone < 1.0


def test_the_deflated_sharpe_ratio_of_too_few_trades_is_not_a_number() -> None:
    assert math.isnan(deflated_sharpe(np.array([1.0, 2.0]), [], 1))
    assert math.isnan(deflated_sharpe(np.ones(100), [], 1))


def test_drawdown_starts_at_nothing_earned() -> None:
    assert max_drawdown(np.array([-1.0, -2.0, 5.0, -1.5])) == 3.0
    assert max_drawdown(np.array([])) == 0.0


def test_the_threshold_keeps_its_coverage_in_every_fold_and_is_the_best_that_was_tried() -> None:
    labels = make_dataset().labels
    fold = np.arange(len(labels)) * 4 // len(labels)
    edge = np.random.default_rng(2).normal(0.0, 0.1, len(labels)) * (1.0 + fold)
    found = fit_min_edge(edge, labels, fold, 0.25)
    for candidate in found.tried:
        by_fold = [(np.abs(edge[fold == n]) >= candidate.min_edge).mean() for n in range(4)]
        assert candidate.least_coverage == min(by_fold) >= 0.25
    means = [float(candidate.trades.net_units.mean()) for candidate in found.tried]
    assert float(found.chosen.trades.net_units.mean()) == max(means)
    quiet = fold == 0
    alone = fit_min_edge(edge[quiet], labels.take(np.flatnonzero(quiet)), fold[quiet], 0.25)
    assert max(c.min_edge for c in found.tried) == max(c.min_edge for c in alone.tried)


def test_a_model_without_any_edge_has_no_threshold() -> None:
    labels = make_dataset().labels
    with pytest.raises(InvalidInput) as caught:
        fit_min_edge(np.zeros(len(labels)), labels, np.zeros(len(labels), dtype=np.int64), 0.25)
    assert caught.value.code == "NO_EDGE_VARIES"


def test_coins_trade_the_entries_of_the_model() -> None:
    labels = make_dataset().labels
    edge = np.random.default_rng(3).uniform(-1.0, 1.0, len(labels))
    trades = trade(edge, labels, 0.2)
    totals = toss_coins(trades, labels, 7)
    both = labels.long.net_units[trades.rows] + labels.short.net_units[trades.rows]
    assert totals.mean() == pytest.approx(both.sum() / 2.0, abs=4.0 * totals.std() / 20.0)
    assert np.array_equal(totals, toss_coins(trades, labels, 7))
