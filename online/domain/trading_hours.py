"""Trading hours: when a symbol is traded, in the time of New York, by which the week is kept."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from online.domain.daylight import DaylightSaving, is_summer
from online.domain.errors import InvalidSettings
from online.domain.market import NANOSECONDS_PER_SECOND, WEEKDAYS

_DAY_SECONDS, _HOUR_SECONDS, _MINUTE_SECONDS = 86_400, 3_600, 60
HOUR_NS = _HOUR_SECONDS * NANOSECONDS_PER_SECOND
WEEK_SECONDS = 7 * _DAY_SECONDS
_EPOCH_DAY = 4  # 1970-01-01 was a Thursday
_NEW_YORK_HOURS = -5
_MOMENT = r"(Sun|Mon|Tue|Wed|Thu|Fri|Sat) ([01]\d|2[0-4]):([0-5]\d)"
_SPAN = re.compile(f"{_MOMENT}-{_MOMENT}")


class TradingHours(msgspec.Struct, frozen=True):
    """Hours of the week in which a symbol is traded.

    Parameters
    ----------
    spans
        Pairs of seconds since Sunday's midnight in New York, start included and end not, in order.
    """

    spans: tuple[tuple[int, int], ...]

    def is_open(self, utc_ns: int) -> bool:
        """Tell whether the symbol is traded at an instant."""
        second = _second_of_week(utc_ns)
        for start, end in self.spans:  # noqa: SIM110 - a generator costs more than what it asks
            if start <= second < end:
                return True
        return False

    def seconds_to_weekend(self, utc_ns: int) -> int | None:
        """Return the seconds until the week's close; None where there is none, or it has passed."""
        close = self.spans[-1][1]
        if close == WEEK_SECONDS:
            return None
        left = close - _second_of_week(utc_ns)
        return left if left >= 0 else None


@lru_cache(maxsize=64)
def parse_hours(texts: tuple[str, ...]) -> TradingHours:
    """Return the hours written as ``Sun 17:00-Fri 17:00``, New York's time.

    Parameters
    ----------
    texts
        Spans within one week, Sunday first, in order and apart.

    Raises
    ------
    InvalidSettings
        If one is no span, or they overlap.

    Examples
    --------
    >>> parse_hours(("Sun 17:00-Fri 17:00",)).is_open(1_507_075_200_000_000_000)
    True
    """
    spans = tuple(map(_parse_span, texts))
    edges = [edge for span in spans for edge in span]
    if not spans or edges != sorted(set(edges)):
        raise InvalidSettings(
            f"trading hours need spans of one week in order, like 'Sun 17:00-Fri 17:00': {texts}"
        )
    return TradingHours(spans)


def is_traded(texts: tuple[str, ...], utc_ns: int) -> bool:
    """Tell whether a symbol with these hours is traded at an instant.

    Parameters
    ----------
    texts
        As `parse_hours` reads them.
    utc_ns
        Nanoseconds since 1970-01-01 UTC.

    Raises
    ------
    InvalidSettings
        As `parse_hours`.
    """
    whole = whole_hour(texts, utc_ns // NANOSECONDS_PER_SECOND // _HOUR_SECONDS)
    return parse_hours(texts).is_open(utc_ns) if whole is None else whole


def is_weekend_near(texts: tuple[str, ...], utc_ns: int, hours: float) -> bool:
    """Tell whether the week closes within `hours`; never for 0 hours or without a weekend.

    Parameters
    ----------
    texts, utc_ns
        As of `is_traded`, which raises the same.
    hours
        How near is near (>= 0).
    """
    if not hours > 0.0:
        return False
    left = parse_hours(texts).seconds_to_weekend(utc_ns)
    return left is not None and left < hours * _HOUR_SECONDS


@lru_cache(maxsize=256)
def whole_hour(texts: tuple[str, ...], hour: int) -> bool | None:
    """Tell whether an hour since 1970 is traded; None where trading begins or ends within it.

    Parameters
    ----------
    texts
        As of `is_traded`, which raises the same.
    hour
        Hours since 1970-01-01 UTC; New York's clock is changed on the hour.
    """
    hours = parse_hours(texts)
    first = _second_of_week(hour * HOUR_NS)
    for edge in (edge for span in hours.spans for edge in span):
        if first < edge < first + _HOUR_SECONDS:
            return None
    return hours.is_open(hour * HOUR_NS)


def _parse_span(text: str) -> tuple[int, int]:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise InvalidSettings(f"trading hours are written 'Sun 17:00-Fri 17:00', got {text!r}")
    parts = found.groups()
    return _second(*parts[:3]), _second(*parts[3:])


def _second(day: str, hours: str, minutes: str) -> int:
    seconds = int(hours) * _HOUR_SECONDS + int(minutes) * _MINUTE_SECONDS
    return WEEKDAYS.index(day) * _DAY_SECONDS + seconds


def _second_of_week(utc_ns: int) -> int:
    seconds = utc_ns // NANOSECONDS_PER_SECOND
    return (seconds + _shift(seconds // _HOUR_SECONDS)) % WEEK_SECONDS


@lru_cache(maxsize=256)
def _shift(hour: int) -> int:
    """Return what makes seconds since 1970 seconds of New York's week; it changes on the hour."""
    summer = is_summer(hour * _HOUR_SECONDS * NANOSECONDS_PER_SECOND, DaylightSaving.AMERICA)
    return (_NEW_YORK_HOURS + summer) * _HOUR_SECONDS + _EPOCH_DAY * _DAY_SECONDS
