"""Holidays, read from ``infra/config/holidays.toml``: when markets are customarily closed."""

from __future__ import annotations

import tomllib
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from online.domain.errors import InvalidSettings
from online.instruments import CONFIG_FOLDER
from pipelines.sources.clock import NEW_YORK, find_clock, to_utc

_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SUNDAY = 6
_YEAR_NS = int(365.2425 * 86_400 * 1e9)


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From when to when: days from the holiday and New York's time, such as ``-1 17:00``."""

    closes: str
    opens: str


class Holiday(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One line of the file.

    Parameters
    ----------
    name
        What it is called.
    markets
        Calendars it closes.
    day
        ``12-25``, ``easter-2``, ``01 monday 3`` or ``2018-12-05``.
    closes, opens
        See `Hours`.
    if_sunday
        The hours in years in which the day is a Sunday; None for the same.
    since
        First year it is kept.
    """

    name: str
    markets: tuple[str, ...]
    day: str
    closes: str
    opens: str
    if_sunday: Hours | None = None
    since: int = 1970


@lru_cache(maxsize=4)
def load_holidays(path: Path = CONFIG_FOLDER / "holidays.toml") -> tuple[Holiday, ...]:
    """Return every holiday.

    Raises
    ------
    InvalidSettings
        If the file cannot be read or a holiday in it cannot be; the message names it.
    """
    try:
        lines = tomllib.loads(path.read_text(encoding="utf-8"))["holiday"]
        found = msgspec.convert(lines, tuple[Holiday, ...])
    except (OSError, KeyError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InvalidSettings(f"holidays file {path}: {error}") from error
    for holiday in found:
        try:
            _hours_of(holiday, 2018)
        except (ValueError, KeyError) as error:
            raise InvalidSettings(f"holiday {holiday.name} in {path}: {error}") from error
    return found


@lru_cache(maxsize=256)
def closures(market: str, first_year: int, last_year: int) -> NDArray[np.int64]:
    """Return when holidays close a market, UTC nanoseconds, (n_closures, 2), ascending, disjoint.

    Parameters
    ----------
    market
        A calendar's name.
    first_year, last_year
        Years, both included.

    Examples
    --------
    >>> [str(np.datetime64(int(at), "ns"))[:16] for at in closures("currencies", 2018, 2018)[-1]]
    ['2018-12-24T18:00', '2018-12-25T23:00']
    """
    found = []
    for holiday in load_holidays():
        if market in holiday.markets:
            years = range(max(first_year, holiday.since), last_year + 1)
            found += [hours for year in years if (hours := _hours_of(holiday, year)) is not None]
    wall = np.array(sorted(found), dtype=np.int64).reshape(-1, 2)
    utc_ns, _ = to_utc(wall.ravel(), find_clock(NEW_YORK))
    return np.asarray(utc_ns, dtype=np.int64).reshape(-1, 2)


def without_holidays(bounds: NDArray[np.int64], market: str) -> NDArray[np.int64]:
    """Return sessions with the holidays cut out.

    Parameters
    ----------
    bounds
        Opening and closing times, UTC nanoseconds, (n_sessions, 2), ascending and disjoint.
    market
        A calendar's name.
    """
    if not len(bounds):
        return bounds
    first, last = (bounds.ravel()[[0, -1]] // _YEAR_NS).tolist()
    pieces = []
    closed = closures(market, 1970 + first - 1, 1970 + last + 1)
    for opens, closes in bounds.tolist():
        at = opens
        for begin, end in closed[(closed[:, 0] < closes) & (closed[:, 1] > opens)].tolist():
            if begin > at:
                pieces.append((at, begin))
            at = max(at, end)
        if at < closes:
            pieces.append((at, closes))
    return np.array(pieces, dtype=np.int64).reshape(-1, 2)


def _hours_of(holiday: Holiday, year: int) -> tuple[int, int] | None:
    """Return a year's closing and opening by New York's wall, nanoseconds; None without it."""
    day = _day_of(holiday.day, year)
    if day is None:
        return None
    is_moved = holiday.if_sunday is not None and day.weekday() == _SUNDAY
    hours = holiday.if_sunday if is_moved and holiday.if_sunday else holiday
    return _at(day, hours.closes), _at(day, hours.opens)


def _day_of(rule: str, year: int) -> date | None:
    if rule.startswith("easter"):
        return easter(year) + timedelta(days=int(rule.removeprefix("easter")))
    match rule.split():
        case [month, weekday, place]:
            return _nth(year, int(month), _WEEKDAYS.index(weekday), int(place))
        case _ if rule.count("-") == 1:
            month, day = rule.split("-")
            return date(year, int(month), int(day))
        case _:
            once = date.fromisoformat(rule)
            return once if once.year == year else None


def easter(year: int) -> date:
    """Return Easter Sunday, by the anonymous Gregorian rule (*Nature* 13 (1876) 487).

    Examples
    --------
    >>> easter(2018)
    datetime.date(2018, 4, 1)
    """
    century, of_century = divmod(year, 100)
    moon = (19 * (year % 19) + century - century // 4 - (8 * century + 13) // 25 + 15) % 30
    sunday = (32 + 2 * (century % 4) + 2 * (of_century // 4) - moon - of_century % 4) % 7
    late = (year % 19 + 11 * moon + 22 * sunday) // 451
    month, day = divmod(moon + sunday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def _nth(year: int, month: int, weekday: int, place: int) -> date:
    """Return the first, second, ... or (-1) last weekday of a month."""
    if place > 0:
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (place - 1))
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - weekday) % 7 + 7 * (-place - 1))


def _at(day: date, hours: str) -> int:
    """Return a time by New York's wall, nanoseconds since 1970-01-01 00:00 on it."""
    days, at = hours.split()
    moment = datetime.combine(day + timedelta(days=int(days)), time.fromisoformat(at))
    return int(np.datetime64(moment, "ns").astype(np.int64))
