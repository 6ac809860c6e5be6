"""Synthetic markets for the tests of what learns: a random walk, with or without a signal."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from models.bars import Bars, Floats
from models.costs import Costs
from models.dataset import Dataset, build_dataset
from models.windows import join_windows
from online.domain.barriers import BarrierRule
from online.domain.market import PriceSide, Timeframe
from online.domain.rules import RULE_FEATURES
from online.domain.vector import VectorContract, ViewContract

HOUR = Timeframe.H1.duration_ns
SCALE = 100_000.0
START_NS = 1_483_228_800_000_000_000
RULE = BarrierRule(1.0, 1.0, 10, Timeframe.H1)
COSTS = Costs(3.5, 100_000.0)
NAMES = ("hint", "noise_a", "noise_b", "atr_14", *RULE_FEATURES)
LENGTH = 8
"""Vectors in a window."""
CONTRACT = VectorContract((ViewContract("h1_all", 1, NAMES, 3600),))


def make_bars(n_bars: int, seed: int, drift: float = 0.0) -> tuple[Bars, np.ndarray]:
    """Return hourly bars on the price step, and a hint that points where they go.

    `drift` is how many points a bar the market moves in the hint's direction.
    """
    random = np.random.default_rng(seed)
    hint = np.convolve(random.standard_normal(n_bars + 19), np.ones(20) / np.sqrt(20), "valid")
    push = np.concatenate([[0.0], drift * np.sign(hint[:-1])])
    steps = np.rint(random.normal(0.0, 60.0, n_bars) + push)
    close = 500_000.0 + np.cumsum(steps)
    opened = np.concatenate([[500_000.0], close[:-1]])
    high = np.maximum(close, opened) + random.integers(0, 40, n_bars)
    low = np.minimum(close, opened) - random.integers(0, 40, n_bars)
    closed = START_NS + (1 + np.arange(n_bars, dtype=np.int64)) * HOUR
    return Bars(closed, *(np.floor(x) / SCALE for x in (opened, high, low, close))), hint


def make_frame(bars: Bars, hint: np.ndarray, seed: int) -> pd.DataFrame:
    """Return features as Feast gives them."""
    random = np.random.default_rng(seed + 1)
    n_bars = len(bars)
    columns = {
        "hint": hint,
        "noise_a": random.standard_normal(n_bars),
        "noise_b": random.standard_normal(n_bars),
        "atr_14": 0.0012 + 0.0002 * random.random(n_bars),
        "ema_50_ratio": random.standard_normal(n_bars),
        "macd_histogram_atr": random.standard_normal(n_bars),
        "rsi_14": 50.0 + 15.0 * random.standard_normal(n_bars),
    }
    frame = pd.DataFrame({name: values.astype(np.float32) for name, values in columns.items()})
    frame["symbol"] = "EURUSD"
    frame["event_timestamp"] = pd.to_datetime(bars.closed_at_ns, utc=True)
    return frame


def pack_windows(frame: pd.DataFrame, length: int = LENGTH) -> list[bytes | None]:
    """Return each bar's packed window as the store holds it, None where it is incomplete."""
    vectors = frame[list(NAMES)].to_numpy(dtype=np.float32)
    return [
        vectors[end - length + 1 : end + 1].tobytes() if end >= length - 1 else None
        for end in range(len(vectors))
    ]


def build(
    frame: pd.DataFrame,
    bars: Bars,
    rule: BarrierRule = RULE,
    *,
    windowed: bool = False,
    spread_points: Floats | float = 8.0,
) -> Dataset:
    """Return the dataset of a frame and its bars, with windows of all features if asked for."""
    return build_dataset(
        frame,
        bars,
        names=NAMES,
        rule=rule,
        costs=COSTS,
        price_side=PriceSide.ASK,
        spread_points=spread_points,
        scale=SCALE,
        windows=join_windows([pack_windows(frame)], NAMES, LENGTH) if windowed else None,
    )


@lru_cache(maxsize=8)
def make_dataset(
    n_bars: int = 2000, seed: int = 3, drift: float = 0.0, *, windowed: bool = False
) -> Dataset:
    """Return a dataset; it is shared between tests, which must not change it."""
    bars, hint = make_bars(n_bars, seed, drift)
    return build(make_frame(bars, hint, seed), bars, windowed=windowed)
