"""Volume: who stands behind a move; absent by name where the source has no volume."""

from __future__ import annotations

from feature_repo.expression import (
    CLOSE,
    HIGH,
    LOW,
    VOLUME,
    absolute,
    call,
    change,
    exceeds,
    lag,
    log,
    mean,
    share,
    total,
)
from feature_repo.feature import Feature, Group
from feature_repo.indicators.returns import log_return
from feature_repo.indicators.volatility import ATR_14

_ONE = log_return(1)
_FLOOR = 1e-9
"""Volume that counts as none."""

_TYPICAL = (HIGH + LOW + CLOSE) / 3.0
_SIGNED = (exceeds(CLOSE, lag(CLOSE, 1)) - exceeds(lag(CLOSE, 1), CLOSE)) * VOLUME
_LOCATION = (2.0 * CLOSE - HIGH - LOW) / (HIGH - LOW)

FEATURES = tuple(
    Feature(name, meaning, source, expression, Group.VOLUME)
    for name, meaning, source, expression in (
        (
            "volume_ratio_20",
            "Volume over its average of 20 bars.",
            "volume / SMA(volume, 20)",
            share(VOLUME, mean(VOLUME, 20), _FLOOR),
        ),
        (
            "volume_change",
            "Logarithm of volume plus one, less that of the bar before.",
            "log((volume[t] + 1) / (volume[t - 1] + 1))",
            change(log(VOLUME + 1.0), 1),
        ),
        (
            "volume_balance_20",
            "Volume of rising less that of falling bars over all, 20 bars, -1 to 1.",
            "Granville 1963, on-balance volume as a difference over a window",
            share(total(_SIGNED, 20), total(VOLUME, 20), _FLOOR),
        ),
        (
            "chaikin_money_flow_20",
            "Volume weighted by where the bar closed, over 20 bars, -1 to 1.",
            "Chaikin",
            share(total(_LOCATION * VOLUME, 20), total(VOLUME, 20), _FLOOR),
        ),
        (
            "money_flow_index_14",
            "Relative strength of typical price times volume, 0 to 100.",
            "Quong, Soudack 1989; TA-Lib MFI(14)",
            call("MFI", HIGH, LOW, CLOSE, VOLUME, timeperiod=14),
        ),
        (
            "vwap_distance_24_atr",
            "Close less the volume-weighted price of 24 bars, in ATR(14).",
            "volume-weighted average price over a window",
            (CLOSE - share(total(_TYPICAL * VOLUME, 24), total(VOLUME, 24), _FLOOR)) / ATR_14,
        ),
        (
            "force_13",
            "Return times relative volume, exponential average of 13 bars.",
            "Elder 1993, Trading for a Living, on relative volume",
            call("EMA", _ONE * share(VOLUME, mean(VOLUME, 20), _FLOOR), timeperiod=13),
        ),
        (
            "illiquidity_24",
            "Mean absolute return over relative volume of 24 bars.",
            "Amihud 2002, on relative volume",
            mean(share(absolute(_ONE), share(VOLUME, mean(VOLUME, 20), _FLOOR), 1e-3), 24),
        ),
        (
            "volume_return_correlation_24",
            "Correlation of absolute return and volume over 24 bars, -1 to 1.",
            "Karpoff 1987; TA-Lib CORREL(24)",
            call("CORREL", absolute(_ONE), VOLUME, timeperiod=24),
        ),
        (
            "price_impact_24",
            "Slope of return on signed relative volume over 24 bars.",
            "Kyle 1985, lambda with the bar's sign for the trade's",
            share(
                total(_ONE * share(_SIGNED, mean(VOLUME, 20), _FLOOR), 24),
                total(
                    share(_SIGNED, mean(VOLUME, 20), _FLOOR)
                    * share(_SIGNED, mean(VOLUME, 20), _FLOOR),
                    24,
                ),
                1e-6,
            ),
        ),
    )
)
