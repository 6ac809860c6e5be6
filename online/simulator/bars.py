"""Two-sided bars: what the simulated market is driven by when there are no ticks."""

from __future__ import annotations

import math

import msgspec

from online.domain.barriers import other_side
from online.domain.errors import InvalidMarketData
from online.domain.market import Bar, PriceSide, Timeframe

_LAST_NS = 2**63 - 1
"""Latest instant that a journal's reader holds."""


class BidAskBar(msgspec.Struct, frozen=True, gc=False):
    """Open, high, low and close of both sides over a closed interval.

    Parameters
    ----------
    opened_at_ns, closed_at_ns
        The interval, nanoseconds since 1970-01-01 UTC.
    bid_open, bid_high, bid_low, bid_close
        Prices at which one sells.
    ask_open, ask_high, ask_low, ask_close
        Prices at which one buys.

    Raises
    ------
    InvalidMarketData
        If a price or the interval cannot be.
    """

    opened_at_ns: int
    closed_at_ns: int
    bid_open: float
    bid_high: float
    bid_low: float
    bid_close: float
    ask_open: float
    ask_high: float
    ask_low: float
    ask_close: float

    def __post_init__(self) -> None:
        if not 0 <= self.opened_at_ns < self.closed_at_ns <= _LAST_NS:
            raise InvalidMarketData(
                "a bar needs 0 <= opened_at_ns < closed_at_ns within 64 bits, got "
                f"{self.opened_at_ns} and {self.closed_at_ns}"
            )
        bid = 0.0 < self.bid_low <= min(self.bid_open, self.bid_close)
        bid = bid and max(self.bid_open, self.bid_close) <= self.bid_high < math.inf
        ask = self.ask_low <= min(self.ask_open, self.ask_close)
        ask = ask and max(self.ask_open, self.ask_close) <= self.ask_high < math.inf
        if not (bid and ask and self._is_uncrossed()):
            raise InvalidMarketData(
                "a bar needs finite prices above 0 with low <= open, close <= high on each side "
                f"and bid <= ask, got {self}"
            )

    def _is_uncrossed(self) -> bool:
        return (
            self.bid_open <= self.ask_open
            and self.bid_high <= self.ask_high
            and self.bid_low <= self.ask_low
            and self.bid_close <= self.ask_close
        )


def two_sided(
    bar: Bar, timeframe: Timeframe, side: PriceSide, spread_points: float, scale: float
) -> BidAskBar:
    """Return both sides of a one-sided bar under an assumed constant spread.

    Parameters
    ----------
    bar
        Prices of one side.
    timeframe
        Its length, which gives the opening time.
    side
        The side `bar` is of.
    spread_points
        Assumed spread, points (>= 0).
    scale
        Points in one unit of price (`Instrument.scale`).

    Raises
    ------
    InvalidMarketData
        If the spread is negative or not a number, or the other side falls to 0 or below.

    Examples
    --------
    >>> bar = Bar(3_600_000_000_000, 1.1, 1.2, 1.0, 1.15)
    >>> two_sided(bar, Timeframe.H1, PriceSide.BID, 20.0, 100_000.0).ask_open
    1.1002
    """
    if not spread_points >= 0.0:
        raise InvalidMarketData(f"spread_points must be 0 or more, got {spread_points}")
    sign = 1 if side is PriceSide.BID else -1
    given = (bar.open, bar.high, bar.low, bar.close)
    opened, high, low, close = (other_side(price, spread_points, sign, scale) for price in given)
    if low <= 0.0:
        raise InvalidMarketData(f"spread of {spread_points} points leaves no price below {bar.low}")
    opened_at_ns = bar.closed_at_ns - timeframe.duration_ns
    other = (opened, high, low, close)
    bid, ask = (given, other) if side is PriceSide.BID else (other, given)
    return BidAskBar(opened_at_ns, bar.closed_at_ns, *bid, *ask)
