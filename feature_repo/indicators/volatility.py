"""Volatility: how far the price swings."""

from __future__ import annotations

from feature_repo.expression import CLOSE, HIGH, LOW, call, square_root
from feature_repo.feature import Feature, Group
from feature_repo.indicators.returns import log_return
from feature_repo.indicators.variation import VARIATION
from feature_repo.nodes import Node

ATR_14 = call("ATR", HIGH, LOW, CLOSE, timeperiod=14)
"""Average true range in price, Wilder's smoothing."""

_BANDS = {"timeperiod": 20, "nbdevup": 2.0, "nbdevdn": 2.0}
_UPPER = call("BBANDS", CLOSE, output=0, **_BANDS)
_MIDDLE = call("BBANDS", CLOSE, output=1, **_BANDS)
_LOWER = call("BBANDS", CLOSE, output=2, **_BANDS)
_BOLLINGER = "Bollinger 2001, Bollinger on Bollinger Bands; TA-Lib BBANDS(20, 2, 2)"


def realised_volatility(bars: int) -> Node:
    """Return the root of the summed squared log returns of `bars` bars."""
    one = log_return(1)
    return square_root(call("SUM", one * one, timeperiod=bars))


FEATURES = (
    Feature(
        name="atr_14",
        meaning="Average true range over 14 bars, in price; the unit of stop and target.",
        source="Wilder 1978; TA-Lib ATR(14)",
        expression=ATR_14,
        group=Group.VOLATILITY,
    ),
    Feature(
        name="atr_14_ratio",
        meaning="Average true range over 14 bars as a fraction of the close.",
        source="TA-Lib ATR(14) / close",
        expression=ATR_14 / CLOSE,
        group=Group.VOLATILITY,
    ),
    Feature(
        name="realised_volatility_24",
        meaning="Root of the summed squared log returns of 24 bars.",
        source="Andersen, Bollerslev 1998",
        expression=realised_volatility(24),
        group=Group.VOLATILITY,
    ),
    Feature(
        name="bollinger_percent_b_20",
        meaning="Place of the close between the Bollinger bands: 0 the lower, 1 the upper.",
        source=_BOLLINGER,
        expression=(CLOSE - _LOWER) / (_UPPER - _LOWER),
        group=Group.VOLATILITY,
    ),
    Feature(
        name="bollinger_bandwidth_20",
        meaning="Distance between the Bollinger bands as a fraction of the middle one.",
        source=_BOLLINGER,
        expression=(_UPPER - _LOWER) / _MIDDLE,
        group=Group.VOLATILITY,
    ),
    Feature(
        name="true_range_atr",
        meaning="True range of the bar, in ATR(14).",
        source="Wilder 1978; TA-Lib TRANGE",
        expression=call("TRANGE", HIGH, LOW, CLOSE) / ATR_14,
        group=Group.VOLATILITY,
    ),
    Feature(
        name="atr_7_to_28",
        meaning="Average true range of 7 bars over that of 28.",
        source="TA-Lib ATR",
        expression=call("ATR", HIGH, LOW, CLOSE, timeperiod=7)
        / call("ATR", HIGH, LOW, CLOSE, timeperiod=28),
        group=Group.VOLATILITY,
    ),
    Feature(
        name="keltner_place_20",
        meaning="Close less its exponential average of 20 bars, in two ATR(14).",
        source="Keltner 1960, as revised by Raschke",
        expression=(CLOSE - call("EMA", CLOSE, timeperiod=20)) / (2.0 * ATR_14),
        group=Group.VOLATILITY,
    ),
    *VARIATION,
)
