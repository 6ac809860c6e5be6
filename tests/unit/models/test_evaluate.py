"""What is judged: calibrated rows, decisions that were taken, thresholds chosen before."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from models.attribution import attribute
from models.bounds import bound
from models.evaluate import COVERAGES, OutOfFold, accuracy_by_coverage, evaluate, hits
from models.labels import Outcome
from models.recipe import LabelChoice, Recipe
from models.reliability import judge_probabilities
from models.threshold import Threshold, fit_min_edge
from models.trading import trade
from online.domain.market import Timeframe
from tests.unit.models.markets import COSTS, HOUR, START_NS, make_dataset

N_FOLDS = 4


def signals_of(seed: int = 1) -> OutOfFold:
    """Return random signals in folds of equal length; of the first, each is wild."""
    labels = make_dataset().labels
    random = np.random.default_rng(seed)
    said = random.dirichlet([4.0, 2.0, 4.0], len(labels))
    fold = np.arange(len(labels)) * N_FOLDS // len(labels)
    said[fold == 0] = np.where(random.random((int(np.sum(fold == 0)), 1)) < 0.5, *WILD)
    prior = np.full((len(labels), 3), 1.0 / 3.0)
    return OutOfFold("drawn", said, prior, labels, fold)


WILD = (np.array([0.98, 0.01, 0.01]), np.array([0.01, 0.01, 0.98]))


def test_pooled_figures_of_probabilities_leave_out_what_nothing_has_calibrated() -> None:
    signals = signals_of()
    found = evaluate(signals, 0.1, COSTS)
    later = signals.fold > 0
    expected = judge_probabilities(
        signals.probabilities[later], signals.labels.classes[later], signals.prior[later]
    )
    assert found.pooled.reliability == expected
    assert found.folds[0].reliability.log_loss > 1.5 * found.pooled.reliability.log_loss
    assert [part.reliability.n_rows for part in found.folds] == [
        int(np.sum(signals.fold == number)) for number in range(N_FOLDS)
    ]
    intervals = bound(signals, found.trades, 0.1, 7)
    for name in ("log_loss", "brier", "auc", "information"):
        assert intervals[name].low <= found.pooled.figures()[name] <= intervals[name].high, name


def test_pooled_figures_of_trades_hold_every_fold() -> None:
    found = evaluate(signals_of(), 0.1, COSTS)
    parts = [part.performance.n_trades for part in found.folds]
    assert found.pooled.performance.n_trades == sum(parts)
    assert min(parts) > 0


def test_a_single_fold_is_judged_whole() -> None:
    signals = dataclasses.replace(signals_of(), fold=np.zeros(len(make_dataset()), np.int64))
    assert signals.calibrated.all()


def test_a_month_of_the_first_fold_alone_has_no_log_loss() -> None:
    signals = signals_of()
    january = signals.labels.decided_at_ns < START_NS + 31 * 24 * HOUR
    alone = dataclasses.replace(signals, fold=np.where(january, 0, 1))
    shares = attribute(alone, trade(alone.edge, alone.labels, 0.1))
    told = [share["log_loss"] for share in shares if share["by"] == "month"]
    assert told[0] is None
    assert None not in told[1:]


def test_an_edge_of_zero_is_no_decision_and_no_hit() -> None:
    signals = signals_of()
    silent = signals.probabilities.copy()
    silent[1::2] = [0.3, 0.4, 0.3]
    quiet = dataclasses.replace(signals, probabilities=silent)
    assert not hits(quiet)[1::2].any()
    wrong = np.where(silent[::2, Outcome.LONG] > silent[::2, Outcome.SHORT], 2, 0)
    classes = quiet.labels.classes.copy()
    classes[::2], classes[1::2] = wrong, Outcome.SHORT  # as if silence were a short
    labels = dataclasses.replace(quiet.labels, classes=classes)
    curve = accuracy_by_coverage(dataclasses.replace(quiet, labels=labels))
    told = [hit for hit in curve if math.isfinite(hit)]
    assert told == [1.0] * sum(share <= 0.5 for share in COVERAGES)
    assert all(math.isnan(hit) for hit in curve[len(told) :])


def threshold_of(signals: OutOfFold) -> Threshold:
    return fit_min_edge(signals.edge, signals.labels, signals.fold, 0.25)


def test_forward_thresholds_know_nothing_of_the_fold_they_trade() -> None:
    labels, fold = signals_of().labels, signals_of().fold
    edge = np.random.default_rng(1).normal(0.0, 0.1, len(labels))
    forward = fit_min_edge(edge, labels, fold, 0.25).trade_forward(edge, labels, fold)
    assert set(fold[forward.rows]) == {1, 2, 3}
    began = int(labels.decided_at_ns[fold == 3][0])
    later = labels.decided_at_ns >= began
    long = dataclasses.replace(
        labels.long, net_units=np.where(later, -labels.long.net_units, labels.long.net_units)
    )
    other = dataclasses.replace(labels, long=long)
    turned = fit_min_edge(edge, other, fold, 0.25).trade_forward(edge, other, fold)
    assert not np.array_equal(turned.net_units, forward.net_units)
    assert np.array_equal(turned.rows, forward.rows)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_forward_thresholds_know_nothing_of_the_edges_that_come_later(seed: int) -> None:
    signals = signals_of()
    labels, fold = signals.labels, signals.fold
    edge = np.random.default_rng(seed).normal(0.0, 0.1, len(labels))
    until = fold <= 2
    weaker = np.where(until, edge, edge / 10.0)
    forward = fit_min_edge(edge, labels, fold, 0.25).trade_forward(edge, labels, fold).rows
    other = fit_min_edge(weaker, labels, fold, 0.25).trade_forward(weaker, labels, fold).rows
    assert len(forward[until[forward]])
    assert np.array_equal(other[until[other]], forward[until[forward]])


def test_what_was_chosen_for_earning_earns_more_on_noise_than_what_was_chosen_before() -> None:
    gained = []
    for seed in range(12):
        signals = signals_of(seed)
        threshold = threshold_of(signals)
        mine = threshold.trade_forward(signals.edge, signals.labels, signals.fold)
        chosen = threshold.chosen.trades
        same = chosen.net_units[signals.fold[chosen.rows] > 0]
        gained.append(float(same.mean() - mine.net_units.mean()))
    assert np.mean(gained) > 0.0


@pytest.mark.parametrize("window", ["1 to 2", "1 to 3", "0 to 2"])
def test_another_window_is_another_trial(window: str) -> None:
    recipe, names = Recipe(label=LabelChoice()), ("atr_14",)
    assert recipe.trial(names, window) != recipe.trial(names, "")
    assert recipe.trial(names, window) == recipe.trial(names, window)
    rolling = dataclasses.replace(recipe, rolling_days=90)
    assert rolling.trial(names, window) != recipe.trial(names, window)
    assert recipe.label.rule(Timeframe.H1) == rolling.label.rule(Timeframe.H1)
