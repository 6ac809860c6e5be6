"""Golden references: every feature once more, from its definition, in pandas and NumPy.

Written from the literature, not from the catalogue: averages are pandas' own, and nothing here
knows TA-Lib. Recursive averages start differently, so they are compared where that has decayed.
"""

from __future__ import annotations

import numpy as np

from tests.laws.feature_formulas import (
    adx,
    aroon,
    atr,
    bipower,
    body,
    cci,
    choppiness,
    deviation,
    directional,
    efficiency,
    elapsed,
    ema,
    engulfing,
    flag,
    garman_klass,
    highest,
    impact,
    kama,
    location,
    log_return,
    lowest,
    macd,
    mapped,
    mean,
    money_flow,
    place,
    power_sum,
    relative_volume,
    rogers_satchell,
    roll,
    rolling_line,
    root,
    rsi,
    session,
    signed_volume,
    stochastic,
    trix,
    true_range,
    true_strength,
    turn,
    ultimate,
    value_price,
    variance,
    weighted,
)
from tests.laws.microstructure_references import MICROSTRUCTURE_REFERENCES, Reference

REFERENCES: dict[str, Reference] = {
    "log_return_1": lambda b: log_return(b, 1),
    "log_return_4": lambda b: log_return(b, 4),
    "log_return_24": lambda b: log_return(b, 24),
    "sma_20_ratio": lambda b: b["close"] / mean(b, 20) - 1,
    "sma_50_ratio": lambda b: b["close"] / mean(b, 50) - 1,
    "ema_12_ratio": lambda b: b["close"] / ema(b["close"], 12) - 1,
    "ema_50_ratio": lambda b: b["close"] / ema(b["close"], 50) - 1,
    "macd_line_atr": lambda b: macd(b) / atr(b),
    "macd_signal_atr": lambda b: ema(macd(b), 9) / atr(b),
    "macd_histogram_atr": lambda b: (macd(b) - ema(macd(b), 9)) / atr(b),
    "adx_14": adx,
    "directional_balance_14": lambda b: directional(b)[0] - directional(b)[1],
    "rsi_14": rsi,
    "stochastic_k_14": lambda b: stochastic(b).rolling(3).mean(),
    "stochastic_d_14": lambda b: stochastic(b).rolling(3).mean().rolling(3).mean(),
    "atr_14": atr,
    "atr_14_ratio": lambda b: atr(b) / b["close"],
    "realised_volatility_24": lambda b: np.sqrt((log_return(b) ** 2).rolling(24).sum()),
    "bollinger_percent_b_20": lambda b: (
        (b["close"] - mean(b, 20) + 2 * deviation(b)) / (4 * deviation(b))
    ),
    "bollinger_bandwidth_20": lambda b: 4 * deviation(b) / mean(b, 20),
    "hour_sine": lambda b: turn(b, np.sin, week=False),
    "hour_cosine": lambda b: turn(b, np.cos, week=False),
    "week_sine": lambda b: turn(b, np.sin, week=True),
    "week_cosine": lambda b: turn(b, np.cos, week=True),
    "london_session": lambda b: session(b, "Europe/London"),
    "new_york_session": lambda b: session(b, "America/New_York"),
    "log_return_2": lambda b: log_return(b, 2),
    "log_return_8": lambda b: log_return(b, 8),
    "log_return_12": lambda b: log_return(b, 12),
    "opening_gap": lambda b: np.log(b["open"]) - np.log(b["close"].shift()),
    "return_mean_24": lambda b: log_return(b).rolling(24).mean(),
    "return_to_deviation_24": lambda b: (
        log_return(b).rolling(24).mean()
        / log_return(b).rolling(24).std(ddof=0).where(lambda s: s > 1e-8)
    ),
    "return_autocorrelation_24": lambda b: (
        log_return(b).rolling(24).corr(log_return(b).shift()).where(variance(b, 23).notna())
    ),
    "sma_20_50_cross": lambda b: mean(b, 20) / mean(b, 50) - 1,
    "ema_12_26_cross": lambda b: ema(b["close"], 12) / ema(b["close"], 26) - 1,
    "wma_20_ratio": lambda b: b["close"] / weighted(b) - 1,
    "kama_10_ratio": lambda b: b["close"] / kama(b) - 1,
    "regression_slope_20_atr": lambda b: rolling_line(b)[0] / atr(b),
    "regression_distance_20_atr": lambda b: (b["close"] - rolling_line(b)[1]) / atr(b),
    "channel_place_20": lambda b: place(b, 20),
    "aroon_oscillator_25": aroon,
    "efficiency_ratio_10": efficiency,
    "choppiness_14": choppiness,
    "plus_directional_14": lambda b: directional(b)[0],
    "minus_directional_14": lambda b: directional(b)[1],
    "trix_9": trix,
    "rsi_7": lambda b: rsi(b, 7),
    "rsi_28": lambda b: rsi(b, 28),
    "cci_20": cci,
    "williams_r_14": lambda b: 100 * (place(b, 14) - 1),
    "ultimate_oscillator": ultimate,
    "momentum_10_atr": lambda b: b["close"].diff(10) / atr(b),
    "true_strength_index": true_strength,
    "awesome_oscillator_atr": lambda b: (
        (
            ((b["high"] + b["low"]) / 2).rolling(5).mean()
            - ((b["high"] + b["low"]) / 2).rolling(34).mean()
        )
        / atr(b)
    ),
    "balance_of_power_14": lambda b: body(b).rolling(14).mean(),
    "true_range_atr": lambda b: true_range(b) / atr(b),
    "atr_7_to_28": lambda b: atr(b, 7) / atr(b, 28),
    "keltner_place_20": lambda b: (b["close"] - ema(b["close"], 20)) / (2 * atr(b)),
    "realised_volatility_12": lambda b: root(variance(b, 12)),
    "realised_volatility_48": lambda b: root(variance(b, 48)),
    "volatility_ratio_12_48": lambda b: root(4 * variance(b, 12) / variance(b, 48)),
    "bipower_volatility_24": lambda b: root(bipower(b)),
    "jump_share_24": lambda b: (1 - bipower(b) / variance(b, 24)).clip(lower=0),
    "downside_share_24": lambda b: (
        (log_return(b).clip(upper=0) ** 2).rolling(24).sum() / variance(b, 24)
    ),
    "realised_skewness_24": lambda b: 24**0.5 * power_sum(b, 3) / variance(b, 24) ** 1.5,
    "realised_kurtosis_24": lambda b: 24 * power_sum(b, 4) / variance(b, 24) ** 2,
    "parkinson_volatility_24": lambda b: root(
        (mapped(np.log, b["high"] / b["low"]) ** 2).rolling(24).mean() / (4 * np.log(2))
    ),
    "garman_klass_volatility_24": garman_klass,
    "rogers_satchell_volatility_24": rogers_satchell,
    "roll_spread_24": roll,
    "body_share": body,
    "upper_shadow_share": lambda b: (
        (b["high"] - b[["open", "close"]].max(axis=1)) / (b["high"] - b["low"])
    ),
    "lower_shadow_share": lambda b: (
        (b[["open", "close"]].min(axis=1) - b["low"]) / (b["high"] - b["low"])
    ),
    "close_location": location,
    "close_location_mean_10": lambda b: location(b).rolling(10).mean(),
    "range_atr": lambda b: (b["high"] - b["low"]) / atr(b),
    "body_atr": lambda b: (b["close"] - b["open"]) / atr(b),
    "body_size_mean_10_atr": lambda b: (b["close"] - b["open"]).abs().rolling(10).mean() / atr(b),
    "inside_bar": lambda b: flag((b["high"] < b["high"].shift()) & (b["low"] > b["low"].shift())),
    "outside_bar": lambda b: flag((b["high"] > b["high"].shift()) & (b["low"] < b["low"].shift())),
    "engulfing": engulfing,
    "rising_share_10": lambda b: flag(b["close"].diff() > 0).rolling(10).mean(),
    "below_high_24_atr": lambda b: (highest(b, 24) - b["close"]) / atr(b),
    "above_low_24_atr": lambda b: (b["close"] - lowest(b, 24)) / atr(b),
    "body_share_smoothed_5": lambda b: ema(body(b), 5),
    "volume_ratio_20": relative_volume,
    "volume_change": lambda b: np.log1p(b["volume"]).diff(),
    "volume_balance_20": lambda b: (
        signed_volume(b).rolling(20).sum() / b["volume"].rolling(20).sum()
    ),
    "chaikin_money_flow_20": lambda b: (
        (location(b) * b["volume"]).rolling(20).sum() / b["volume"].rolling(20).sum()
    ),
    "money_flow_index_14": money_flow,
    "vwap_distance_24_atr": lambda b: (b["close"] - value_price(b)) / atr(b),
    "force_13": lambda b: ema((log_return(b) * relative_volume(b)).iloc[19:], 13).reindex(b.index),
    "illiquidity_24": lambda b: (log_return(b).abs() / relative_volume(b)).rolling(24).mean(),
    "volume_return_correlation_24": lambda b: (
        log_return(b).abs().rolling(24).corr(b["volume"]).where(variance(b, 23).notna())
    ),
    "price_impact_24": impact,
    "sma_100_ratio": lambda b: b["close"] / mean(b, 100) - 1,
    "sma_200_ratio": lambda b: b["close"] / mean(b, 200) - 1,
    "ema_100_ratio": lambda b: b["close"] / ema(b["close"], 100) - 1,
    "sma_50_200_cross": lambda b: mean(b, 50) / mean(b, 200) - 1,
    "above_sma_200_share_50": lambda b: flag(b["close"] > mean(b, 200)).rolling(50).mean(),
    "channel_place_120": lambda b: place(b, 120),
    "log_return_120": lambda b: log_return(b, 120),
    "realised_volatility_120": lambda b: root(variance(b, 120)),
    "volatility_ratio_24_120": lambda b: root(5 * variance(b, 24) / variance(b, 120)),
    "atr_14_to_100": lambda b: atr(b) / atr(b, 100),
    "tokyo_session": lambda b: session(b, "Asia/Tokyo", 9, 18),
    "sydney_session": lambda b: session(b, "Australia/Sydney"),
    "london_new_york_overlap": lambda b: (
        session(b, "Europe/London") * session(b, "America/New_York")
    ),
    "week_elapsed": elapsed,
    **MICROSTRUCTURE_REFERENCES,
}
