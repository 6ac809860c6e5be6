"""Targets: what the three classes of a label mean.

``barrier``: which side's target is reached first; trades with stop, target and time-out.
``direction``: which side has gained when its time is out, a protective stop between; trades with
that stop and that time-out. ``volatility``: how wide the next bars move, calm, usual or wild; it
says nothing of a direction and is never traded.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import numpy.typing as npt

from models.bars import Bars, Floats
from online.domain.errors import InvalidInput

CALM, WILD = 0.8, 1.25
"""Mean true range of the label's bars, in units, below and above which they are called so."""


class Target(StrEnum):
    """What is predicted; also the last part of a registered name."""

    BARRIER = "barrier"
    DIRECTION = "direction"
    VOLATILITY = "volatility"

    @property
    def is_tradable(self) -> bool:
        """Whether its classes are the directions of a trade."""
        return self is not Target.VOLATILITY


def parse_target(text: str) -> Target:
    """Return the target named `text`.

    Raises
    ------
    InvalidInput
        With code ``UNKNOWN_TARGET`` and the names that exist.
    """
    try:
        return Target(text)
    except ValueError:
        raise InvalidInput(
            f"unknown target {text!r}: expected one of {', '.join(Target)}", code="UNKNOWN_TARGET"
        ) from None


def classify_reached(
    long_reached: npt.NDArray[np.bool_], short_reached: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Return 0 where a short did it, 2 where a long did, 1 where neither did.

    Parameters
    ----------
    long_reached, short_reached
        Whether each side's position did what the target asks; never both.
    """
    classes = np.ones(len(long_reached), dtype=np.int64)
    classes[short_reached] = 0
    classes[long_reached] = 2
    return classes


def classify_volatility(
    bars: Bars, rows: npt.NDArray[np.int64], unit: Floats, n_bars: int
) -> npt.NDArray[np.int64]:
    """Return 0 for calm, 1 for usual, 2 for wild: the mean true range of the `n_bars` that follow.

    Parameters
    ----------
    bars
        Of one side.
    rows
        Decisions; at least `n_bars` bars follow each.
    unit
        What is usual at each decision, in price (> 0).
    n_bars
        Of the label.
    """
    before = np.concatenate([bars.close[:1], bars.close[:-1]])
    ranges = np.maximum(bars.high, before) - np.minimum(bars.low, before)
    running = np.concatenate([[0.0], np.cumsum(ranges)])
    mean = (running[rows + n_bars + 1] - running[rows + 1]) / n_bars
    measured = mean / unit
    classes = 1 + (measured > WILD).astype(np.int64) - (measured < CALM).astype(np.int64)
    return np.asarray(classes, dtype=np.int64)
