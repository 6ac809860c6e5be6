"""Daylight saving by rule, without a table of zones: pure, and the same on every host."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache

from online.domain.market import NANOSECONDS_PER_SECOND

_SUNDAY = 6


class DaylightSaving(StrEnum):
    """Whose summer time a clock keeps."""

    NONE = "none"
    EUROPE = "europe"
    AMERICA = "america"


def is_summer(utc_ns: int, rule: DaylightSaving) -> bool:
    """Tell whether an instant lies in summer time.

    Parameters
    ----------
    utc_ns
        Nanoseconds since 1970-01-01 UTC.
    rule
        From the last Sunday of March to the last of October, 01:00 UTC (Europe); from the second
        of March, 07:00 UTC, to the first of November, 06:00 UTC (America: the switch of New York).
    """
    if rule is DaylightSaving.NONE:
        return False
    starts_ns, ends_ns = summer_of(year_of(utc_ns), rule)
    return starts_ns <= utc_ns < ends_ns


def year_of(utc_ns: int) -> int:
    """Return the year of an instant, UTC."""
    return datetime.fromtimestamp(utc_ns // NANOSECONDS_PER_SECOND, tz=UTC).year


@lru_cache(maxsize=256)
def summer_of(year: int, rule: DaylightSaving) -> tuple[int, int]:
    """Return the first instant of a year's summer time and the first after it, nanoseconds UTC."""
    if rule is DaylightSaving.EUROPE:
        return _sunday(year, 3, 25, 1), _sunday(year, 10, 25, 1)
    return _sunday(year, 3, 8, 7), _sunday(year, 11, 1, 6)


def _sunday(year: int, month: int, first_day: int, hour: int) -> int:
    """Return the hour on the first Sunday at or after a day, nanoseconds UTC."""
    day = datetime(year, month, first_day, hour, tzinfo=UTC)
    day += timedelta(days=(_SUNDAY - day.weekday()) % 7)
    return int(day.timestamp()) * NANOSECONDS_PER_SECOND
