"""The clock as nodes: functions of the minute of the week, in UTC or a market's local time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np

from feature_repo.bars import Stamps
from feature_repo.nodes import Node, Source, Step, Values

_MINUTE_NS = 60_000_000_000
_HOUR_NS = 60 * _MINUTE_NS
_MINUTES_A_WEEK = 7 * 24 * 60
_THURSDAY = 3 * 24 * 60
"""1970-01-01 was a Thursday; minute 0 of the week is Monday 00:00."""


@cache
def _offset_minutes(zone: str, hour: int) -> int:
    """Return local time less UTC in the given hour since 1970; zones change on whole hours."""
    at = datetime.fromtimestamp(hour * 3600, tz=UTC).astimezone(ZoneInfo(zone))
    offset = at.utcoffset()
    return 0 if offset is None else int(offset.total_seconds()) // 60


class _MinuteOfWeek(Node):
    """Minutes since Monday 00:00 on the wall clock of a zone, integers."""

    def __init__(self, closed_at: Source, zone: str) -> None:
        super().__init__(closed_at)
        self.memory_bars = 0
        self.text = f"minute_of_week({closed_at.text}, {zone})"
        self._zone = zone

    def batch(self, *arrays: Stamps) -> Stamps:
        """Look the zone's offset up once an hour."""
        (stamps,) = arrays
        minutes = stamps // _MINUTE_NS + _THURSDAY
        if self._zone != "UTC" and len(stamps):
            hours = stamps // _HOUR_NS
            first = np.flatnonzero(np.diff(hours, prepend=hours[0] - 1))
            offsets = [_offset_minutes(self._zone, int(hour)) for hour in hours[first]]
            minutes += np.repeat(offsets, np.diff(first, append=len(hours)))
        minutes %= _MINUTES_A_WEEK
        return minutes

    def open(self, *histories: Values) -> Step:  # noqa: ARG002 - it has no state
        """Return the minute of one stamp; it has no state."""
        zone = self._zone
        if zone == "UTC":
            return lambda stamp: (stamp // _MINUTE_NS + _THURSDAY) % _MINUTES_A_WEEK

        def step(stamp: int) -> int:
            offset = _offset_minutes(zone, stamp // _HOUR_NS)
            return (stamp // _MINUTE_NS + _THURSDAY + offset) % _MINUTES_A_WEEK

        return step


class Clock(Node):
    """A function of the minute of the week at which the bar closes.

    Parameters
    ----------
    closed_at
        The bars' stamps, nanoseconds UTC.
    name
        Of the function, part of the formula.
    function
        Takes the minute since Monday 00:00, 0 to 10079.
    zone
        IANA time zone whose wall clock is read.
    """

    def __init__(
        self, closed_at: Source, name: str, function: Callable[[int], float], zone: str = "UTC"
    ) -> None:
        super().__init__(_MinuteOfWeek(closed_at, zone))
        self.memory_bars = 0
        self.text = f"{name}({closed_at.text}, {zone})"
        self._table = np.array([function(m) for m in range(_MINUTES_A_WEEK)], dtype=np.float64)

    def batch(self, *arrays: Stamps) -> Values:
        """Look every bar up in the table."""
        return self._table[arrays[0]]

    def open(self, *histories: Values) -> Step:  # noqa: ARG002 - it has no state
        """Return the lookup of one minute; it has no state."""
        table: list[float] = self._table.tolist()
        return table.__getitem__
