"""Momentum: how fast and how one-sided the price moves."""

from __future__ import annotations

from feature_repo.expression import CLOSE, HIGH, LOW, call
from feature_repo.feature import Feature, Group

_STOCHASTIC = {"fastk_period": 14, "slowk_period": 3, "slowd_period": 3}
_LANE = "Lane 1984; TA-Lib STOCH(14, 3, 3)"

FEATURES = (
    Feature(
        name="rsi_14",
        meaning="Relative strength index, 0 to 100.",
        source="Wilder 1978; TA-Lib RSI(14)",
        expression=call("RSI", CLOSE, timeperiod=14),
        group=Group.MOMENTUM,
    ),
    Feature(
        name="stochastic_k_14",
        meaning="Close within the range of 14 bars, smoothed over 3, 0 to 100.",
        source=_LANE,
        expression=call("STOCH", HIGH, LOW, CLOSE, output=0, **_STOCHASTIC),
        group=Group.MOMENTUM,
    ),
    Feature(
        name="stochastic_d_14",
        meaning="Average of the slow stochastic over 3 bars, 0 to 100.",
        source=_LANE,
        expression=call("STOCH", HIGH, LOW, CLOSE, output=1, **_STOCHASTIC),
        group=Group.MOMENTUM,
    ),
)
