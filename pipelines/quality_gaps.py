"""Find what is missing: bars that a session calendar expects and a series does not have."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from online.domain.market import Instrument, Timeframe
from pipelines.holidays import without_holidays
from pipelines.sources.clock import HOUR_NS, NEW_YORK, find_clock, to_utc

DAY_NS = 24 * HOUR_NS
_CRYPTO = frozenset({"BTC", "ETH", "LTC", "XRP", "SOL"})
_CURRENCIES = frozenset(
    [
        "AUD",
        "CAD",
        "CHF",
        "CNH",
        "CZK",
        "DKK",
        "EUR",
        "GBP",
        "HKD",
        "HUF",
        "JPY",
        "MXN",
        "NOK",
        "NZD",
        "PLN",
        "SEK",
        "SGD",
        "TRY",
        "USD",
        "ZAR",
    ]
)
_HALTS_ENDED_DAY = 18_806  # 2021-06-28, days since 1970
_METALS = frozenset({"XAU", "XAG", "XPT", "XPD"})


class Calendar(StrEnum):
    """When a market is open in a usual week; holidays are in `pipelines.holidays`."""

    CURRENCIES = "currencies"
    """Sunday 17:00 to Friday 17:00, New York."""
    METALS = "metals"
    """As currencies, closed 17:00 to 18:00 every day: CME Globex's maintenance hour."""
    INDICES = "indices"
    """As metals, and closed 16:15 to 16:30 until CME ended that halt on 2021-06-28."""
    ALWAYS = "always"
    """Never closed."""


def calendar_of(instrument: Instrument) -> Calendar:
    """Return the calendar of an instrument, by its base; what is not known is an index."""
    base = instrument.base_currency
    if base in _CRYPTO:
        return Calendar.ALWAYS
    if base in _METALS:
        return Calendar.METALS
    return Calendar.CURRENCIES if base in _CURRENCIES else Calendar.INDICES


@dataclass(frozen=True, slots=True)
class Gap:
    """Bars that are expected between two neighbours and are not there.

    Parameters
    ----------
    after_ns, before_ns
        Closes of the bars on either side, UTC nanoseconds.
    missing_bars
        How many bars the calendar expects between them (> 0).
    """

    after_ns: int
    before_ns: int
    missing_bars: int

    @property
    def duration(self) -> pd.Timedelta:
        """Time between the closes of the two neighbours."""
        return pd.Timedelta(self.before_ns - self.after_ns, unit="ns")


def sessions(first_ns: int, last_ns: int, calendar: Calendar) -> NDArray[np.int64]:
    """Return the sessions that touch an interval, joined where one follows on another.

    Parameters
    ----------
    first_ns, last_ns
        The interval, UTC nanoseconds.
    calendar
        When the market is open.

    Returns
    -------
    bounds : ndarray of int64, (n_sessions, 2)
        Opening and closing times, UTC nanoseconds, ascending and disjoint.
    """
    if calendar is Calendar.ALWAYS:
        return np.array([[first_ns - DAY_NS, last_ns + DAY_NS]], dtype=np.int64)
    days = np.arange(first_ns // DAY_NS - 8, last_ns // DAY_NS + 8, dtype=np.int64)
    weekday = (days + 3) % 7  # 1970-01-01 was a Thursday; 0 is Monday
    evenings = days[(weekday <= 3) | (weekday == 6)]  # noqa: PLR2004  # Monday to Thursday, Sunday
    clock = find_clock(NEW_YORK)
    opening_hour = 17 if calendar is Calendar.CURRENCIES else 18
    opens, _ = to_utc(evenings * DAY_NS + opening_hour * HOUR_NS, clock)
    closes, _ = to_utc((evenings + 1) * DAY_NS + 17 * HOUR_NS, clock)
    if calendar is Calendar.INDICES:
        halted = closes[evenings + 1 < _HALTS_ENDED_DAY]
        opens = np.sort(np.append(opens, halted - HOUR_NS // 2))
        closes = np.sort(np.append(closes, halted - HOUR_NS * 3 // 4))
    starts = np.flatnonzero(np.append(True, opens[1:] > closes[:-1]))
    ends = np.append(starts[1:] - 1, len(closes) - 1)
    return np.column_stack((opens[starts], closes[ends]))


def open_time(at_ns: NDArray[np.int64], bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how long the market has been open up to each time, since the first session, ns."""
    lengths = bounds[:, 1] - bounds[:, 0]
    before = np.concatenate(([0], np.cumsum(lengths)))
    session = np.searchsorted(bounds[:, 0], at_ns, side="right") - 1
    known = np.maximum(session, 0)
    within = np.clip(at_ns - bounds[known, 0], 0, lengths[known])
    return np.where(session < 0, 0, before[known] + within)


def find_gaps(
    closed_at_ns: NDArray[np.int64], timeframe: Timeframe, calendar: Calendar
) -> list[Gap]:
    """Return the gaps of a series, oldest first.

    Parameters
    ----------
    closed_at_ns
        Closes of the bars, ascending, UTC nanoseconds, (n_bars,).
    timeframe
        Length of the bars.
    calendar
        When the market is open; time out of session and on its holidays is not missed.

    Examples
    --------
    >>> hour = 3600 * 10**9
    >>> monday = 4 * 24 * hour
    >>> closes = monday + hour * np.array([10, 11, 14])
    >>> [gap.missing_bars for gap in find_gaps(closes, Timeframe.H1, Calendar.CURRENCIES)]
    [2]
    """
    apart = np.flatnonzero(np.diff(closed_at_ns) > timeframe.duration_ns)
    if not len(apart):
        return []
    bounds = sessions(int(closed_at_ns[0]), int(closed_at_ns[-1]), calendar)
    bounds = without_holidays(bounds, calendar.value)
    after, before = closed_at_ns[apart], closed_at_ns[apart + 1]
    unseen_ns = open_time(before - timeframe.duration_ns, bounds) - open_time(after, bounds)
    missing = unseen_ns // timeframe.duration_ns
    return [
        Gap(int(a), int(b), int(n)) for a, b, n in zip(after, before, missing, strict=True) if n > 0
    ]


def count_out_of_session(
    closed_at_ns: NDArray[np.int64], timeframe: Timeframe, calendar: Calendar
) -> int:
    """Return how many bars lie wholly in hours in which the calendar has the market closed."""
    if not len(closed_at_ns):
        return 0
    bounds = sessions(int(closed_at_ns[0]), int(closed_at_ns[-1]), calendar)
    opened_ns = closed_at_ns - timeframe.duration_ns
    return int((open_time(closed_at_ns, bounds) == open_time(opened_ns, bounds)).sum())
