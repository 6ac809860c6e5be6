"""The catalogue in pandas: the laws' golden references, without `apply` and Python loops.

A reference that the laws may compute slowly is written here as a pandas user would make it fast.
Kaufman's average is recursive with a rate of its own at every bar, and VPIN's buckets begin where
others end; pandas has no word for either: they stay loops over lists.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from itertools import islice

import numpy as np
import numpy.typing as npt
import pandas as pd

from tests.laws.feature_formulas import kama, typical
from tests.laws.feature_references import REFERENCES
from tests.laws.microstructure_references import Reference, moves, signed

Windows = npt.NDArray[np.float64]


def windows(values: pd.Series[float], bars: int) -> Windows:
    """Return every window of `bars` values, ``(n_bars - bars + 1, bars)``, a view."""
    return np.lib.stride_tricks.sliding_window_view(values.to_numpy(), bars)


def late(values: Windows, b: pd.DataFrame) -> pd.Series[float]:
    """Return values that begin late, NaN before."""
    return pd.Series(np.concatenate([np.full(len(b) - len(values), np.nan), values]), b.index)


def weighted(b: pd.DataFrame, bars: int = 20) -> pd.Series[float]:
    """Return the linearly weighted average."""
    weights = np.arange(1, bars + 1) / np.arange(1, bars + 1).sum()
    return late(windows(b["close"], bars) @ weights, b)


def aroon(b: pd.DataFrame, bars: int = 25) -> pd.Series[float]:
    """Return Aroon's oscillator."""
    since_high = windows(b["high"], bars + 1)[:, ::-1].argmax(axis=1)
    since_low = windows(b["low"], bars + 1)[:, ::-1].argmin(axis=1)
    return late(100 * (since_low - since_high) / bars, b)


def cci(b: pd.DataFrame, bars: int = 20) -> pd.Series[float]:
    """Return the commodity channel index."""
    price = typical(b)
    seen = windows(price, bars)
    average = seen.mean(axis=1)
    spread = np.abs(seen - average[:, None]).mean(axis=1)
    spread[spread <= 1e-12] = np.nan
    return late((price.to_numpy()[bars - 1 :] - average) / (0.015 * spread), b)


def minutes_of_week(b: pd.DataFrame, zone: str = "UTC") -> pd.Series[int]:
    """Return minutes since Monday 00:00 on a wall clock."""
    at = pd.to_datetime(b["closed_at_ns"], utc=True).dt.tz_convert(zone).dt
    minutes: pd.Series[int] = at.dayofweek * 1440 + at.hour * 60 + at.minute
    return minutes


def turn(
    b: pd.DataFrame, wave: Callable[[pd.Series[float]], pd.Series[float]], minutes: int
) -> pd.Series[float]:
    """Return the sine or cosine of the day's or the week's turn."""
    return wave(2 * np.pi * (minutes_of_week(b) % minutes) / minutes)


def session(b: pd.DataFrame, zone: str, opens: int = 8, ends: int = 17) -> pd.Series[float]:
    """Return 1.0 within a market's hours, else 0.0."""
    minutes = minutes_of_week(b, zone)
    hour = minutes % 1440 // 60
    return ((minutes < 5 * 1440) & (hour >= opens) & (hour < ends)).astype(float)


def elapsed(b: pd.DataFrame) -> pd.Series[float]:
    """Return the part of the week's 120 hours that has passed."""
    minutes = (minutes_of_week(b, "America/New_York") - 161 * 60) % (168 * 60)
    return (minutes / 60).clip(upper=120) / 120


def vpin(b: pd.DataFrame, bars: int = 50, size: int = 5, buckets: int = 20) -> pd.Series[float]:
    """Return the one-sided share of the newest buckets, in one pass with running sums."""
    wanted = (size * moves(b).rolling(bars).mean()).tolist()
    full = deque[tuple[float, float]]()
    kept = kept_one_sided = content = net = limit = 0.0
    values = [np.nan] * (bars - 1)
    rows = zip(moves(b).tolist(), signed(b).tolist(), wanted, strict=True)
    for both, difference, want in islice(rows, bars - 1, None):
        if not limit:
            limit = max(1.0, math.ceil(want))
        content += both
        net += difference
        values.append((kept_one_sided + abs(net)) / max(kept + content, 1.0))
        if content >= limit:
            full.append((content, abs(net)))
            kept, kept_one_sided = kept + content, kept_one_sided + abs(net)
            content = net = limit = 0.0
            if len(full) == buckets:
                oldest, its_one_sided = full.popleft()
                kept, kept_one_sided = kept - oldest, kept_one_sided - its_one_sided
    return pd.Series(values, b.index)


PANDAS: dict[str, Reference] = {
    **REFERENCES,
    "wma_20_ratio": lambda b: b["close"] / weighted(b) - 1,
    "kama_10_ratio": lambda b: b["close"] / kama(b) - 1,
    "aroon_oscillator_25": aroon,
    "cci_20": cci,
    "hour_sine": lambda b: turn(b, np.sin, 1440),
    "hour_cosine": lambda b: turn(b, np.cos, 1440),
    "week_sine": lambda b: turn(b, np.sin, 7 * 1440),
    "week_cosine": lambda b: turn(b, np.cos, 7 * 1440),
    "london_session": lambda b: session(b, "Europe/London"),
    "new_york_session": lambda b: session(b, "America/New_York"),
    "tokyo_session": lambda b: session(b, "Asia/Tokyo", 9, 18),
    "sydney_session": lambda b: session(b, "Australia/Sydney"),
    "london_new_york_overlap": lambda b: (
        session(b, "Europe/London") * session(b, "America/New_York")
    ),
    "week_elapsed": elapsed,
    "vpin_20": vpin,
}
