"""Regime: what holds for weeks; memory of 100 bars and more, in a view of its own."""

from __future__ import annotations

from feature_repo.expression import CLOSE, call, exceeds, mean, share, square_root
from feature_repo.feature import Feature, Group
from feature_repo.indicators.returns import log_return
from feature_repo.indicators.trend import channel_place, ratio_to
from feature_repo.indicators.variation import realised_variance
from feature_repo.indicators.volatility import ATR_14

_ATR_100 = call("ATR", *(ATR_14.inputs), timeperiod=100)

FEATURES = tuple(
    Feature(name, meaning, source, expression, Group.REGIME)
    for name, meaning, source, expression in (
        (
            "sma_100_ratio",
            "Close over its simple moving average of 100 bars, minus one.",
            "TA-Lib SMA(100)",
            ratio_to(mean(CLOSE, 100)),
        ),
        (
            "sma_200_ratio",
            "Close over its simple moving average of 200 bars, minus one.",
            "TA-Lib SMA(200)",
            ratio_to(mean(CLOSE, 200)),
        ),
        (
            "ema_100_ratio",
            "Close over its exponential moving average of 100 bars, minus one.",
            "TA-Lib EMA(100)",
            ratio_to(call("EMA", CLOSE, timeperiod=100)),
        ),
        (
            "sma_50_200_cross",
            "Simple average of 50 bars over that of 200, minus one.",
            "golden and death cross",
            mean(CLOSE, 50) / mean(CLOSE, 200) - 1.0,
        ),
        (
            "above_sma_200_share_50",
            "Share of the last 50 bars that closed above the average of 200, 0 to 1.",
            "persistence of a trend",
            mean(exceeds(CLOSE, mean(CLOSE, 200)), 50),
        ),
        (
            "channel_place_120",
            "Close within the highest and lowest of 120 bars, 0 to 1.",
            "Donchian channel",
            channel_place(120),
        ),
        (
            "log_return_120",
            "Logarithmic return of the close over 120 bars.",
            "log(close[t] / close[t - 120])",
            log_return(120),
        ),
        (
            "realised_volatility_120",
            "Root of the summed squared log returns of 120 bars.",
            "Andersen, Bollerslev 1998",
            square_root(realised_variance(120)),
        ),
        (
            "volatility_ratio_24_120",
            "Realised volatility a bar of 24 bars over that of 120.",
            "ratio of realised volatilities",
            square_root(share(5.0 * realised_variance(24), realised_variance(120), 1e-16)),
        ),
        (
            "atr_14_to_100",
            "Average true range of 14 bars over that of 100.",
            "TA-Lib ATR",
            ATR_14 / _ATR_100,
        ),
    )
)
