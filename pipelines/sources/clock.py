"""Wall clocks of sources, and their way to UTC.

A local time that a clock change skips or repeats has no single UTC time. Such a stamp gets a
fault; it is never moved or guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from online.domain.errors import InvalidInput
from online.domain.market import NANOSECONDS_PER_SECOND
from pipelines.sources.raw import Fault

NEW_YORK = "America/New_York"
HOUR_NS = 3600 * NANOSECONDS_PER_SECOND
_FIXED = re.compile(r"UTC(?P<sign>[+-])(?P<hours>\d{2}):(?P<minutes>\d{2})")


@dataclass(frozen=True, slots=True)
class WallClock:
    """A clock on some wall.

    Parameters
    ----------
    name
        How settings call it.
    zone
        Zone whose rules it follows: an IANA name (pandas is fifty times faster on names than on
        `ZoneInfo`) or a fixed offset.
    ahead_ns
        How far it runs ahead of that zone, nanoseconds.
    """

    name: str
    zone: str | timezone
    ahead_ns: int = 0


def find_clock(name: str) -> WallClock:
    """Return the clock named `name`.

    Parameters
    ----------
    name
        ``UTC``; a fixed offset such as ``UTC-05:00``; an IANA zone such as ``America/New_York``;
        ``broker-us``, a trading server whose midnight is 17:00 in New York all year; or
        ``broker-eu``, one on Eastern European time (GMT+2, +3 in the European summer).

    Raises
    ------
    InvalidInput
        With code ``UNKNOWN_CLOCK``.

    Examples
    --------
    >>> find_clock("broker-us").ahead_ns // HOUR_NS
    7
    """
    if name == "broker-us":
        return WallClock(name, NEW_YORK, 7 * HOUR_NS)
    if name == "broker-eu":
        return WallClock(name, "Europe/Athens")
    fixed = _FIXED.fullmatch(name)
    if fixed is not None:
        offset = timedelta(hours=int(fixed["hours"]), minutes=int(fixed["minutes"]))
        if offset < timedelta(hours=24):
            return WallClock(name, timezone(-offset if fixed["sign"] == "-" else offset))
    try:
        return WallClock(name, ZoneInfo(name).key)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidInput(
            f"unknown clock {name!r}: expected UTC, a fixed offset such as UTC-05:00, an IANA zone "
            "such as America/New_York, broker-us or broker-eu",
            code="UNKNOWN_CLOCK",
        ) from None


def to_utc(
    wall_ns: NDArray[np.int64], clock: WallClock
) -> tuple[NDArray[np.int64], NDArray[np.object_]]:
    """Return the UTC nanoseconds of wall-clock stamps, and a fault where there is no single one.

    Parameters
    ----------
    wall_ns
        What the wall clock showed, nanoseconds since 1970-01-01 00:00 on that clock, (n,).
    clock
        Which clock it was.

    Returns
    -------
    utc_ns : ndarray of int64, (n,)
        0 where there is a fault.
    fault : ndarray of object, (n,)
        ``NONEXISTENT_LOCAL_TIME``, ``AMBIGUOUS_LOCAL_TIME`` or the empty string.
    """
    wall = pd.DatetimeIndex(np.asarray(wall_ns - clock.ahead_ns).view("M8[ns]"))
    as_summer = wall.tz_localize(
        clock.zone, ambiguous=np.ones(len(wall), dtype=np.bool_), nonexistent="NaT"
    )
    as_winter = wall.tz_localize(
        clock.zone, ambiguous=np.zeros(len(wall), dtype=np.bool_), nonexistent="NaT"
    )
    nonexistent = np.asarray(as_summer.isna())
    summer_ns = np.asarray(as_summer.asi8)
    ambiguous = (summer_ns != np.asarray(as_winter.asi8)) & ~nonexistent
    fault = np.full(len(wall), "", dtype=object)
    fault[nonexistent] = Fault.NONEXISTENT_LOCAL_TIME
    fault[ambiguous] = Fault.AMBIGUOUS_LOCAL_TIME
    return np.where(nonexistent | ambiguous, 0, summer_ns), fault


def from_utc(utc_ns: NDArray[np.int64], clock: WallClock) -> NDArray[np.int64]:
    """Return what a wall clock showed at UTC times.

    Parameters
    ----------
    utc_ns
        Nanoseconds since 1970-01-01 UTC, (n,).
    clock
        Which clock.

    Returns
    -------
    wall_ns : ndarray of int64, (n,)
        Nanoseconds since 1970-01-01 00:00 on that clock.
    """
    stamps = pd.DatetimeIndex(np.asarray(utc_ns).view("M8[ns]")).tz_localize("UTC")
    return np.asarray(stamps.tz_convert(clock.zone).tz_localize(None).asi8) + clock.ahead_ns
