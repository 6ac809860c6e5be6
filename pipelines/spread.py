"""The spread of a run: recorded with its bars, else quoted elsewhere in the lake, else declared."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from feature_repo.bars import Floats
from online.domain.errors import InvalidInput
from online.domain.market import Instrument
from pipelines.lake import Lake

LEAST_QUOTED_BARS = 100
"""Fewest bars made of quotes that say what a usual spread is."""
_WIDE = 0.9


@dataclass(frozen=True, slots=True)
class SpreadUsed:
    """Which spread a run's bars were given.

    Parameters
    ----------
    points
        Assumed on bars that brought none (>= 0); None if every bar brought its own.
    source
        Where it comes from, in words.
    """

    points: float | None
    source: str

    @property
    def note(self) -> str:
        """Say it in one phrase."""
        return self.source if self.points is None else f"{self.points:g} points ({self.source})"


def choose_spread(
    recorded: Floats,
    lake: Lake,
    instrument: Instrument,
    given_points: float | None,
    end_ns: int | None = None,
) -> tuple[SpreadUsed, Floats]:
    """Return which spread bars have, and that of each of them, points.

    Parameters
    ----------
    recorded
        As the lake has it, NaN where a bar brought none, shape ``(n_bars,)``.
    lake, instrument, given_points, end_ns
        For those that brought none: see `assume_spread`.

    Raises
    ------
    InvalidInput
        If what was given is negative or not finite; with code ``NO_SPREAD`` if bars bring none and
        nothing is known.
    """
    if given_points is not None and not (math.isfinite(given_points) and given_points >= 0.0):
        raise InvalidInput(f"assumed_spread_points must be 0 or more: {given_points}")
    unknown = np.isnan(recorded)
    if not unknown.any():
        told = f"median {np.median(recorded):.4g} points, {_within(recorded)}"
        return SpreadUsed(None, f"recorded with each bar, {told}"), recorded
    assumed = assume_spread(lake, instrument, given_points, end_ns)
    filled = recorded.copy()
    filled[unknown] = assumed.points
    return assumed, filled


def assume_spread(
    lake: Lake, instrument: Instrument, given_points: float | None, end_ns: int | None = None
) -> SpreadUsed:
    """Return the spread of bars that bring none.

    It is what was given; else the median of the symbol's bars that were made of quotes, those of
    its shortest timeframe that has enough; else what is declared for the instrument. A terminal's
    bars do not count: their spread is the least within the bar, which is often none at all.

    Parameters
    ----------
    lake, instrument
        Whose.
    given_points
        By the settings, a recipe or a command; None for what is known.
    end_ns
        Only what was quoted before counts, nanoseconds UTC; None for all of it.

    Raises
    ------
    InvalidInput
        With code ``NO_SPREAD`` if nothing is known.
    """
    if given_points is not None:
        return SpreadUsed(given_points, "as given")
    for entry in lake.describe():
        if entry.symbol != instrument.symbol:
            continue
        quoted = lake.read_quoted_spreads(entry.symbol, entry.timeframe, end_ns)
        if len(quoted) >= LEAST_QUOTED_BARS:
            points = round(float(np.median(quoted)), 1)
            about = f"median of {len(quoted):,} {entry.timeframe} bars made of quotes"
            return SpreadUsed(points, f"{about}, {_within(quoted)}")
    if not instrument.typical_spread_points > 0.0:
        raise InvalidInput(
            f"nothing tells the spread of {instrument.symbol}: its bars bring none, no quotes of "
            "it lie in the lake, and none is declared",
            code="NO_SPREAD",
            remedy="Declare typical_spread_points in infra/config/instruments.toml, or give one.",
        )
    return SpreadUsed(instrument.typical_spread_points, instrument.spread_source)


def _within(points: Floats) -> str:
    return f"{_WIDE:.0%} within {np.quantile(points, _WIDE):.4g}"
