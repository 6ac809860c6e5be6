"""Golden references of the features of quotes, from their definitions."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from tests.laws.feature_formulas import log_return, mapped, root

Reference = Callable[[pd.DataFrame], "pd.Series[float]"]


def summed(values: pd.Series[float], bars: int = 24) -> pd.Series[float]:
    return values.rolling(bars).sum()


def signed(b: pd.DataFrame) -> pd.Series[float]:
    return b["rising_quotes"] - b["falling_quotes"]


def moves(b: pd.DataFrame) -> pd.Series[float]:
    return b["rising_quotes"] + b["falling_quotes"]


def some(values: pd.Series[float], floor: float = 1e-16) -> pd.Series[float]:
    return values.where(values > floor)


def jumps(variance: pd.Series[float], bipower: pd.Series[float]) -> pd.Series[float]:
    return (1 - bipower / some(variance)).clip(lower=0)


def vpin(b: pd.DataFrame, bars: int = 50, size: int = 5, buckets: int = 20) -> pd.Series[float]:
    """Return each bar's figure from the list of all buckets so far, counted anew."""
    wanted = size * moves(b).rolling(bars).mean()
    found: list[list[float]] = []
    values = []
    is_full, limit = True, 0.0
    for up, down, want in zip(b["rising_quotes"], b["falling_quotes"], wanted, strict=True):
        if math.isnan(want):
            values.append(math.nan)
            continue
        if is_full:
            found.append([0.0, 0.0])
            limit = max(1, math.ceil(want))
        found[-1][0] += up
        found[-1][1] += down
        is_full = sum(found[-1]) >= limit
        newest = np.array(found[-buckets:])
        values.append(float(np.abs(newest[:, 0] - newest[:, 1]).sum() / max(newest.sum(), 1.0)))
    return pd.Series(values, b.index)


MICROSTRUCTURE_REFERENCES: dict[str, Reference] = {
    "tick_imbalance": lambda b: (signed(b) / some(moves(b))).fillna(0.0),
    "tick_imbalance_24": lambda b: summed(signed(b)) / some(summed(moves(b))),
    "vpin_20": vpin,
    "quote_volatility": lambda b: root(b["realised_variance"]),
    "quote_volatility_24": lambda b: root(summed(b["realised_variance"])),
    "quote_bipower_volatility_24": lambda b: root(summed(b["bipower_variation"])),
    "quote_jump_share": lambda b: jumps(b["realised_variance"], b["bipower_variation"]),
    "quote_jump_share_24": lambda b: jumps(
        summed(b["realised_variance"]), summed(b["bipower_variation"])
    ),
    "spread_mean_points": lambda b: b["spread_points"],
    "spread_max_points": lambda b: b["spread_max_points"],
    "spread_ratio_96": lambda b: b["spread_points"] / b["spread_points"].rolling(96).mean(),
    "spread_peak_ratio": lambda b: b["spread_max_points"] / b["spread_points"],
    "quote_intensity": lambda b: mapped(np.log, b["quotes"]),
    "quote_intensity_ratio_24": lambda b: b["quotes"] / b["quotes"].rolling(24).mean(),
    "quote_illiquidity_24": lambda b: (
        1e4 * summed(log_return(b).abs()) / some(summed(moves(b)), 0.5)
    ),
    "quote_roll_spread_24": lambda b: (
        2e4 * root(-summed(b["quote_autocovariance"]) / some(summed(moves(b)), 0.5))
    ),
    "kyle_lambda_24": lambda b: (
        1e4 * summed(log_return(b) * signed(b)) / some(summed(signed(b) ** 2), 0.5)
    ),
    "flow_return_cosine_24": lambda b: (
        summed(log_return(b) * signed(b))
        / some(root(summed(log_return(b) ** 2)) * root(summed(signed(b) ** 2)), 1e-5)
    ),
}
