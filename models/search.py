"""A search's trials, day by day: how much of the best setting found is luck.

Each setting that a search tries is traded on the rows it is judged on, at every share of the bars
that a threshold may signal. What it would have earned on each day is kept beside its loss, so that
the probability of backtest overfitting and the effective number of trials rest on all of them.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models.bars import Floats, Stamps
from models.families.build import FamilyConfig
from models.labels import Labels, Outcome
from models.overfitting import N_BLOCKS, overfitting_probability
from models.sharpe import effective_trials
from models.threshold import greatest_edge
from models.trading import trade
from online.domain.errors import InvalidInput

DAY_NS = 86_400 * 1_000_000_000


@dataclass(frozen=True, slots=True, eq=False)
class DailyUnits:
    """What a trial would have earned on the rows it was judged on, by the day of the decision.

    Parameters
    ----------
    days
        UTC days since 1970, increasing, shape ``(n_days,)``.
    shares
        Shares of each fold's bars that were signalled, in (0, 1].
    units
        Net result in units of risk, shape ``(n_days, n_shares)``: zero where nothing was traded,
        NaN on the days of folds that were not judged.
    """

    days: Stamps
    shares: tuple[float, ...]
    units: Floats

    def pack(self) -> str:
        """Return the units as text, every bit of them."""
        raw = np.ascontiguousarray(self.units, dtype="<f8").tobytes()
        return base64.b64encode(zlib.compress(raw)).decode("ascii")

    def unpack(self, text: str) -> DailyUnits:
        """Return the units that `pack` wrote, on the same days and shares.

        Raises
        ------
        InvalidInput
            If they are not as many.
        """
        found = np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype="<f8")
        if found.size != self.units.size:
            raise InvalidInput(f"expected {self.units.size} units of a trial, got {found.size}")
        return DailyUnits(self.days, self.shares, found.reshape(self.units.shape))

    def table(self) -> str:
        """Return the units as CSV, one row a day; what was not judged is empty."""
        names = ",".join(f"share_{share:.3f}" for share in self.shares)
        lines = [f"day,{names}"]
        for day, row in zip(self.days.astype("datetime64[D]"), self.units, strict=True):
            cells = ("" if np.isnan(cell) else f"{cell:.6g}" for cell in row)
            lines.append(",".join((str(day), *cells)))
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial of a search.

    Parameters
    ----------
    number
        From 0.
    config
        What was tried.
    log_loss
        Mean over the inner folds, nats; of those before it was given up if it was pruned.
    pruned
        Whether it was given up early.
    daily
        What it would have earned.
    """

    number: int
    config: FamilyConfig
    log_loss: float
    pruned: bool
    daily: DailyUnits = field(compare=False)


@dataclass(frozen=True, slots=True)
class SearchLuck:
    """How much of the best of a search is luck.

    Parameters
    ----------
    n_trials, n_pruned
        Settings tried, those of before a kill included, and how many were given up early.
    n_columns, n_days
        Settings times shares that traded, and days they were judged on.
    overfitting
        Probability of backtest overfitting among all of them; NaN for fewer than two.
    effective_trials
        What number of independent ones they are worth, from 1 to `n_columns`.
    """

    n_trials: int
    n_pruned: int
    n_columns: int
    n_days: int
    overfitting: float
    effective_trials: float

    def figures(self) -> dict[str, float]:
        """Return the figures by the names a run shows them."""
        return {
            "search.trials": float(self.n_trials),
            "search.pruned": float(self.n_pruned),
            "search.columns": float(self.n_columns),
            "search.days": float(self.n_days),
            "search.overfitting": self.overfitting,
            "search.effective_trials": self.effective_trials,
        }


def days_of(decided_at_ns: Stamps) -> Stamps:
    """Return the UTC days of decisions, each once, increasing."""
    return np.unique(decided_at_ns // DAY_NS)


def earn_daily(
    probabilities: Floats, labels: Labels, shares: Sequence[float], days: Stamps
) -> Floats:
    """Return what trading one fold's strongest edges gives each day.

    Parameters
    ----------
    probabilities
        Of the fold's tested rows, shape ``(n_rows, 3)``.
    labels
        Of the same rows.
    shares
        Shares of the rows to signal, in (0, 1].
    days
        Of all folds, increasing.

    Returns
    -------
    numpy.ndarray
        Units of risk after costs, shape ``(n_days, n_shares)``; NaN on days without a row.
    """
    decided = labels.decided_at_ns // DAY_NS
    units = np.full((len(days), len(shares)), np.nan)
    units[np.isin(days, decided)] = 0.0
    edge = probabilities[:, Outcome.LONG] - probabilities[:, Outcome.SHORT]
    strengths = np.sort(np.abs(edge))
    for column, share in enumerate(shares):
        trades = trade(edge, labels, greatest_edge(strengths, share))
        place = np.searchsorted(days, decided[trades.rows])
        np.add.at(units[:, column], place, trades.net_units)
    return units


def add_folds(parts: Sequence[Floats]) -> Floats:
    """Return the sum of several folds' days; NaN where none of them has a row."""
    stacked = np.stack(parts)
    judged = ~np.isnan(stacked).all(axis=0)
    return np.where(judged, np.nansum(stacked, axis=0), np.nan)


def weigh_search(tried: Sequence[Tried]) -> SearchLuck | None:
    """Return how much of the best of a search is luck; None where there was no search.

    Parameters
    ----------
    tried
        All trials of all families, judged on the same days.
    """
    if not tried:
        return None
    units = np.concatenate([trial.daily.units for trial in tried], axis=1)
    n_days, n_columns = units.shape
    n_blocks = min(N_BLOCKS, n_days // 2 * 2)
    return SearchLuck(
        *(len(tried), sum(trial.pruned for trial in tried), n_columns, n_days),
        overfitting=overfitting_probability(units, n_blocks) if n_blocks else float("nan"),
        effective_trials=effective_trials(units),
    )
