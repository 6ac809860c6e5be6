"""Arrays of ticks and bars in the package's packed types, on the server's clock."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from online.domain.market import NANOSECONDS_PER_SECOND
from online.simulator import constants as mt5
from online.simulator.prices import Ticks
from online.simulator.server_time import ServerTime

RATES_DTYPE = np.dtype(
    [
        ("time", "<i8"),
        ("open", "<f8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("tick_volume", "<u8"),
        ("spread", "<i4"),
        ("real_volume", "<u8"),
    ]
)
TICKS_DTYPE = np.dtype(
    [
        ("time", "<i8"),
        ("bid", "<f8"),
        ("ask", "<f8"),
        ("last", "<f8"),
        ("volume", "<u8"),
        ("time_msc", "<i8"),
        ("flags", "<u4"),
        ("volume_real", "<f8"),
    ]
)
_MILLISECOND_NS = 1_000_000
_DAY = 86_400
_WEEK_SHIFT = 4 * _DAY  # weeks open on Sunday, 1970-01-01 was a Thursday
_HOURS_FLAG = 0x4000
SECONDS = {
    value: 60 * value if value < _HOURS_FLAG else 3_600 * (value - _HOURS_FLAG)
    for name, value in vars(mt5).items()
    if name.startswith("TIMEFRAME_") and name not in {"TIMEFRAME_W1", "TIMEFRAME_MN1"}
}
"""Length of the timeframes that have a fixed one, except weeks."""


def is_timeframe(value: object) -> bool:
    """Tell whether a value is a ``TIMEFRAME_*`` constant."""
    return value in SECONDS or value in {mt5.TIMEFRAME_W1, mt5.TIMEFRAME_MN1}


def tick_array(ticks: Ticks, zone: ServerTime) -> NDArray[Any]:
    """Return ticks in the package's type, shape ``(n_ticks,)``, oldest first.

    A tick's flags say which side changed; the first has both.
    """
    told = np.zeros(len(ticks), TICKS_DTYPE)
    server_ns = ticks.at_ns + zone.offsets_ns(ticks.at_ns)
    told["time"] = server_ns // NANOSECONDS_PER_SECOND
    told["time_msc"] = server_ns // _MILLISECOND_NS
    told["bid"], told["ask"] = ticks.bid, ticks.ask
    bid_changed = np.diff(ticks.bid, prepend=np.nan) != 0.0
    ask_changed = np.diff(ticks.ask, prepend=np.nan) != 0.0
    told["flags"] = mt5.TICK_FLAG_BID * bid_changed + mt5.TICK_FLAG_ASK * ask_changed
    return told


def rate_array(ticks: Ticks, timeframe: int, zone: ServerTime, scale: float) -> NDArray[Any]:
    """Return the bars that ticks make, shape ``(n_bars,)``, oldest first.

    Bars are of the bid and stamped with their opening on the server's clock. The last one is
    still forming. The spread is the least of the bar, points.
    """
    if not len(ticks):
        return np.empty(0, RATES_DTYPE)
    seconds = (ticks.at_ns + zone.offsets_ns(ticks.at_ns)) // NANOSECONDS_PER_SECOND
    opened = _floor(seconds, timeframe)
    starts = np.flatnonzero(np.diff(opened, prepend=opened[0] - 1))
    ends = np.append(starts[1:], len(opened))
    bars = np.zeros(len(starts), RATES_DTYPE)
    bars["time"] = opened[starts]
    bars["open"], bars["close"] = ticks.bid[starts], ticks.bid[ends - 1]
    bars["high"] = np.maximum.reduceat(ticks.bid, starts)
    bars["low"] = np.minimum.reduceat(ticks.bid, starts)
    bars["tick_volume"] = ends - starts
    spread = np.rint((ticks.ask - ticks.bid) * scale).astype(np.int32)
    bars["spread"] = np.minimum.reduceat(spread, starts)
    return bars


def _floor(seconds: NDArray[np.int64], timeframe: int) -> NDArray[np.int64]:
    """Return the opening of the bars that instants lie in, seconds on the server's clock."""
    if timeframe == mt5.TIMEFRAME_MN1:
        months = seconds.astype("datetime64[s]").astype("datetime64[M]")
        return np.asarray(months.astype("datetime64[s]").astype(np.int64), np.int64)
    if timeframe == mt5.TIMEFRAME_W1:
        length, shift = 7 * _DAY, _WEEK_SHIFT
    else:
        length, shift = SECONDS[timeframe], 0
    return np.asarray((seconds + shift) // length * length - shift, np.int64)
