"""Rollover: the instants at which a position held overnight pays or is paid swap.

The day of the currency market ends at 17:00 in New York. Saturday's and Sunday's nights are paid
with those of one weekday, on which the night counts three times.
"""

from __future__ import annotations

from online.domain.daylight import DaylightSaving, is_summer
from online.domain.market import NANOSECONDS_PER_SECOND, WEEKDAYS, WORKDAYS

_HOUR_NS = 3_600 * NANOSECONDS_PER_SECOND
_DAY_NS = 24 * _HOUR_NS
_CLOSE_HOURS = 22  # 17:00 in New York's winter, UTC
_EPOCH_DAY = 4  # 1970-01-01 was a Thursday
_NIGHTS = 3


def rollovers(first_ns: int, last_ns: int, triple_day: str) -> list[tuple[int, int]]:
    """Return each rollover within ``(first_ns, last_ns]`` and how many nights it counts.

    Parameters
    ----------
    first_ns, last_ns
        Nanoseconds since 1970-01-01 UTC.
    triple_day
        One of `WORKDAYS`: its night counts three times.

    Examples
    --------
    >>> day_ns = 86_400_000_000_000
    >>> [nights for _, nights in rollovers(17_440 * day_ns, 17_447 * day_ns, "Wed")]
    [1, 1, 3, 1, 1]
    """
    found = []
    for day in range(first_ns // _DAY_NS, last_ns // _DAY_NS + 1):
        weekday = WEEKDAYS[(day + _EPOCH_DAY) % 7]
        if weekday not in WORKDAYS:
            continue
        at_ns = day * _DAY_NS + _CLOSE_HOURS * _HOUR_NS
        at_ns -= is_summer(at_ns, DaylightSaving.AMERICA) * _HOUR_NS
        if first_ns < at_ns <= last_ns:
            found.append((at_ns, _NIGHTS if weekday == triple_day else 1))
    return found
