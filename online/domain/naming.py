"""Names of decisions and orders: readable, unique, and the same for the same bar."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from online.domain.market import NANOSECONDS_PER_SECOND, Timeframe
from online.domain.order import Purpose
from online.domain.record import Request

_DAY_MINUTES = 1_440
_TIMES = tuple(f"T{minute // 60:02d}{minute % 60:02d}Z" for minute in range(_DAY_MINUTES))


def name_decision(request: Request, number: int) -> str:
    """Return a decision's name, for example ``EURUSD-H1-20171002T0100Z-17``."""
    return f"{_bar_name(request)}-{number}"


def name_intent(request: Request, purpose: Purpose) -> str:
    """Return an order's name, for example ``EURUSD-H1-20171002T0100Z-entry``."""
    return f"{_bar_name(request)}-{purpose}"


def _bar_name(request: Request) -> str:
    minute = request.bar_closed_at_ns // NANOSECONDS_PER_SECOND // 60  # small divisors are quick
    day = minute // _DAY_MINUTES
    return _day_name(request.symbol, request.timeframe, day) + _TIMES[minute - day * _DAY_MINUTES]


@lru_cache(maxsize=64)
def _day_name(symbol: str, timeframe: Timeframe, day: int) -> str:
    return f"{symbol}-{timeframe}-{datetime.fromtimestamp(day * _DAY_MINUTES * 60, tz=UTC):%Y%m%d}"
