"""The threshold: how great an edge must be to be traded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.bars import Floats
from models.labels import Labels
from models.sharpe import sharpe
from models.splits import MIN_FOLD_ROWS
from models.trading import Trades, signalled, trade
from online.domain.errors import InvalidInput

COVERAGE_STEPS = 10


@dataclass(frozen=True, slots=True)
class Candidate:
    """One threshold tried.

    Parameters
    ----------
    min_edge
        The threshold.
    coverage
        Share of labelled bars that are signalled.
    least_coverage
        The same in the fold that signals least.
    trades
        What trading it gives.
    """

    min_edge: float
    coverage: float
    least_coverage: float
    trades: Trades


@dataclass(frozen=True, slots=True)
class Threshold:
    """The threshold chosen and everything that was tried to choose it.

    Parameters
    ----------
    chosen, tried
        On all folds.
    before
        By the number of each fold, what would have been chosen when it began (`choose_before`).
    min_coverage
        Least share of each fold's labelled bars that had to be signalled.
    """

    chosen: Candidate
    tried: tuple[Candidate, ...]
    before: Mapping[int, float]
    min_coverage: float

    @property
    def sharpes(self) -> tuple[float, ...]:
        """Per-trade Sharpe ratio of every candidate."""
        return tuple(sharpe(candidate.trades.net_units) for candidate in self.tried)

    def trade_forward(self, edge: Floats, labels: Labels, fold: npt.NDArray[np.int64]) -> Trades:
        """Return what each fold gives at the threshold that earlier folds alone would have chosen.

        The first fold has none before it and is not traded. What the chosen threshold itself gives
        was chosen for giving it.

        Parameters
        ----------
        edge, labels, fold
            As of `fit_min_edge`; what validators refuse is zero.
        """
        kept = np.zeros(len(edge))
        for number in np.unique(fold)[1:]:
            mine = fold == number
            min_edge = self.before[int(number)]
            kept[mine] = np.where(signalled(edge[mine], min_edge), edge[mine], 0.0)
        return trade(kept, labels, 0.0)


def fit_min_edge(
    edge: Floats, labels: Labels, fold: npt.NDArray[np.int64], min_coverage: float
) -> Threshold:
    """Choose the least edge to trade: the greatest mean net result with enough coverage.

    The coverage is held in every fold: a stretch of time in which the model sees less edge than
    usual is not one in which it falls silent.

    Parameters
    ----------
    edge
        Out-of-fold edges, shape ``(n_labels,)``.
    labels
        Their labels.
    fold
        Number of each row's fold, shape ``(n_labels,)``.
    min_coverage
        Least share of each fold's labelled bars that must be signalled, in (0, 1].

    Raises
    ------
    InvalidInput
        With code ``NO_EDGE_VARIES`` if no threshold reaches the coverage.
    """
    if not 0.0 < min_coverage <= 1.0:
        raise InvalidInput(f"min_coverage must be within (0, 1], got {min_coverage}")
    tried = _candidates(edge, labels, fold, min_coverage)
    if not tried:
        raise InvalidInput(
            f"the model sees an edge in fewer than {min_coverage:.0%} of a fold's bars",
            code="NO_EDGE_VARIES",
        )
    began = {int(n): int(labels.decided_at_ns[fold == n][0]) for n in np.unique(fold)}
    before = {n: choose_before(edge, labels, fold, min_coverage, ns) for n, ns in began.items()}
    return Threshold(_best(tried), tried, before, min_coverage)


def _candidates(
    edge: Floats, labels: Labels, fold: npt.NDArray[np.int64], min_coverage: float
) -> tuple[Candidate, ...]:
    """Return the thresholds that hold the coverage in every fold, with what each gives."""
    sizes = [np.sort(np.abs(edge[fold == number])) for number in np.unique(fold)]
    tried: list[Candidate] = []
    if not sizes:
        return ()
    for share in shares_to_signal(min_coverage):
        min_edge = min(greatest_edge(strengths, share) for strengths in sizes)
        taken = signalled(edge, min_edge)
        least = min(float(taken[fold == number].mean()) for number in np.unique(fold))
        if least >= min_coverage and min_edge not in [c.min_edge for c in tried]:
            trades = trade(edge, labels, min_edge)
            tried.append(Candidate(min_edge, float(taken.mean()), least, trades))
    return tuple(tried)


def _best(tried: Sequence[Candidate]) -> Candidate:
    """Return what earned most on the mean; of those alike, that of the least edge."""
    return max(tried, key=lambda c: (float(c.trades.net_units.mean()), -c.min_edge))


def choose_before(
    edge: Floats,
    labels: Labels,
    fold: npt.NDArray[np.int64],
    min_coverage: float,
    at_ns: int,
) -> float:
    """Return what `fit_min_edge` would have chosen at an instant, of the labels that had ended.

    The start of a fold counts as soon as it has `MIN_FOLD_ROWS` of them. Where nothing can be
    chosen it is 0.0: every edge would be traded.

    Parameters
    ----------
    edge, labels, fold, min_coverage
        As of `fit_min_edge`.
    at_ns
        Nanoseconds UTC.
    """
    ended = labels.ended_at_ns < at_ns
    short = [n for n in np.unique(fold) if np.sum(ended & (fold == n)) < MIN_FOLD_ROWS]
    rows = np.flatnonzero(ended & ~np.isin(fold, short))
    tried = _candidates(edge[rows], labels.take(rows), fold[rows], min_coverage)
    return _best(tried).min_edge if tried else 0.0


def shares_to_signal(min_coverage: float) -> tuple[float, ...]:
    """Return the shares of the bars that thresholds are tried at, the least one first."""
    return tuple(float(share) for share in np.linspace(min_coverage, 1.0, COVERAGE_STEPS))


def greatest_edge(strengths: Floats, share: float) -> float:
    """Return the least of the greatest edges that make up a share of them.

    It is one of the edges: no interpolation that rounding could put above it.

    Parameters
    ----------
    strengths
        Absolute edges, increasing, shape ``(n_rows,)``.
    share
        In (0, 1].
    """
    count = min(math.ceil(share * len(strengths)), len(strengths))
    return float(strengths[len(strengths) - count])
