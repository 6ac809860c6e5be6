"""Features of a longer timeframe, seen from the bars of a shorter one.

A longer bar is made of the shorter ones and closes on the clock. At equal stamps it becomes
visible at the *next* short bar, so that what a bar knows never depends on which of two messages
came first. Batch and live obey the same rule and give the same bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from feature_repo.anchors import periods
from feature_repo.bars import BarArrays, Floats, Stamps
from feature_repo.engine import FeatureStream, Vector, compute_from
from feature_repo.feature import HigherFeature
from online.domain.errors import InvalidInput, InvalidMarketData
from online.domain.market import Bar, Timeframe


def resample(bars: BarArrays, timeframe: Timeframe) -> BarArrays:
    """Return the longer bars that are certainly closed: a later short bar has been seen.

    They close on the clock, UTC; an interval without short bars makes none.

    Parameters
    ----------
    bars
        Short bars, whose length divides the longer one.
    timeframe
        The longer bars.
    """
    ends = _ends(bars.closed_at_ns, timeframe)
    starts = np.flatnonzero(np.diff(ends, prepend=-1))
    if len(starts) and ends[-1] >= bars.closed_at_ns[-1]:
        starts = starts[:-1]
        bars = bars.part(0, int(np.searchsorted(ends, ends[-1])))
    if not len(starts):
        return bars.part(0, 0)
    last = np.append(starts[1:], len(bars)) - 1
    return BarArrays(
        ends[starts],
        bars.open[starts],
        np.maximum.reduceat(bars.high, starts),
        np.minimum.reduceat(bars.low, starts),
        bars.close[last],
        _summed(bars.volume, starts, last),
    )


def compute_higher(
    bars: BarArrays, timeframe: Timeframe, features: Sequence[HigherFeature], start: int = 0
) -> dict[str, Vector]:
    """Return the longer timeframe's features at every short bar, float32 ``(n_bars - start,)``.

    Parameters
    ----------
    bars
        Short bars: all there are, or at least from `first_needed` on.
    timeframe
        The longer bars.
    features
        Entries of that timeframe.
    start
        First short bar whose values are wanted.
    """
    longer = resample(bars, timeframe)
    seen = np.searchsorted(longer.closed_at_ns, bars.closed_at_ns[start:], side="left") - 1
    first = max(0, int(seen[0])) if len(seen) else 0
    values = compute_from(longer, features, first) if len(longer) else {}
    result = {}
    for feature in features:
        carried = np.full(len(seen), np.nan, dtype=np.float32)
        if feature.name in values:
            carried[seen >= 0] = values[feature.name][seen[seen >= 0] - first]
        result[feature.name] = carried
    return result


def first_needed(bars: BarArrays, timeframe: Timeframe, start: int) -> int:
    """Return the first short bar that the values from bar `start` on are computed from.

    It begins the longer bar at the anchor of the quarter that the bar at `start` sees.
    """
    visible = resample(bars.part(0, start + 1), timeframe)
    if not len(visible):
        return 0
    *_, last = periods(visible.closed_at_ns)
    begins_ns = int(visible.closed_at_ns[last.anchor]) - timeframe.duration_ns
    return int(np.searchsorted(bars.closed_at_ns, begins_ns, side="right"))


class HigherStream:
    """Features of a longer timeframe, short bar by short bar.

    Parameters
    ----------
    history
        Short bars before the first update, reaching back to the anchor of the longer bars'
        quarter, or all there are.
    timeframe
        The longer bars.
    features
        Entries of that timeframe, in the order of the vectors.

    Attributes
    ----------
    names : tuple of str
        Of the vector's places.
    """

    def __init__(
        self, history: BarArrays, timeframe: Timeframe, features: Sequence[HigherFeature]
    ) -> None:
        self.names = tuple(feature.name for feature in features)
        self._length_ns = timeframe.duration_ns
        self._open: Bar | None = None
        self._closed_at_ns: int | None = None
        longer = resample(history, timeframe)
        self._visible: Vector = np.full(len(features), np.nan, dtype=np.float32)
        before = max(0, len(longer) - 1)
        self._stream = FeatureStream(longer.part(0, before), features)
        if len(longer):
            self._visible = self._stream.update(longer.bar(len(longer) - 1))
        # The short bars of the longer bar in progress are taken once more, one by one.
        known_ns = int(longer.closed_at_ns[-1]) if len(longer) else -1
        for index in range(
            int(np.searchsorted(history.closed_at_ns, known_ns, "right")), len(history)
        ):
            self.update(history.bar(index))

    def update(self, bar: Bar) -> Vector:
        """Take the next short bar; return what it sees, float32 of shape ``(n_features,)``.

        Raises
        ------
        InvalidMarketData
            With code ``BAR_NOT_NEWER`` if the bar is not after the last one.
        """
        if self._closed_at_ns is not None and bar.closed_at_ns <= self._closed_at_ns:
            raise InvalidMarketData(
                f"bar {bar.closed_at_ns} is not after the last one, {self._closed_at_ns}",
                code="BAR_NOT_NEWER",
            )
        self._closed_at_ns = bar.closed_at_ns
        if self._open is not None and bar.closed_at_ns > self._open.closed_at_ns:
            self._visible = self._stream.update(self._open)
            self._open = None
        self._open = self._joined(bar)
        return self._visible

    def _joined(self, bar: Bar) -> Bar:
        """Return the longer bar in progress with `bar` in it."""
        begun = self._open
        if begun is None:
            end_ns = -(-bar.closed_at_ns // self._length_ns) * self._length_ns
            return Bar(end_ns, bar.open, bar.high, bar.low, bar.close, bar.volume)
        return Bar(
            begun.closed_at_ns,
            begun.open,
            max(begun.high, bar.high),
            min(begun.low, bar.low),
            bar.close,
            begun.volume + bar.volume,
        )


def _ends(closed_at_ns: Stamps, timeframe: Timeframe) -> Stamps:
    """Return the close of the longer bar that each short bar belongs to."""
    length = timeframe.duration_ns
    if len(closed_at_ns) > 1 and int(np.diff(closed_at_ns).min()) >= length:
        raise InvalidInput(f"{timeframe} bars are not longer than the bars they are made of")
    ends: Stamps = -(-closed_at_ns // length) * length
    return ends


def _summed(volume: Floats, starts: Stamps, last: Stamps) -> Floats:
    """Return each group's sum, added one after the other as the live side does."""
    total = volume[starts].copy()
    for step in range(1, int((last - starts).max(initial=0)) + 1):
        within = starts + step <= last
        total[within] += volume[starts[within] + step]
    return total
