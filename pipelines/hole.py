"""A hole in a followed series: while its features reach over one, none of them is served.

Every formula counts bars. Of bars on either side of a hole it makes a value that no market gave, as
a return over the days that nobody saw; nights, weekends and holidays are no holes, and what short
outages leave is what a model was trained on, too. What is made of longer bars is not asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from feature_repo.feature import Feature, HigherFeature
from feature_repo.panel import Panel
from online.domain.errors import Unavailable
from online.domain.market import Timeframe
from online.instruments import find_instrument
from pipelines.quality_gaps import DAY_NS, Gap, calendar_of, find_gaps

LEAST_BARS: Final = 5
"""Fewer bars that are missing are no hole, however long each is."""


class Reach:
    """The closes of the last bars that a symbol's features are made of.

    Parameters
    ----------
    history
        Bars before those that are added.
    features
        What is computed of them.
    """

    def __init__(self, history: Panel, features: Sequence[Feature]) -> None:
        self._symbol, self._timeframe = history.symbol, history.timeframe
        own = (feature for feature in features if not isinstance(feature, HigherFeature))
        bars = [feature.memory_bars for feature in own]
        self._closed_at_ns: deque[int] = deque(maxlen=max(bars, default=0) + 1)
        self._closed_at_ns.extend(history.own.closed_at_ns[-self.n_bars :].tolist())

    @property
    def n_bars(self) -> int:
        """How many bars the features reach over, the newest included."""
        return self._closed_at_ns.maxlen or 0

    def add(self, closed_at_ns: int) -> None:
        """Take the next bar's close, nanoseconds UTC."""
        self._closed_at_ns.append(closed_at_ns)

    def require_whole(self) -> None:
        """Refuse bars with a hole among them.

        Raises
        ------
        Unavailable
            With code ``HOLE_IN_HISTORY``, where the hole is and after how many bars it ends.
        """
        stamps = np.array(self._closed_at_ns, dtype=np.int64)
        hole = find_hole(stamps, self._symbol, self._timeframe)
        if hole is None:
            return
        since = int(np.sum(stamps >= hole.before_ns))
        raise Unavailable(
            f"{hole.missing_bars:,} {self._timeframe} bars of {self._symbol} are missing between "
            f"{_minute(hole.after_ns)} and {_minute(hole.before_ns)}: features reach over "
            f"{self.n_bars} bars, of which {since} came since",
            code="HOLE_IN_HISTORY",
            remedy="Bring the bars between into the lake (`sextant ingest --source terminal`), "
            "or wait.",
        )


def find_hole(
    closed_at_ns: np.ndarray[tuple[int], np.dtype[np.int64]], symbol: str, timeframe: Timeframe
) -> Gap | None:
    """Return the newest gap in which a day of the market's open hours, and five bars, are missing.

    Parameters
    ----------
    closed_at_ns
        Closes of the bars, ascending, nanoseconds UTC, shape ``(n_bars,)``.
    symbol, timeframe
        Whose.
    """
    least = max(LEAST_BARS, DAY_NS // timeframe.duration_ns)
    gaps = find_gaps(closed_at_ns, timeframe, calendar_of(find_instrument(symbol)))
    return next((gap for gap in reversed(gaps) if gap.missing_bars >= least), None)


def _minute(at_ns: int) -> str:
    return f"{pd.Timestamp(at_ns, tz='UTC'):%Y-%m-%d %H:%M}"
