"""The dataset: what is joined, what is left out, what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models.bars import Bars
from models.dataset import MIN_ROWS
from online.domain.errors import InvalidInput, InvalidMarketData, NotFound
from tests.unit.models.markets import NAMES, START_NS, build, make_bars, make_frame


@pytest.fixture
def bars() -> Bars:
    return make_bars(600, 5)[0]


@pytest.fixture
def frame(bars: Bars) -> pd.DataFrame:
    return make_frame(bars, make_bars(600, 5)[1], 5)


def test_rows_carry_the_features_of_their_own_bar(bars: Bars, frame: pd.DataFrame) -> None:
    dataset = build(frame.sample(frac=1.0, random_state=1), bars)
    place = np.searchsorted(bars.closed_at_ns, dataset.labels.decided_at_ns)
    expected = frame[list(NAMES)].to_numpy()[place]
    assert dataset.features.dtype == np.float32
    assert np.array_equal(dataset.features, expected)
    assert np.array_equal(dataset.bars.close, bars.close[place])


def test_rows_without_a_feature_are_left_out_and_counted(bars: Bars, frame: pd.DataFrame) -> None:
    whole = build(frame, bars)
    frame.loc[100:119, "noise_a"] = np.nan
    dataset = build(frame, bars)
    assert dataset.left_out["missing_feature"] == 20
    assert len(dataset) == len(whole) - 20
    assert len(dataset) + sum(dataset.left_out.values()) == len(bars)


def test_a_changed_bar_or_feature_changes_the_digest(bars: Bars, frame: pd.DataFrame) -> None:
    known = build(frame, bars).digest
    assert build(frame, bars).digest == known
    frame["noise_b"] = frame["noise_b"].to_numpy() * np.float32(1.5)
    assert build(frame, bars).digest != known


def test_a_changed_spread_changes_the_labels_and_the_digest(
    bars: Bars, frame: pd.DataFrame
) -> None:
    spread = np.full(len(bars), 8.0)
    known = build(frame, bars, spread_points=spread)
    assert known.digest == build(frame, bars).digest
    spread[300:] = 40.0
    wider = build(frame, bars, spread_points=spread)
    assert wider.labels.long.net_units.sum() < known.labels.long.net_units.sum()
    assert wider.digest != known.digest


def test_an_unknown_feature_is_named(bars: Bars, frame: pd.DataFrame) -> None:
    with pytest.raises(NotFound, match="noise_b") as caught:
        build(frame.drop(columns="noise_b"), bars)
    assert caught.value.code == "UNKNOWN_FEATURE"


def test_a_constant_feature_is_refused_by_name(bars: Bars, frame: pd.DataFrame) -> None:
    frame["noise_a"] = np.float32(3.0)
    with pytest.raises(InvalidInput, match="noise_a") as caught:
        build(frame, bars)
    assert caught.value.code == "CONSTANT_FEATURE"


def test_a_feature_without_a_finite_value_is_refused_by_name(
    bars: Bars, frame: pd.DataFrame
) -> None:
    frame["noise_b"] = np.float32(np.nan)
    with pytest.raises(InvalidInput, match="noise_b") as caught:
        build(frame, bars)
    assert caught.value.code == "EMPTY_FEATURE"


def test_a_handful_of_rows_is_refused(bars: Bars, frame: pd.DataFrame) -> None:
    few = MIN_ROWS // 2
    with pytest.raises(InvalidInput) as caught:
        build(frame[:few], bars.take(np.arange(few)))
    assert caught.value.code == "TOO_FEW_ROWS"


def test_one_class_alone_is_refused(frame: pd.DataFrame) -> None:
    rising = np.linspace(5.0, 6.2, 600, dtype=np.float64)
    closed = START_NS + (1 + np.arange(600, dtype=np.int64)) * 3_600_000_000_000
    shifted = [np.asarray(rising + by, dtype=np.float64) for by in (0.0021, -0.00001, 0.002)]
    straight = Bars(closed, rising, *shifted)
    with pytest.raises(InvalidInput, match="long") as caught:
        build(frame, straight)
    assert caught.value.code == "ONE_CLASS"


def test_a_stamp_that_is_no_bars_close_is_refused(bars: Bars, frame: pd.DataFrame) -> None:
    frame["event_timestamp"] += pd.Timedelta(seconds=1)
    with pytest.raises(InvalidMarketData, match="no bar's close"):
        build(frame, bars)


def test_a_repeated_stamp_is_refused(bars: Bars, frame: pd.DataFrame) -> None:
    with pytest.raises(InvalidMarketData, match="repeat"):
        build(pd.concat([frame, frame[:1]]), bars)


def test_a_stamp_without_a_time_zone_is_refused(bars: Bars, frame: pd.DataFrame) -> None:
    frame["event_timestamp"] = frame["event_timestamp"].dt.tz_localize(None)
    with pytest.raises(InvalidMarketData, match="UTC"):
        build(frame, bars)


def test_bars_that_cannot_be_are_refused() -> None:
    stamps = np.array([1, 2], dtype=np.int64)
    good = np.array([1.1, 1.2])
    with pytest.raises(InvalidMarketData, match="low <= open"):
        Bars(stamps, good, good - 0.1, good, good)
    with pytest.raises(InvalidMarketData, match="finite"):
        Bars(stamps, good, good, np.array([np.nan, 1.0]), good)
    with pytest.raises(InvalidMarketData, match="increasing"):
        Bars(stamps[::-1].copy(), good, good, good, good)
