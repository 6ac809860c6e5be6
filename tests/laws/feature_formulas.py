"""Formulas of the literature in pandas and NumPy, for the golden references."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd


def mapped(function: np.ufunc, series: pd.Series[float]) -> pd.Series[float]:
    """Return a NumPy function of every value, index kept."""
    return pd.Series(function(series.to_numpy()), index=series.index)


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


def session(b: pd.DataFrame, zone: str, opens: int = 8, ends: int = 17) -> pd.Series[float]:
    inside = [at.weekday() < 5 and opens <= at.hour < ends for at in local(b, zone)]
    return pd.Series(inside, index=b.index, dtype=float)


def rolling_line(b: pd.DataFrame, bars: int = 20) -> tuple[pd.Series[float], pd.Series[float]]:
    """Return slope and end of the least-squares line through the last closes."""
    x = np.arange(bars, dtype=float)
    windows = np.lib.stride_tricks.sliding_window_view(b["close"].to_numpy(), bars)
    slope, start = np.polyfit(x, windows.T, 1)
    at = b.index[bars - 1 :]
    return (
        pd.Series(slope, at).reindex(b.index),
        pd.Series(start + slope * (bars - 1), at).reindex(b.index),
    )


def weighted(b: pd.DataFrame, bars: int = 20) -> pd.Series[float]:
    weights = np.arange(1, bars + 1) / np.arange(1, bars + 1).sum()
    return b["close"].rolling(bars).apply(lambda w: float(w @ weights), raw=True)


def kama(b: pd.DataFrame, bars: int = 10) -> pd.Series[float]:
    close = b["close"]
    path = close.diff().abs().rolling(bars).sum()
    efficiency = (close.diff(bars).abs() / path.where(path > 1e-9)).fillna(0.0)
    smooth = (efficiency * (2 / 3 - 2 / 31) + 2 / 31) ** 2
    values = [float(close.iloc[0])]
    for price, rate in zip(close.iloc[1:], smooth.iloc[1:], strict=True):
        values.append(values[-1] + rate * (price - values[-1]))
    return pd.Series(values, b.index)


def highest(b: pd.DataFrame, bars: int) -> pd.Series[float]:
    return b["high"].rolling(bars).max()


def lowest(b: pd.DataFrame, bars: int) -> pd.Series[float]:
    return b["low"].rolling(bars).min()


def place(b: pd.DataFrame, bars: int) -> pd.Series[float]:
    return (b["close"] - lowest(b, bars)) / (highest(b, bars) - lowest(b, bars))


def aroon(b: pd.DataFrame, bars: int = 25) -> pd.Series[float]:
    since_high = b["high"].rolling(bars + 1).apply(lambda w: float(np.argmax(w[::-1])), raw=True)
    since_low = b["low"].rolling(bars + 1).apply(lambda w: float(np.argmin(w[::-1])), raw=True)
    return 100 * (since_low - since_high) / bars


def efficiency(b: pd.DataFrame, bars: int = 10) -> pd.Series[float]:
    path = b["close"].diff().abs().rolling(bars).sum()
    return b["close"].diff(bars).abs() / path.where(path > 1e-9)


def choppiness(b: pd.DataFrame, bars: int = 14) -> pd.Series[float]:
    span = highest(b, bars) - lowest(b, bars)
    path = true_range(b).rolling(bars).sum()
    ratio = (path / span.where(span > 0)).clip(lower=1)
    return 100 * mapped(np.log10, ratio) / float(np.log10(bars))


def trix(b: pd.DataFrame, bars: int = 9) -> pd.Series[float]:
    return 100 * ema(ema(ema(b["close"], bars), bars), bars).pct_change()


def typical(b: pd.DataFrame) -> pd.Series[float]:
    return (b["high"] + b["low"] + b["close"]) / 3


def cci(b: pd.DataFrame, bars: int = 20) -> pd.Series[float]:
    price = typical(b)
    spread = price.rolling(bars).apply(lambda w: float(np.abs(w - w.mean()).mean()), raw=True)
    return (price - price.rolling(bars).mean()) / (0.015 * spread.where(spread > 1e-12))


def ultimate(b: pd.DataFrame) -> pd.Series[float]:
    floor = pd.concat([b["low"], b["close"].shift()], axis=1).min(axis=1)
    pressure, reach = b["close"] - floor, true_range(b)
    seven, fourteen, most = (
        pressure.rolling(n).sum() / reach.rolling(n).sum().where(lambda s: s > 1e-9)
        for n in (7, 14, 28)
    )
    return 100 * (4 * seven + 2 * fourteen + most) / 7


def true_strength(b: pd.DataFrame) -> pd.Series[float]:
    step = b["close"].diff().iloc[1:]
    ratio = ema(ema(step, 25), 13) / ema(ema(step.abs(), 25), 13)
    return (100 * ratio).reindex(b.index)


def body(b: pd.DataFrame) -> pd.Series[float]:
    span = b["high"] - b["low"]
    return ((b["close"] - b["open"]) / span.where(span > 0)).fillna(0.0)


def location(b: pd.DataFrame) -> pd.Series[float]:
    span = b["high"] - b["low"]
    return ((2 * b["close"] - b["high"] - b["low"]) / span.where(span > 0)).fillna(0.0)


def variance(b: pd.DataFrame, bars: int) -> pd.Series[float]:
    summed = (log_return(b) ** 2).rolling(bars).sum()
    return summed.where(summed > 1e-14)


def bipower(b: pd.DataFrame, bars: int = 24) -> pd.Series[float]:
    size = log_return(b).abs()
    return np.pi / 2 * (size * size.shift()).rolling(bars).sum()


def power_sum(b: pd.DataFrame, power: int, bars: int = 24) -> pd.Series[float]:
    return (log_return(b) ** power).rolling(bars).sum()


def root(values: pd.Series[float]) -> pd.Series[float]:
    return values.clip(lower=0.0) ** 0.5


def garman_klass(b: pd.DataFrame, bars: int = 24) -> pd.Series[float]:
    span, inner = np.log(b["high"] / b["low"]), np.log(b["close"] / b["open"])
    return root((0.5 * span**2 - (2 * np.log(2) - 1) * inner**2).rolling(bars).mean())


def rogers_satchell(b: pd.DataFrame, bars: int = 24) -> pd.Series[float]:
    high, low, close = (np.log(b[c] / b["open"]) for c in ("high", "low", "close"))
    return root((high * (high - close) + low * (low - close)).rolling(bars).mean())


def roll(b: pd.DataFrame, bars: int = 24) -> pd.Series[float]:
    step = b["close"].diff()
    return 2 * root(-(step * step.shift()).rolling(bars).mean()) / b["close"]


def flag(condition: pd.Series[bool]) -> pd.Series[float]:
    return condition.astype(float)


def engulfing(b: pd.DataFrame) -> pd.Series[float]:
    opened, closed = b["open"].shift(), b["close"].shift()
    rising = (opened > closed) & (b["close"] > opened) & (b["open"] < closed)
    falling = (opened < closed) & (b["close"] < opened) & (b["open"] > closed)
    return flag(rising) - flag(falling)


def signed_volume(b: pd.DataFrame) -> pd.Series[float]:
    return mapped(np.sign, b["close"].diff()) * b["volume"]


def relative_volume(b: pd.DataFrame) -> pd.Series[float]:
    return b["volume"] / b["volume"].rolling(20).mean()


def money_flow(b: pd.DataFrame, bars: int = 14) -> pd.Series[float]:
    price = typical(b)
    flow, step = price * b["volume"], price.diff()
    up = flow.where(step > 1e-12, 0.0).rolling(bars).sum()
    down = flow.where(step < -1e-12, 0.0).rolling(bars).sum()
    return 100 * up / (up + down).where(lambda s: s > 1e-6)


def value_price(b: pd.DataFrame, bars: int = 24) -> pd.Series[float]:
    return (typical(b) * b["volume"]).rolling(bars).sum() / b["volume"].rolling(bars).sum()


def impact(b: pd.DataFrame, bars: int = 24) -> pd.Series[float]:
    signed = mapped(np.sign, b["close"].diff()) * relative_volume(b)
    summed = (signed**2).rolling(bars).sum()
    return (log_return(b) * signed).rolling(bars).sum() / summed.where(summed > 1e-3)


def elapsed(b: pd.DataFrame) -> pd.Series[float]:
    hours = [
        (24 * at.weekday() + at.hour + at.minute / 60 - 161) % 168
        for at in local(b, "America/New_York")
    ]
    return pd.Series(hours, b.index).clip(upper=120) / 120
