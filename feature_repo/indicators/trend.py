"""Trend: where the price stands to its averages, and how directed it moves."""

from __future__ import annotations

from feature_repo.expression import CLOSE, HIGH, LOW, call
from feature_repo.feature import Feature, Group
from feature_repo.indicators.volatility import ATR_14
from feature_repo.nodes import Node

_MACD = {"fastperiod": 12, "slowperiod": 26, "signalperiod": 9}
_APPEL = "Appel 1979; TA-Lib MACD(12, 26, 9), divided by ATR(14) to compare symbols"
_WILDER = "Wilder 1978, New Concepts in Technical Trading Systems; TA-Lib"


def ratio_to(average: Node) -> Node:
    """Return how far the close is above `average`, as a fraction of it."""
    return CLOSE / average - 1.0


def _average(function: str, bars: int) -> Feature:
    words = {"SMA": "simple", "EMA": "exponential"}[function]
    return Feature(
        name=f"{function.lower()}_{bars}_ratio",
        meaning=f"Close over its {words} moving average of {bars} bars, minus one.",
        source=f"TA-Lib {function}({bars})",
        expression=ratio_to(call(function, CLOSE, timeperiod=bars)),
        group=Group.TREND,
    )


def _macd(name: str, meaning: str, output: int) -> Feature:
    return Feature(
        name=name,
        meaning=meaning,
        source=_APPEL,
        expression=call("MACD", CLOSE, output=output, **_MACD) / ATR_14,
        group=Group.TREND,
    )


_PLUS_DI = call("PLUS_DI", HIGH, LOW, CLOSE, timeperiod=14)
_MINUS_DI = call("MINUS_DI", HIGH, LOW, CLOSE, timeperiod=14)

FEATURES = (
    _average("SMA", 20),
    _average("SMA", 50),
    _average("EMA", 12),
    _average("EMA", 50),
    _macd("macd_line_atr", "Fast less slow exponential average, in ATR(14).", 0),
    _macd("macd_signal_atr", "Exponential average of the MACD line, in ATR(14).", 1),
    _macd("macd_histogram_atr", "MACD line less its signal, in ATR(14).", 2),
    Feature(
        name="adx_14",
        meaning="Strength of the trend whatever its direction, 0 to 100.",
        source=_WILDER,
        expression=call("ADX", HIGH, LOW, CLOSE, timeperiod=14),
        group=Group.TREND,
    ),
    Feature(
        name="directional_balance_14",
        meaning="Upward less downward directional indicator, -100 to 100.",
        source=_WILDER,
        expression=_PLUS_DI - _MINUS_DI,
        group=Group.TREND,
    ),
)
