"""What a model achieved out of fold: per fold and pooled, after costs, beside what is cheap.

Every figure rests on outputs that were not learnt from, calibrated by earlier folds alone. Nothing
has calibrated the first fold: what is pooled of probabilities leaves it out, what is pooled of
trades does not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from models.bars import Floats
from models.costs import Costs
from models.labels import Labels, Outcome
from models.reliability import Reliability, judge_probabilities
from models.trading import (
    Performance,
    Trades,
    perform,
    signalled,
    span_seconds,
    trade,
)

COVERAGES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Signals of one model on the tested rows, in order of time.

    Parameters
    ----------
    name
        Of the model.
    probabilities
        Calibrated, shape ``(n_rows, 3)``.
    prior
        Class shares of the training behind each row, shape ``(n_rows, 3)``.
    labels
        Of the rows.
    fold
        Number of each row's fold, shape ``(n_rows,)``.
    allowed
        Rows that the validators let through, shape ``(n_rows,)``; None for all.
    judged
        Rows of the folds for which there were validators, shape ``(n_rows,)``; None for all. In
        the others nothing is traded, so nothing else is compared with it there.
    """

    name: str
    probabilities: Floats
    prior: Floats
    labels: Labels
    fold: npt.NDArray[np.int64]
    allowed: npt.NDArray[np.bool_] | None = None
    judged: npt.NDArray[np.bool_] | None = None

    @property
    def calibrated(self) -> npt.NDArray[np.bool_]:
        """Rows that earlier folds calibrated: all but the first fold's, or all of a single one."""
        later = self.fold > self.fold.min()
        return later if later.any() else np.ones(len(self.fold), dtype=np.bool_)

    @property
    def said_edge(self) -> Floats:
        """P(long) - P(short) of each row, whether it may be traded or not."""
        return self.probabilities[:, Outcome.LONG] - self.probabilities[:, Outcome.SHORT]

    @property
    def edge(self) -> Floats:
        """The same where it may be traded, zero elsewhere."""
        return self.said_edge if self.allowed is None else np.where(self.allowed, self.said_edge, 0)


@dataclass(frozen=True, slots=True)
class Slice:
    """Figures of one fold, or of all folds together.

    Parameters
    ----------
    reliability
        Of the probabilities; of all folds together without the first.
    performance
        Of the trades.
    coverage
        Share of the bars that are signalled.
    hit_rate
        Share of the signalled bars whose side reached its target; NaN if there are none.
    information
        Rank correlation of the edge with what a long earned more than a short; of all folds
        together without the first.
    """

    reliability: Reliability
    performance: Performance
    coverage: float
    hit_rate: float
    information: float

    def figures(self) -> dict[str, float]:
        """Return every figure by name."""
        return {
            **{k: float(v) for k, v in dataclasses.asdict(self.reliability).items()},
            **{k: float(v) for k, v in dataclasses.asdict(self.performance).items()},
            "coverage": self.coverage,
            "hit_rate": self.hit_rate,
            "information": self.information,
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model, judged.

    Parameters
    ----------
    name
        Of the model.
    min_edge
        Threshold it was traded at.
    pooled, folds
        Figures of all tested rows and of each fold.
    trades
        What it traded.
    curve
        Hit rate at each of `COVERAGES`: the accuracy of the decisions actually taken, see
        `accuracy_by_coverage`.
    """

    name: str
    min_edge: float
    pooled: Slice
    folds: tuple[Slice, ...]
    trades: Trades
    curve: tuple[float, ...]


def evaluate(signals: OutOfFold, min_edge: float, costs: Costs) -> Evaluation:
    """Judge one model at one threshold.

    Parameters
    ----------
    signals
        Its out-of-fold signals.
    min_edge
        Least edge that is traded.
    costs
        Of the trades.
    """
    trades = trade(signals.edge, signals.labels, min_edge)
    everything = np.ones(len(signals.labels), dtype=np.bool_)
    return Evaluation(
        name=signals.name,
        min_edge=min_edge,
        pooled=_slice(signals, trades, everything, signals.calibrated, min_edge, costs),
        folds=tuple(
            _slice(signals, trades, mine, mine, min_edge, costs)
            for mine in (signals.fold == number for number in np.unique(signals.fold))
        ),
        trades=trades,
        curve=accuracy_by_coverage(signals),
    )


def accuracy_by_coverage(signals: OutOfFold) -> tuple[float, ...]:
    """Return the hit rate of the strongest signals, at each of `COVERAGES`.

    Of the calibrated rows; an edge of zero is no decision. NaN at a share that there are not as
    many decisions for.
    """
    strength, right = np.abs(signals.said_edge), hits(signals)
    rows = np.flatnonzero(signals.calibrated & (strength > 0.0))
    ordered = right[rows[np.argsort(-strength[rows], kind="stable")]]
    n_rows = int(signals.calibrated.sum())
    counts = [max(1, math.ceil(share * n_rows)) for share in COVERAGES]
    return tuple(
        float(ordered[:count].mean()) if count <= len(ordered) else math.nan for count in counts
    )


def hits(signals: OutOfFold) -> npt.NDArray[np.bool_]:
    """Tell of each row whether the side of its edge reached its target; no edge has no side."""
    edge = signals.said_edge
    side = np.where(edge > 0.0, Outcome.LONG, Outcome.SHORT)
    return np.asarray((signals.labels.classes == side) & (edge != 0.0), dtype=np.bool_)


def _slice(
    signals: OutOfFold,
    trades: Trades,
    mask: npt.NDArray[np.bool_],
    said: npt.NDArray[np.bool_],
    min_edge: float,
    costs: Costs,
) -> Slice:
    """Judge the trades of the rows in `mask` and the probabilities of those in `said`."""
    wanted = signalled(signals.edge, min_edge) & mask
    mine = mask[trades.rows]
    return Slice(
        reliability=judge_probabilities(
            signals.probabilities[said], signals.labels.classes[said], signals.prior[said]
        ),
        performance=perform(trades, mine, span_seconds(signals.labels.decided_at_ns[mask]), costs),
        coverage=float(wanted.sum() / mask.sum()),
        hit_rate=float(hits(signals)[wanted].mean()) if wanted.any() else math.nan,
        information=_information(signals, said),
    )


def _information(signals: OutOfFold, mask: npt.NDArray[np.bool_]) -> float:
    gained = signals.labels.long.net_units - signals.labels.short.net_units
    return rank_correlation(signals.said_edge[mask], gained[mask])


def rank_correlation(edge: Floats, gained: Floats) -> float:
    """Return Spearman's rank correlation; NaN where the edge or the outcome does not vary."""
    if np.ptp(edge) == 0.0 or np.ptp(gained) == 0.0:
        return math.nan
    return float(np.corrcoef(rankdata(edge), rankdata(gained))[0, 1])


def number_folds(tests: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Return the fold number of each tested row, folds in order."""
    return np.concatenate(
        [np.full(len(test), number, dtype=np.int64) for number, test in enumerate(tests)]
    )
