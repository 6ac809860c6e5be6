"""Candles: the shape of a bar and of the last few."""

from __future__ import annotations

from feature_repo.expression import (
    CLOSE,
    HIGH,
    LOW,
    OPEN,
    absolute,
    call,
    exceeds,
    highest,
    lag,
    lowest,
    maximum,
    mean,
    minimum,
)
from feature_repo.feature import Feature, Group
from feature_repo.indicators.volatility import ATR_14

_SPAN = HIGH - LOW
_LOCATION = (2.0 * CLOSE - HIGH - LOW) / _SPAN
_UP = exceeds(CLOSE, lag(CLOSE, 1))

FEATURES = tuple(
    Feature(name, meaning, source, expression, Group.CANDLE)
    for name, meaning, source, expression in (
        (
            "body_share",
            "Close less open over the bar's range, -1 to 1; 0 without a range.",
            "Nison 1991, Japanese Candlestick Charting Techniques",
            (CLOSE - OPEN) / _SPAN,
        ),
        (
            "upper_shadow_share",
            "Upper shadow over the bar's range, 0 to 1.",
            "Nison 1991",
            (HIGH - maximum(OPEN, CLOSE)) / _SPAN,
        ),
        (
            "lower_shadow_share",
            "Lower shadow over the bar's range, 0 to 1.",
            "Nison 1991",
            (minimum(OPEN, CLOSE) - LOW) / _SPAN,
        ),
        (
            "close_location",
            "Close within the bar's range, -1 at the low, 1 at the high.",
            "Chaikin, close location value",
            _LOCATION,
        ),
        (
            "close_location_mean_10",
            "Close within the bar's range, averaged over 10 bars.",
            "Chaikin, close location value",
            mean(_LOCATION, 10),
        ),
        ("range_atr", "High less low, in ATR(14).", "(high - low) / ATR(14)", _SPAN / ATR_14),
        (
            "body_atr",
            "Close less open, in ATR(14).",
            "(close - open) / ATR(14)",
            (CLOSE - OPEN) / ATR_14,
        ),
        (
            "body_size_mean_10_atr",
            "Size of the body averaged over 10 bars, in ATR(14).",
            "mean |close - open| / ATR(14)",
            mean(absolute(CLOSE - OPEN), 10) / ATR_14,
        ),
        (
            "inside_bar",
            "1 where the bar lies within the one before, else 0.",
            "Crabel 1990",
            exceeds(lag(HIGH, 1), HIGH) * exceeds(LOW, lag(LOW, 1)),
        ),
        (
            "outside_bar",
            "1 where the bar covers the one before, else 0.",
            "Crabel 1990",
            exceeds(HIGH, lag(HIGH, 1)) * exceeds(lag(LOW, 1), LOW),
        ),
        (
            "engulfing",
            "1 where a rising body engulfs the falling one before, -1 the reverse, else 0.",
            "Nison 1991",
            exceeds(CLOSE, lag(OPEN, 1))
            * exceeds(lag(CLOSE, 1), OPEN)
            * exceeds(lag(OPEN, 1), lag(CLOSE, 1))
            - exceeds(lag(OPEN, 1), CLOSE)
            * exceeds(OPEN, lag(CLOSE, 1))
            * exceeds(lag(CLOSE, 1), lag(OPEN, 1)),
        ),
        (
            "rising_share_10",
            "Share of bars that closed above the one before, over 10 bars, 0 to 1.",
            "psychological line",
            mean(_UP, 10),
        ),
        (
            "below_high_24_atr",
            "Distance of the close below the high of 24 bars, in ATR(14).",
            "(highest high - close) / ATR(14)",
            (highest(HIGH, 24) - CLOSE) / ATR_14,
        ),
        (
            "above_low_24_atr",
            "Distance of the close above the low of 24 bars, in ATR(14).",
            "(close - lowest low) / ATR(14)",
            (CLOSE - lowest(LOW, 24)) / ATR_14,
        ),
        (
            "body_share_smoothed_5",
            "Exponential average of body over range of 5 bars, -1 to 1.",
            "TA-Lib EMA(5) of BOP",
            call("EMA", call("BOP", OPEN, HIGH, LOW, CLOSE), timeperiod=5),
        ),
    )
)
