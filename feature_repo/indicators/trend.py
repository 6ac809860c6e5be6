"""Trend: where the price stands to its averages, and how directed it moves."""

from __future__ import annotations

import math

from feature_repo.expression import (
    CLOSE,
    HIGH,
    LOW,
    absolute,
    call,
    change,
    highest,
    log,
    lowest,
    maximum,
    mean,
    share,
    total,
)
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


def channel_place(bars: int) -> Node:
    """Return where the close lies in the range of `bars` bars: 0 the lowest, 1 the highest."""
    low = lowest(LOW, bars)
    return (CLOSE - low) / (highest(HIGH, bars) - low)


def _more() -> tuple[Feature, ...]:
    """Return what rounds the group off: crossings, regressions, channels, efficiency."""
    path = total(absolute(change(CLOSE, 1)), 10)
    span = highest(HIGH, 14) - lowest(LOW, 14)
    reach = total(call("TRANGE", HIGH, LOW, CLOSE), 14)
    rows = (
        (
            "sma_20_50_cross",
            "Simple average of 20 bars over that of 50, minus one.",
            "moving-average crossing",
            mean(CLOSE, 20) / mean(CLOSE, 50) - 1.0,
        ),
        (
            "ema_12_26_cross",
            "Exponential average of 12 bars over that of 26, minus one.",
            "percentage price oscillator",
            call("EMA", CLOSE, timeperiod=12) / call("EMA", CLOSE, timeperiod=26) - 1.0,
        ),
        (
            "wma_20_ratio",
            "Close over its linearly weighted average of 20 bars, minus one.",
            "TA-Lib WMA(20)",
            ratio_to(call("WMA", CLOSE, timeperiod=20)),
        ),
        (
            "kama_10_ratio",
            "Close over Kaufman's adaptive average of 10 bars, minus one.",
            "Kaufman 1995, Smarter Trading; TA-Lib KAMA(10)",
            ratio_to(call("KAMA", CLOSE, timeperiod=10)),
        ),
        (
            "regression_slope_20_atr",
            "Slope a bar of the least-squares line through 20 closes, in ATR(14).",
            "TA-Lib LINEARREG_SLOPE(20)",
            call("LINEARREG_SLOPE", CLOSE, timeperiod=20) / ATR_14,
        ),
        (
            "regression_distance_20_atr",
            "Close less the end of the least-squares line through 20 closes, in ATR(14).",
            "TA-Lib LINEARREG(20)",
            (CLOSE - call("LINEARREG", CLOSE, timeperiod=20)) / ATR_14,
        ),
        (
            "channel_place_20",
            "Close within the highest and lowest of 20 bars, 0 to 1.",
            "Donchian channel",
            channel_place(20),
        ),
        (
            "aroon_oscillator_25",
            "Bars since the low less bars since the high of 25 bars, -100 to 100.",
            "Chande 1995; TA-Lib AROONOSC(25)",
            call("AROONOSC", HIGH, LOW, timeperiod=25),
        ),
        (
            "efficiency_ratio_10",
            "Distance over path of the close in 10 bars, 0 to 1.",
            "Kaufman 1995",
            share(absolute(change(CLOSE, 10)), path, 1e-9),
        ),
        (
            "choppiness_14",
            "Path over range of 14 bars on a logarithmic scale: 100 sideways, 0 one way.",
            "Dreiss, choppiness index",
            log(maximum(reach / span, 1.0)) * (100.0 / math.log(14.0)),
        ),
        (
            "plus_directional_14",
            "Upward directional indicator, 0 to 100.",
            _WILDER,
            _PLUS_DI,
        ),
        (
            "minus_directional_14",
            "Downward directional indicator, 0 to 100.",
            _WILDER,
            _MINUS_DI,
        ),
        (
            "trix_9",
            "Change in percent of a triple exponential average of 9 bars.",
            "Hutson 1983; TA-Lib TRIX(9)",
            call("TRIX", CLOSE, timeperiod=9),
        ),
    )
    return tuple(Feature(*row, group=Group.TREND) for row in rows)


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
    *_more(),
)
