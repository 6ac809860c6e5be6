"""Longer bars from shorter ones, and bars from ticks; never a bar before its close.

A bar that closes at T holds what happened in [T - length, T). Bars up to an hour sit on the hours
of UTC. Longer bars of a market with a weekend sit on New York's 17:00, where its trading day ends,
in summer and winter; those of a market that never closes sit on midnight UTC. An interval in which
nothing happened makes no bar.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from online.domain.errors import InvalidInput
from online.domain.market import PriceSide, Timeframe
from pipelines.quality_gaps import Calendar, open_time, sessions
from pipelines.sources.clock import HOUR_NS, find_clock, from_utc
from pipelines.sources.raw import BAR_COLUMNS, MICROSTRUCTURE


def bar_close(
    at_ns: NDArray[np.int64], timeframe: Timeframe, calendar: Calendar
) -> NDArray[np.int64]:
    """Return when the bar that holds each time closes, UTC nanoseconds.

    Examples
    --------
    >>> noon = np.array([12 * HOUR_NS])
    >>> (bar_close(noon, Timeframe.H1, Calendar.CURRENCIES) // HOUR_NS).tolist()
    [13]
    """
    duration_ns = timeframe.duration_ns
    if duration_ns <= HOUR_NS or calendar is Calendar.ALWAYS:
        return (at_ns // duration_ns + 1) * duration_ns
    wall_ns = from_utc(at_ns, find_clock("broker-us"))  # its midnight is New York's 17:00
    return at_ns + duration_ns - wall_ns % duration_ns


def resample_bars(
    bars: pd.DataFrame,
    source: Timeframe,
    target: Timeframe,
    calendar: Calendar,
    *,
    known_until_ns: int | None = None,
) -> pd.DataFrame:
    """Return longer bars made of shorter ones.

    Parameters
    ----------
    bars
        Bars of length `source`, ascending, with the columns of `BAR_COLUMNS`.
    source, target
        Lengths of what is given and what is made; the latter is a whole multiple of the former.
    calendar
        When the market is open.
    known_until_ns
        Until when the market is known, UTC nanoseconds; by default the close of the last bar.

    Returns
    -------
    frame
        Bars of length `target` whose close is not after that time. The first is left out if the
        given bars begin in its midst. Volume is the sum and spread the mean of the parts; both are
        NaN if any part's is.

    Raises
    ------
    InvalidInput
        With code ``WRONG_TIMEFRAME`` if `target` is not longer.
    """
    if target.seconds <= source.seconds:
        raise InvalidInput(
            f"{target} bars cannot be made of {source} bars: expected a longer timeframe",
            code="WRONG_TIMEFRAME",
        )
    if bars.empty:
        return bars[list(BAR_COLUMNS)].copy()
    stamps = bars["closed_at_ns"].to_numpy()
    closes = bar_close(stamps - 1, target, calendar)
    starts = np.flatnonzero(np.append(True, closes[1:] != closes[:-1]))  # a value, not a flag
    counts = np.diff(np.append(starts, len(stamps)))
    made = pd.DataFrame(
        {
            "closed_at_ns": closes[starts],
            "open": bars["open"].to_numpy()[starts],
            "high": np.maximum.reduceat(bars["high"].to_numpy(), starts),
            "low": np.minimum.reduceat(bars["low"].to_numpy(), starts),
            "close": bars["close"].to_numpy()[starts + counts - 1],
            "volume": np.add.reduceat(bars["volume"].to_numpy(), starts),
            "spread_points": np.add.reduceat(bars["spread_points"].to_numpy(), starts) / counts,
        }
    )
    begun_ns = int(stamps[0]) - source.duration_ns
    last_ns = int(stamps[-1]) if known_until_ns is None else known_until_ns
    return _whole(made, target, calendar, begun_ns, last_ns)


def bars_from_ticks(
    ticks: pd.DataFrame,
    timeframe: Timeframe,
    calendar: Calendar,
    *,
    point: float,
    side: PriceSide = PriceSide.BID,
    known_until_ns: int | None = None,
) -> pd.DataFrame:
    """Return bars made of quotes, with what the quotes tell of each.

    Parameters
    ----------
    ticks
        Quotes, ascending: ``at_ns``, ``bid``, ``ask``.
    timeframe
        Length of the bars.
    calendar
        When the market is open.
    point
        The instrument's smallest step, the unit of the spread.
    side
        Whose prices open, high, low and close are.
    known_until_ns
        Until when the market is known, UTC nanoseconds; by default the time of the last quote, so
        that the bar it lies in is not shown yet.

    Returns
    -------
    frame
        The columns of `BAR_COLUMNS`, volume being the number of quotes and spread their mean, and
        those of `MICROSTRUCTURE` (see `measure_bars`).
    """
    at_ns = ticks["at_ns"].to_numpy()
    if not len(at_ns):
        return no_tick_bars()
    closes = bar_close(at_ns, timeframe, calendar)
    starts = np.flatnonzero(np.append(True, closes[1:] != closes[:-1]))  # a value, not a flag
    measures = measure_bars(
        starts, ticks["bid"].to_numpy(), ticks["ask"].to_numpy(), point=point, side=side
    )
    made = pd.DataFrame({"closed_at_ns": closes[starts], **measures})
    last_ns = int(at_ns[-1]) if known_until_ns is None else known_until_ns
    return made[made["closed_at_ns"] <= last_ns].reset_index(drop=True)


def no_tick_bars() -> pd.DataFrame:
    """Return an empty frame with the columns of bars made of quotes."""
    columns = [*BAR_COLUMNS, *MICROSTRUCTURE]
    return pd.DataFrame(columns=columns, dtype=np.float64).astype({"closed_at_ns": np.int64})


def measure_bars(
    starts: NDArray[np.int64],
    bid: NDArray[np.float64],
    ask: NDArray[np.float64],
    *,
    point: float,
    side: PriceSide,
) -> dict[str, NDArray[np.float64]]:
    """Return what quotes make of each bar: one rule for history and for the live stream.

    Every figure is of the bar's own quotes alone, so bars measured one by one have the same bits as
    all at once.

    Parameters
    ----------
    starts
        Place of each bar's first quote, ascending from 0, (n_bars,).
    bid, ask
        The quotes, (n_quotes,).
    point
        The instrument's smallest step, the unit of the spread.
    side
        Whose prices open, high, low and close are.

    Returns
    -------
    measures
        By name, (n_bars,) each: prices; ``volume``, the number of quotes; and what
        `online.domain.microstructure.Microstructure` says, of the mid prices. Bipower variation is
        left small by jumps (Barndorff-Nielsen and Shephard, *Journal of Financial Econometrics* 2
        (2004) 1-37).
    """
    counts = np.diff(np.append(starts, len(bid)))
    price = bid if side is PriceSide.BID else ask
    returns = np.diff(np.log((bid + ask) * 0.5), prepend=np.nan)
    returns[starts] = 0.0  # a bar knows its own quotes alone
    rising = np.add.reduceat((returns > 0.0).astype(np.float64), starts)
    falling = np.add.reduceat((returns < 0.0).astype(np.float64), starts)
    products = returns * np.append(0.0, returns[:-1])
    products[starts] = 0.0
    quotes = counts.astype(np.float64)
    return {
        "open": price[starts],
        "high": np.maximum.reduceat(price, starts),
        "low": np.minimum.reduceat(price, starts),
        "close": price[starts + counts - 1],
        "volume": quotes,
        "spread_points": np.add.reduceat(ask - bid, starts) / counts / point,
        "quotes": quotes,
        "rising_quotes": rising,
        "falling_quotes": falling,
        "spread_max_points": np.maximum.reduceat(ask - bid, starts) / point,
        "tick_imbalance": (rising - falling) / np.maximum(rising + falling, 1.0),
        "realised_variance": np.add.reduceat(returns * returns, starts),
        "bipower_variation": np.pi / 2.0 * np.add.reduceat(np.abs(products), starts),
        "quote_autocovariance": np.add.reduceat(products, starts),
    }


def _whole(
    made: pd.DataFrame, target: Timeframe, calendar: Calendar, begun_ns: int, last_ns: int
) -> pd.DataFrame:
    """Leave out bars that are not over, and a first one whose beginning was not seen."""
    first_open_ns = int(made["closed_at_ns"].iloc[0]) - target.duration_ns
    bounds = sessions(first_open_ns, max(begun_ns, first_open_ns), calendar)
    before, after = open_time(np.array([first_open_ns, begun_ns]), bounds)
    kept = made["closed_at_ns"].to_numpy() <= last_ns
    kept[0] &= before >= after
    return made[kept].reset_index(drop=True)
