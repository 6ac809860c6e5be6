"""Sessions and calendar: what the clock says at the bar's close."""

from __future__ import annotations

import math
from collections.abc import Callable

from feature_repo.clock import Clock
from feature_repo.expression import CLOSED_AT
from feature_repo.feature import Feature, Group

_DAY = 24 * 60
_WEEK = 7 * _DAY
_FRIDAY_EVENING = 5 * _DAY


def _wave(function: Callable[[float], float], period: int) -> Callable[[int], float]:
    return lambda minute: function(2.0 * math.pi * (minute % period) / period)


def _between(start_hour: int, end_hour: int) -> Callable[[int], float]:
    def open_market(minute: int) -> float:
        hour = minute % _DAY / 60
        return 1.0 if minute < _FRIDAY_EVENING and start_hour <= hour < end_hour else 0.0

    return open_market


def _wall(name: str, meaning: str, function: Callable[[int], float], zone: str = "UTC") -> Feature:
    return Feature(
        name=name,
        meaning=meaning,
        source="the clock" if zone == "UTC" else f"local business hours in {zone}",
        expression=Clock(CLOSED_AT, name, function, zone),
        group=Group.SESSION,
    )


def _elapsed(minute: int) -> float:
    opened = 6 * _DAY + 17 * 60
    return min(1.0, (minute - opened) % _WEEK / (5 * _DAY))


_LONDON = _wall(
    "london_session",
    "1 while it is 08:00 to 17:00 on a weekday in London, else 0.",
    _between(8, 17),
    "Europe/London",
)
_NEW_YORK = _wall(
    "new_york_session",
    "1 while it is 08:00 to 17:00 on a weekday in New York, else 0.",
    _between(8, 17),
    "America/New_York",
)

FEATURES = (
    _wall("hour_sine", "Sine of the time of day, UTC, one turn a day.", _wave(math.sin, _DAY)),
    _wall("hour_cosine", "Cosine of the time of day, UTC.", _wave(math.cos, _DAY)),
    _wall("week_sine", "Sine of the time since Monday 00:00 UTC.", _wave(math.sin, _WEEK)),
    _wall("week_cosine", "Cosine of the time since Monday 00:00 UTC.", _wave(math.cos, _WEEK)),
    _LONDON,
    _NEW_YORK,
    _wall(
        "tokyo_session",
        "1 while it is 09:00 to 18:00 on a weekday in Tokyo, else 0.",
        _between(9, 18),
        "Asia/Tokyo",
    ),
    _wall(
        "sydney_session",
        "1 while it is 08:00 to 17:00 on a weekday in Sydney, else 0.",
        _between(8, 17),
        "Australia/Sydney",
    ),
    Feature(
        name="london_new_york_overlap",
        meaning="1 while London and New York are both in session, else 0.",
        source="local business hours in Europe/London and America/New_York",
        expression=_LONDON.expression * _NEW_YORK.expression,
        group=Group.SESSION,
    ),
    _wall(
        "week_elapsed",
        "Share of the trading week that has passed, 0 on Sunday 17:00 in New York to 1 on Friday.",
        _elapsed,
        "America/New_York",
    ),
)
