"""Anchors: where every feature starts to be computed, so that the same history gives the same bits.

A running sum or an exponential average opened on other history has other bits. Therefore every
feature, in batch, live and after a restart, is opened `WARM_UP_BARS` bars before the first bar of
the calendar quarter (UTC) that holds the bar asked for, or at the first bar there is. One warm-up
serves the whole catalogue: indicators can share intermediate results, and a new feature changes
no bit of the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from feature_repo.bars import Stamps

WARM_UP_BARS = 1024
"""Bars before a quarter's first bar from which its features are opened."""

_MONTHS = 3


@dataclass(frozen=True, slots=True)
class Period:
    """The bars of one quarter and where their features are opened.

    Parameters
    ----------
    quarter
        Quarters since 1970.
    anchor
        Index of the first bar the features see.
    start, end
        The quarter's bars, indices; end is exclusive.
    """

    quarter: int
    anchor: int
    start: int
    end: int

    @property
    def label(self) -> str:
        """The quarter's name, for example ``2017-Q3``."""
        return f"{1970 + self.quarter // 4}-Q{1 + self.quarter % 4}"


def quarter_of(closed_at_ns: int) -> int:
    """Return the quarter a bar was made in, quarters since 1970.

    A bar that closes exactly at midnight of a quarter's first day belongs to the quarter before.

    Examples
    --------
    >>> quarter_of(1), quarter_of(0)
    (0, -1)
    """
    return int(_quarters(np.array([closed_at_ns], dtype=np.int64))[0])


def quarter_end_ns(quarter: int) -> int:
    """Return the last stamp a bar of `quarter` can have, nanoseconds UTC."""
    end = np.datetime64((quarter + 1) * _MONTHS, "M")
    return int(end.astype("datetime64[ns]").astype(np.int64))


def periods(closed_at_ns: Stamps) -> Iterator[Period]:
    """Yield the quarters of `closed_at_ns`, shape ``(n_bars,)``, in order."""
    if len(closed_at_ns) == 0:
        return
    quarters = _quarters(closed_at_ns)
    starts = [0, *(np.flatnonzero(np.diff(quarters)) + 1).tolist()]
    for start, end in zip(starts, [*starts[1:], len(quarters)], strict=True):
        yield Period(int(quarters[start]), max(0, start - WARM_UP_BARS), start, end)


def _quarters(closed_at_ns: Stamps) -> Stamps:
    months = (closed_at_ns - 1).astype("datetime64[ns]").astype("datetime64[M]").astype(np.int64)
    return months // _MONTHS
