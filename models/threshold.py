"""The threshold: how great an edge must be to be traded."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from models.bars import Floats
from models.labels import Labels
from models.sharpe import sharpe
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
    trades
        What trading it gives.
    """

    min_edge: float
    coverage: float
    trades: Trades


@dataclass(frozen=True, slots=True)
class Threshold:
    """The threshold chosen and everything that was tried to choose it."""

    chosen: Candidate
    tried: tuple[Candidate, ...]

    @property
    def sharpes(self) -> tuple[float, ...]:
        """Per-trade Sharpe ratio of every candidate."""
        return tuple(sharpe(candidate.trades.net_units) for candidate in self.tried)


def fit_min_edge(edge: Floats, labels: Labels, min_coverage: float) -> Threshold:
    """Choose the least edge to trade: the greatest mean net result with enough coverage.

    Parameters
    ----------
    edge
        Out-of-fold edges, shape ``(n_labels,)``.
    labels
        Their labels.
    min_coverage
        Least share of labelled bars that must be signalled, in (0, 1].

    Raises
    ------
    InvalidInput
        With code ``NO_EDGE_VARIES`` if no threshold reaches the coverage.
    """
    if not 0.0 < min_coverage <= 1.0:
        raise InvalidInput(f"min_coverage must be within (0, 1], got {min_coverage}")
    tried: list[Candidate] = []
    for share in np.linspace(min_coverage, 1.0, COVERAGE_STEPS):
        # The k-th greatest edge itself: no interpolation that rounding could put above it.
        count = min(math.ceil(share * len(edge)), len(edge))
        min_edge = float(np.partition(np.abs(edge), len(edge) - count)[len(edge) - count])
        coverage = float(signalled(edge, min_edge).mean())
        if coverage >= min_coverage and min_edge not in [c.min_edge for c in tried]:
            tried.append(Candidate(min_edge, coverage, trade(edge, labels, min_edge)))
    if not tried:
        raise InvalidInput(
            f"the model sees an edge in fewer than {min_coverage:.0%} of the bars",
            code="NO_EDGE_VARIES",
        )
    best = max(tried, key=lambda c: (float(c.trades.net_units.mean()), -c.min_edge))
    return Threshold(best, tuple(tried))
