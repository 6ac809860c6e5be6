"""Bars from quotes: on the clock as they come, to the bits of the batch, and by their number.

A bar is measured when it is over, from its own quotes, by the very function that makes bars of
history (`pipelines.resample.measure_bars`); so live and batch cannot differ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from online.domain.errors import InvalidInput, InvalidMarketData
from online.domain.market import Bar, PriceSide, Timeframe
from online.domain.microstructure import MICROSTRUCTURE, Microstructure
from pipelines.quality_gaps import Calendar
from pipelines.resample import bar_close, measure_bars, no_tick_bars
from pipelines.sources.raw import BAR_COLUMNS, PRICES
from pipelines.sources.raw import MICROSTRUCTURE as RAW_MICROSTRUCTURE

_FIRST = np.zeros(1, dtype=np.int64)
_NEVER = -1


class TickBarStream:
    """Bars on the clock, quote by quote.

    Parameters
    ----------
    timeframe, calendar
        Length of the bars, and when the market is open.
    point
        The instrument's smallest step, the unit of the spread.
    side
        Whose prices open, high, low and close are.
    """

    def __init__(
        self,
        timeframe: Timeframe,
        calendar: Calendar,
        *,
        point: float,
        side: PriceSide = PriceSide.BID,
    ) -> None:
        self._timeframe, self._calendar = timeframe, calendar
        self._quotes = _Quotes(point, side)
        self._closes_at_ns = _NEVER
        self._last_ns = 0

    @property
    def closes_at_ns(self) -> int | None:
        """Close of the bar that is forming, UTC; None while there is none."""
        return self._closes_at_ns if self._closes_at_ns != _NEVER else None

    def update(self, at_ns: int, bid: float, ask: float) -> Bar | None:
        """Take the next quote; return the bar that it shows to be over, if any.

        Raises
        ------
        InvalidMarketData
            With code ``TICK_NOT_NEWER`` if it is earlier than the last, or of a bar already closed.
        """
        if at_ns < self._last_ns:
            raise _late(at_ns, self._last_ns)
        self._last_ns = at_ns
        made = None
        if at_ns >= self._closes_at_ns:
            made = self._quotes.measure(self._closes_at_ns)
            closes = bar_close(np.array([at_ns]), self._timeframe, self._calendar)
            self._closes_at_ns = int(closes[0])
        self._quotes.add(bid, ask)
        return made

    def close_until(self, now_ns: int) -> Bar | None:
        """Return the bar that is over by the clock, though no later quote has come."""
        if not 0 < self._closes_at_ns <= now_ns:
            return None
        made = self._quotes.measure(self._closes_at_ns)
        self._last_ns, self._closes_at_ns = self._closes_at_ns, _NEVER
        return made


def bars_by_quotes(
    ticks: pd.DataFrame,
    quotes_per_bar: int,
    *,
    point: float,
    side: PriceSide = PriceSide.BID,
) -> pd.DataFrame:
    """Return bars of so many quotes.

    A bar closes at the first later time after its number is reached: quotes of one time are never
    parted, since their order within it is not known.

    Parameters
    ----------
    ticks
        Quotes, ascending: ``at_ns``, ``bid``, ``ask``.
    quotes_per_bar
        Quotes after which a bar is complete (>= 1).
    point
        The instrument's smallest step.
    side
        Whose prices open, high, low and close are.

    Returns
    -------
    frame
        As `pipelines.resample.bars_from_ticks`; ``closed_at_ns`` is a nanosecond after the bar's
        last quote. The last bar is shown once a later quote shows that it is over.

    Raises
    ------
    InvalidInput
        ``BAD_AMOUNT`` if `quotes_per_bar` is below 1.
    """
    if quotes_per_bar < 1:
        raise InvalidInput(
            f"a bar must be complete after 1 quote or more, got {quotes_per_bar}",
            code="BAD_AMOUNT",
        )
    at_ns = ticks["at_ns"].to_numpy()
    starts = _starts(at_ns, quotes_per_bar)
    if len(starts) <= 1:
        return no_tick_bars()
    whole = int(starts[-1])
    bid, ask = (ticks[name].to_numpy()[:whole] for name in ("bid", "ask"))
    measures = measure_bars(starts[:-1], bid, ask, point=point, side=side)
    return pd.DataFrame({"closed_at_ns": at_ns[starts[1:] - 1] + 1, **measures})


def bars_frame(bars: Sequence[Bar]) -> pd.DataFrame:
    """Return bars of a stream as the lake takes them: those of `pipelines.resample`, bit for bit.

    Parameters
    ----------
    bars
        Made of quotes, oldest first, at least one.
    """
    columns = (*BAR_COLUMNS, *RAW_MICROSTRUCTURE)
    rows = [
        [getattr(bar.microstructure if name in MICROSTRUCTURE else bar, name) for name in columns]
        for bar in bars
    ]
    made = pd.DataFrame(rows, columns=list(columns), dtype=np.float64)
    return made.assign(closed_at_ns=np.array([bar.closed_at_ns for bar in bars], np.int64))


def _starts(at_ns: NDArray[np.int64], quotes_per_bar: int) -> NDArray[np.int64]:
    """Return the place of each bar's first quote."""
    moments = np.flatnonzero(np.diff(at_ns, prepend=at_ns[:1] - 1))  # first quotes of their time
    starts: list[int] = []
    for place in moments.tolist():
        if not starts or place - starts[-1] >= quotes_per_bar:
            starts.append(place)
    return np.array(starts, dtype=np.int64)


class _Quotes:
    """The quotes of the bar that is being made."""

    __slots__ = ("_asks", "_bids", "_point", "_side")

    def __init__(self, point: float, side: PriceSide) -> None:
        self._point, self._side = point, side
        self._bids: list[float] = []
        self._asks: list[float] = []

    def add(self, bid: float, ask: float) -> None:
        self._bids.append(bid)
        self._asks.append(ask)

    def measure(self, closed_at_ns: int) -> Bar | None:
        """Return the bar of the quotes so far and forget them; None if there are none."""
        if not self._bids:
            return None
        bid, ask = np.array(self._bids), np.array(self._asks)
        measures = measure_bars(_FIRST, bid, ask, point=self._point, side=self._side)
        self._bids, self._asks = [], []
        told = {name: float(one[0]) for name, one in measures.items()}
        prices = {name: told[name] for name in (*PRICES, "volume")}
        quotes = Microstructure(**{name: told[name] for name in MICROSTRUCTURE})
        return Bar(closed_at_ns, **prices, microstructure=quotes)


def _late(at_ns: int, last_ns: int) -> InvalidMarketData:
    return InvalidMarketData(
        f"the quote of {at_ns} is earlier than {last_ns}, up to which all is told",
        code="TICK_NOT_NEWER",
        remedy="Leave late quotes out, and count them.",
    )
