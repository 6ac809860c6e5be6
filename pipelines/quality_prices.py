"""Find prices that are possible and not credible: spikes and frozen feeds."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from online.domain.market import Instrument, Timeframe
from pipelines.sources.raw import PRICES

SPIKE_RANGES_MAX: Final = 50.0
"""An excursion of so many usual ranges is a spike; the largest of real news seen is 41 (EURUSD,
the ECB's decision of 2015-12-03, a minute)."""

FROZEN_BARS_MAX: Final = {
    Timeframe.M1: 30,
    Timeframe.M5: 12,
    Timeframe.M15: 8,
    Timeframe.M30: 6,
    Timeframe.H1: 5,
    Timeframe.H4: 3,
    Timeframe.D1: 2,
}
"""So many bars in a row at one price are a quiet market, more are a dead feed; the longest run seen
in a live one is 9 (GBPUSD, minutes)."""

_NEIGHBOURS = 241
_BARS_MIN = 30


def find_spikes(bars: pd.DataFrame, instrument: Instrument) -> NDArray[np.bool_]:
    """Return which bars leave both their neighbours by far more than bars usually move.

    A spike goes out and comes back: its high is far above, or its low far below, both the close
    before it and the open after it. The usual range is the median of high less low (in logarithms)
    over the bars around it, and not less than that of the whole series, so that a quiet holiday
    makes no spike of an ordinary bar. A move that stays is no spike. The bar after is used, so this
    cleans what is stored; it is no feature.

    Parameters
    ----------
    bars
        Bars, ascending; the columns of `PRICES`.
    instrument
        Whose bars they are; no range is taken as less than its smallest step.

    Returns
    -------
    spikes : ndarray of bool, (n_bars,)
        None of them in a series of less than 30 bars.
    """
    if len(bars) < _BARS_MIN:
        return np.zeros(len(bars), dtype=np.bool_)
    open_, high, low, close = np.log(bars[list(PRICES)].to_numpy()).T
    before = np.append(open_[0], close[:-1])
    after = np.append(open_[1:], close[-1])
    above = high - np.maximum(before, after)
    below = np.minimum(before, after) - low
    ranges = pd.Series(high - low)
    around = ranges.rolling(_NEIGHBOURS, center=True, min_periods=1).median().to_numpy()
    step = instrument.point / bars["close"].to_numpy()
    usual = np.maximum(np.maximum(around, ranges.median()), step)
    return np.asarray(np.maximum(above, below) > SPIKE_RANGES_MAX * usual)


def find_frozen(bars: pd.DataFrame, timeframe: Timeframe) -> NDArray[np.bool_]:
    """Return which bars repeat one price for too long.

    Parameters
    ----------
    bars
        Bars, ascending; the columns of `PRICES` and ``volume``.
    timeframe
        Their length, which says how long is too long.

    Returns
    -------
    frozen : ndarray of bool, (n_bars,)
        The second and later bars of a run whose open, high, low and close are all one price, where
        the source does not report trades in them.
    """
    open_, high, low, close = bars[list(PRICES)].to_numpy().T
    volume = bars["volume"].to_numpy()
    repeats = (high == low) & (close == np.append(np.nan, close[:-1])) & (open_ == close)
    repeats &= np.isnan(volume) | (volume == 0.0)
    run = np.cumsum(~repeats)
    lengths = np.bincount(run, weights=repeats)
    return np.asarray(repeats & (lengths[run] >= FROZEN_BARS_MAX[timeframe]))
