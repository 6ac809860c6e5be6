"""A loop that fits anew from raw frames, as FreqAI does live (own code, after freqtrade's sources).

Taken over, each with where it stands there:

- For every training, all features are made again from the raw frames of each timeframe, an
  indicator for each period, all of them shifted, and merged in order of time with the gaps filled
  (``data_kitchen.populate_features``, ``merge_informative_pair``); two timeframes, periods of 10
  and 20 candles and two shifts, as in its example, make the 80 columns that are asked for.
- The indicators of its example strategy that need no volume, by TA-Lib and pandas as there; the
  day of the week and the hour; a classifier's targets as strings.
- Rows with a gap are dropped, constant columns left out and the rest scaled to [-1, 1], in float64
  frames (``filter_features``, ``define_data_pipeline``).
- ``XGBClassifier`` on arrays of float64 with weights, labels encoded; its answer and its
  probabilities are asked for one after the other (``XGBoostClassifier``, ``BaseClassifierModel``).

Not taken over, each to the loop's favour: it evaluates a tenth of the rows in every round, here
none is held back; live it makes indicators again for every candle that it predicts, here once a
training; nothing is written to disk; outliers, correlated pairs and principal components are off,
as they are by default. Its window slides; here it grows as ours does, over the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import talib
from sklearn.feature_selection import VarianceThreshold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import LabelEncoder, MinMaxScaler

from models.bars import Bars, Stamps
from models.splits import Fold

PERIODS, SHIFTS, AHEAD = (10, 20), (1, 2), 10
LONGER = "4h"
PRICES = ["open", "high", "low", "close"]
FLAT = 0.001
"""Change of the price that is neither up nor down."""


def raw_frames(bars: Bars) -> dict[str, pd.DataFrame]:
    """Return the candles of both timeframes, as an exchange hands them over."""
    base = pd.DataFrame({name: getattr(bars, name) for name in PRICES})
    base.insert(0, "date", pd.to_datetime(bars.closed_at_ns, utc=True))
    how = {"open": "first", "high": "max", "low": "min", "close": "last"}
    longer = base.resample(LONGER, on="date", label="right", closed="right").agg(how).dropna()
    return {"1h": base, LONGER: longer.reset_index()}


def refit(
    frames: Mapping[str, pd.DataFrame],
    folds: Sequence[Fold],
    decided_at_ns: Stamps,
    settings: Mapping[str, object],
) -> int:
    """Fit every fold from the raw frames and predict its test rows; return the columns' number.

    Parameters
    ----------
    frames
        As `raw_frames` returns them.
    folds, decided_at_ns
        Training and test rows, expanding, and the candle of each row, nanoseconds UTC.
    settings
        Of ``XGBClassifier``.
    """
    from xgboost import XGBClassifier  # noqa: PLC0415 - loaded by ours already

    columns: list[str] = []
    stamps = pd.to_datetime(decided_at_ns, utc=True)
    for fold in folds:
        learnt, first, until = stamps[[fold.train[-1], fold.test[0], fold.test[-1]]]
        known = {name: frame[frame["date"] <= until] for name, frame in frames.items()}
        frame = populate(known)
        columns = [str(name) for name in frame.columns if str(name).startswith("%")]
        train = frame[frame["date"] <= learnt]
        features, labels = filter_rows(train, columns)
        pipeline = make_pipeline(VarianceThreshold(), MinMaxScaler((-1.0, 1.0)))
        scaled = _frame(pipeline.set_output(transform="pandas").fit_transform(features))
        codes = LabelEncoder().fit_transform(labels)
        model = XGBClassifier(**settings)
        model.fit(scaled.to_numpy(), codes, sample_weight=np.ones(len(scaled)))
        _predict(model, pipeline, frame[frame["date"] >= first], columns)
    return len(columns)


def populate(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the shorter timeframe's candles with every feature and the target."""
    frame = frames["1h"].copy()
    for name, raw in frames.items():
        informative, source = raw.copy(), raw.copy()
        for period in PERIODS:
            made = expand(source.copy(), period)
            informative = merge(informative, made, str(period))
        source["%-pct-change"] = source["close"].pct_change()
        informative = merge(informative, source, "gen")
        indicators = [name for name in informative.columns if str(name).startswith("%")]
        for shift in SHIFTS:
            shifted = informative[indicators].shift(shift).add_suffix(f"_shift-{shift}")
            informative = pd.concat((informative, shifted), axis=1)
        frame = merge(frame.copy(), informative, name)
    frame["%-day_of_week"] = frame["date"].dt.dayofweek
    frame["%-hour_of_day"] = frame["date"].dt.hour
    change = frame["close"].shift(-AHEAD) - frame["close"]
    said = np.select([change > FLAT, change < -FLAT], ["up", "down"], "neither")
    frame["&s-up_or_down"] = pd.Series(said, frame.index).where(change.notna())
    return frame


def expand(frame: pd.DataFrame, period: int) -> pd.DataFrame:
    """Add the example strategy's indicators of one period."""
    high, low, close = (frame[name].to_numpy() for name in ("high", "low", "close"))
    frame["%-rsi-period"] = talib.RSI(close, timeperiod=period)
    frame["%-adx-period"] = talib.ADX(high, low, close, timeperiod=period)
    frame["%-sma-period"] = talib.SMA(close, timeperiod=period)
    frame["%-ema-period"] = talib.EMA(close, timeperiod=period)
    typical = (frame["high"] + frame["low"] + frame["close"]) / 3.0
    middle, deviation = typical.rolling(period).mean(), typical.rolling(period).std()
    lower, upper = middle - 2.2 * deviation, middle + 2.2 * deviation
    frame["%-bb_width-period"] = (upper - lower) / middle
    frame["%-close-bb_lower-period"] = frame["close"] / lower
    return frame


def merge(main: pd.DataFrame, other: pd.DataFrame, suffix: str) -> pd.DataFrame:
    """Merge what was known at each candle of `main`, gaps filled, without the other's prices."""
    renamed = other.add_suffix(f"_{suffix}")
    merged = pd.merge_ordered(
        main,
        renamed,
        fill_method="ffill",
        left_on="date",
        right_on=f"date_{suffix}",
        how="left",
    )
    return merged.drop(columns=[f"{name}_{suffix}" for name in ("date", *PRICES)])


def filter_rows(frame: pd.DataFrame, columns: list[str]) -> tuple[pd.DataFrame, pd.Series]:
    """Return the features and labels of the rows without a gap."""
    features = frame.filter(columns, axis=1).replace([np.inf, -np.inf], np.nan)
    labels = frame["&s-up_or_down"]
    whole = ~(features.isna().any(axis=1) | labels.isna())
    return features[whole], labels[whole]


def _predict(model: object, pipeline: Pipeline, rows: pd.DataFrame, columns: list[str]) -> None:
    features = rows.filter(columns, axis=1).replace([np.inf, -np.inf], np.nan).fillna(0)
    scaled = _frame(pipeline.transform(features)).to_numpy()
    model.predict(scaled)  # type: ignore[attr-defined] # a classifier
    model.predict_proba(scaled)  # type: ignore[attr-defined] # a classifier


def _frame(answer: object) -> pd.DataFrame:
    if not isinstance(answer, pd.DataFrame):
        raise TypeError(f"a pipeline of frames gave {type(answer).__name__}")
    return answer
