"""Longer timeframes: where the price stands in the bigger picture, as of the last closed long bar.

The entries are those of own bars, evaluated on longer ones. Their memory is at most 27 of the
longer bars, so that they do not take months to warm up.
"""

from __future__ import annotations

from feature_repo.feature import Feature, Group, HigherFeature
from feature_repo.indicators import momentum, returns, trend, volatility
from online.domain.market import Timeframe

SEEN_FROM: dict[Timeframe, tuple[Timeframe, ...]] = {
    Timeframe.M1: (Timeframe.M15, Timeframe.H1),
    Timeframe.M5: (Timeframe.H1,),
    Timeframe.M15: (Timeframe.H1, Timeframe.H4),
    Timeframe.M30: (Timeframe.H4,),
    Timeframe.H1: (Timeframe.H4, Timeframe.D1),
    Timeframe.H4: (Timeframe.D1,),
    Timeframe.D1: (),
}
"""The longer timeframes that bars of a timeframe see."""

_NAMES = (
    *("log_return_1", "log_return_4", "log_return_12"),
    *("sma_20_ratio", "ema_12_ratio", "regression_slope_20_atr", "adx_14", "channel_place_20"),
    *("rsi_14", "atr_14_ratio", "bollinger_percent_b_20"),
)
_ENTRIES = {
    feature.name: feature
    for feature in (
        *returns.FEATURES,
        *trend.FEATURES,
        *momentum.FEATURES,
        *volatility.FEATURES,
    )
}


def seen_on(timeframe: Timeframe, feature: Feature) -> HigherFeature:
    """Return an entry of own bars as one of longer bars, for example ``h4_rsi_14``."""
    return HigherFeature(
        name=f"{timeframe.value.lower()}_{feature.name}",
        meaning=f"Of the last closed {timeframe.value} bar: {feature.meaning}",
        source=feature.source,
        expression=feature.expression,
        group=Group.HIGHER,
        version=feature.version,
        timeframe=timeframe,
    )


FEATURES: dict[Timeframe, tuple[HigherFeature, ...]] = {
    timeframe: tuple(seen_on(longer, _ENTRIES[name]) for longer in seen_from for name in _NAMES)
    for timeframe, seen_from in SEEN_FROM.items()
}
"""By the timeframe of the bars that see them."""
