"""Names of decisions and orders: readable, unique, and the same for the same bar."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.order import Purpose
from online.domain.record import Request

_MINUTE_NS, _DAY_MINUTES = 60 * NANOSECONDS_PER_SECOND, 1_440
_TIMES = tuple(f"T{minute // 60:02d}{minute % 60:02d}Z" for minute in range(_DAY_MINUTES))


def name_decision(request: Request, number: int) -> str:
    """Return a decision's name, for example ``EURUSD-H1-20171002T0100Z-17``."""
    bar = _bar_text(request.bar_closed_at_ns)
    return "-".join((request.symbol, request.timeframe, bar, str(number)))


def name_intent(request: Request, purpose: Purpose) -> str:
    """Return an order's name, for example ``EURUSD-H1-20171002T0100Z-entry``."""
    bar = _bar_text(request.bar_closed_at_ns)
    return f"{request.symbol}-{request.timeframe}-{bar}-{purpose}"


@lru_cache(maxsize=64)
def _day_text(day: int) -> str:
    return f"{datetime.fromtimestamp(day * _DAY_MINUTES * 60, tz=UTC):%Y%m%d}"


def _bar_text(closed_at_ns: int) -> str:
    minute = closed_at_ns // _MINUTE_NS
    day = minute // _DAY_MINUTES
    return _day_text(day) + _TIMES[minute - day * _DAY_MINUTES]
