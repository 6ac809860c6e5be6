"""Golden references: every feature once more, from its definition, in pandas and NumPy.

Written from the literature, not from the catalogue: averages are pandas' own, and nothing here
knows TA-Lib. Recursive averages start differently, so they are compared where that has decayed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

Reference = Callable[[pd.DataFrame], "pd.Series[float]"]


def wilder(values: pd.Series[float], bars: int) -> pd.Series[float]:
    return values.ewm(alpha=1.0 / bars, adjust=False).mean()


def ema(values: pd.Series[float], bars: int) -> pd.Series[float]:
    return values.ewm(span=bars, adjust=False).mean()


def log_return(b: pd.DataFrame, bars: int = 1) -> pd.Series[float]:
    logs: pd.Series[float] = np.log(b["close"])
    return logs.diff(bars)


def true_range(b: pd.DataFrame) -> pd.Series[float]:
    before = b["close"].shift()
    reaches = [b["high"] - b["low"], (b["high"] - before).abs(), (b["low"] - before).abs()]
    return pd.concat(reaches, axis=1).max(axis=1)


def atr(b: pd.DataFrame, bars: int = 14) -> pd.Series[float]:
    return wilder(true_range(b).iloc[1:], bars).reindex(b.index)


def macd(b: pd.DataFrame) -> pd.Series[float]:
    return ema(b["close"], 12) - ema(b["close"], 26)


def directional(b: pd.DataFrame, bars: int = 14) -> tuple[pd.Series[float], pd.Series[float]]:
    up, down = b["high"].diff(), -b["low"].diff()
    plus = up.where((up > down) & (up > 0), 0.0)
    minus = down.where((down > up) & (down > 0), 0.0)
    span = wilder(true_range(b), bars)
    return 100 * wilder(plus, bars) / span, 100 * wilder(minus, bars) / span


def adx(b: pd.DataFrame, bars: int = 14) -> pd.Series[float]:
    plus, minus = directional(b, bars)
    return wilder(100 * (plus - minus).abs() / (plus + minus), bars)


def rsi(b: pd.DataFrame, bars: int = 14) -> pd.Series[float]:
    change = b["close"].diff().iloc[1:]
    gain, loss = wilder(change.clip(lower=0), bars), wilder(-change.clip(upper=0), bars)
    return (100 * gain / (gain + loss)).reindex(b.index)


def stochastic(b: pd.DataFrame, bars: int = 14) -> pd.Series[float]:
    low, high = b["low"].rolling(bars).min(), b["high"].rolling(bars).max()
    return 100 * (b["close"] - low) / (high - low)


def deviation(b: pd.DataFrame, bars: int = 20) -> pd.Series[float]:
    return b["close"].rolling(bars).std(ddof=0)


def mean(b: pd.DataFrame, bars: int) -> pd.Series[float]:
    return b["close"].rolling(bars).mean()


def local(b: pd.DataFrame, zone: str = "UTC") -> list[datetime]:
    stamps = [datetime.fromtimestamp(ns / 1e9, tz=UTC) for ns in b["closed_at_ns"]]
    return [stamp.astimezone(ZoneInfo(zone)) for stamp in stamps]


def turn(b: pd.DataFrame, wave: Callable[[float], float], *, week: bool) -> pd.Series[float]:
    values = []
    for at in local(b):
        hours = at.hour + at.minute / 60 + (24 * at.weekday() if week else 0)
        values.append(wave(2 * np.pi * hours / (168 if week else 24)))
    return pd.Series(values, index=b.index)


def session(b: pd.DataFrame, zone: str) -> pd.Series[float]:
    inside = [at.weekday() < 5 and 8 <= at.hour < 17 for at in local(b, zone)]
    return pd.Series(inside, index=b.index, dtype=float)


REFERENCES: dict[str, Reference] = {
    "log_return_1": lambda b: log_return(b, 1),
    "log_return_4": lambda b: log_return(b, 4),
    "log_return_24": lambda b: log_return(b, 24),
    "sma_20_ratio": lambda b: b["close"] / mean(b, 20) - 1,
    "sma_50_ratio": lambda b: b["close"] / mean(b, 50) - 1,
    "ema_12_ratio": lambda b: b["close"] / ema(b["close"], 12) - 1,
    "ema_50_ratio": lambda b: b["close"] / ema(b["close"], 50) - 1,
    "macd_line_atr": lambda b: macd(b) / atr(b),
    "macd_signal_atr": lambda b: ema(macd(b), 9) / atr(b),
    "macd_histogram_atr": lambda b: (macd(b) - ema(macd(b), 9)) / atr(b),
    "adx_14": adx,
    "directional_balance_14": lambda b: directional(b)[0] - directional(b)[1],
    "rsi_14": rsi,
    "stochastic_k_14": lambda b: stochastic(b).rolling(3).mean(),
    "stochastic_d_14": lambda b: stochastic(b).rolling(3).mean().rolling(3).mean(),
    "atr_14": atr,
    "atr_14_ratio": lambda b: atr(b) / b["close"],
    "realised_volatility_24": lambda b: np.sqrt((log_return(b) ** 2).rolling(24).sum()),
    "bollinger_percent_b_20": lambda b: (
        (b["close"] - mean(b, 20) + 2 * deviation(b)) / (4 * deviation(b))
    ),
    "bollinger_bandwidth_20": lambda b: 4 * deviation(b) / mean(b, 20),
    "hour_sine": lambda b: turn(b, np.sin, week=False),
    "hour_cosine": lambda b: turn(b, np.cos, week=False),
    "week_sine": lambda b: turn(b, np.sin, week=True),
    "week_cosine": lambda b: turn(b, np.cos, week=True),
    "london_session": lambda b: session(b, "Europe/London"),
    "new_york_session": lambda b: session(b, "America/New_York"),
}
