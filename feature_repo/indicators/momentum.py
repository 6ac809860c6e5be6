"""Momentum: how fast and how one-sided the price moves."""

from __future__ import annotations

from feature_repo.expression import CLOSE, HIGH, LOW, OPEN, absolute, call, change, mean, share
from feature_repo.feature import Feature, Group
from feature_repo.indicators.volatility import ATR_14
from feature_repo.nodes import Node

_STOCHASTIC = {"fastk_period": 14, "slowk_period": 3, "slowd_period": 3}
_LANE = "Lane 1984; TA-Lib STOCH(14, 3, 3)"


def smoothed_twice(node: Node) -> Node:
    """Return the exponential average of 13 bars of that of 25."""
    return call("EMA", call("EMA", node, timeperiod=25), timeperiod=13)


def _more() -> tuple[Feature, ...]:
    """Return further oscillators."""
    step = change(CLOSE, 1)
    middle = (HIGH + LOW) * 0.5
    rows = (
        (
            "rsi_7",
            "Relative strength index of 7 bars, 0 to 100.",
            "Wilder 1978; TA-Lib RSI(7)",
            call("RSI", CLOSE, timeperiod=7),
        ),
        (
            "rsi_28",
            "Relative strength index of 28 bars, 0 to 100.",
            "Wilder 1978; TA-Lib RSI(28)",
            call("RSI", CLOSE, timeperiod=28),
        ),
        (
            "cci_20",
            "Typical price less its average in mean deviations, over 20 bars.",
            "Lambert 1980; TA-Lib CCI(20)",
            call("CCI", HIGH, LOW, CLOSE, timeperiod=20),
        ),
        (
            "williams_r_14",
            "Close below the high of 14 bars within their range, -100 to 0.",
            "Williams 1979; TA-Lib WILLR(14)",
            call("WILLR", HIGH, LOW, CLOSE, timeperiod=14),
        ),
        (
            "ultimate_oscillator",
            "Buying pressure over 7, 14 and 28 bars, 0 to 100.",
            "Williams 1985; TA-Lib ULTOSC(7, 14, 28)",
            call("ULTOSC", HIGH, LOW, CLOSE, timeperiod1=7, timeperiod2=14, timeperiod3=28),
        ),
        (
            "momentum_10_atr",
            "Change of the close over 10 bars, in ATR(14).",
            "(close[t] - close[t - 10]) / ATR(14)",
            change(CLOSE, 10) / ATR_14,
        ),
        (
            "true_strength_index",
            "Change of the close smoothed twice (25, 13) over its size, -100 to 100.",
            "Blau 1995, Momentum, Direction, and Divergence",
            share(100.0 * smoothed_twice(step), smoothed_twice(absolute(step)), 1e-12),
        ),
        (
            "awesome_oscillator_atr",
            "Average middle of 5 bars less that of 34, in ATR(14).",
            "Williams 1998, New Trading Dimensions",
            (mean(middle, 5) - mean(middle, 34)) / ATR_14,
        ),
        (
            "balance_of_power_14",
            "Body over range of a bar, averaged over 14 bars, -1 to 1.",
            "Livshin 2001; TA-Lib BOP",
            mean(call("BOP", OPEN, HIGH, LOW, CLOSE), 14),
        ),
    )
    return tuple(Feature(*row, group=Group.MOMENTUM) for row in rows)


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
    *_more(),
)
