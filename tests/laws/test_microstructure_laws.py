"""Laws of the features of quotes on real quotes: from the tick to the vector, live as in batch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feature_repo.bars import BarArrays
from feature_repo.catalogue import CATALOGUE, available, groups
from feature_repo.engine import FeatureStream, compute_batch
from feature_repo.feature import Feature, Group
from online.domain.errors import NotFound
from online.domain.market import Timeframe
from online.domain.microstructure import MICROSTRUCTURE
from online.instruments import find_instrument
from pipelines.quality_gaps import Calendar
from pipelines.quality_ticks import check_ticks
from pipelines.resample import bars_from_ticks
from pipelines.sources.text import read_text
from pipelines.sources.ticks import LeanTicksConfig, read_day
from pipelines.tick_bars import TickBarStream
from tests.laws.feature_data import frame_of, random_bars
from tests.laws.feature_laws import causality_breaks, differing, live_breaks, warm_up_breaks
from tests.laws.microstructure_references import MICROSTRUCTURE_REFERENCES

EURUSD = find_instrument("EURUSD")
FEATURES = groups()[Group.MICROSTRUCTURE]
DAYS = ("20140501", "20140502")


@pytest.fixture(scope="module")
def ticks(shared_data: Path) -> pd.DataFrame:
    folder = shared_data / "oanda_ticks" / "eurusd"
    config = LeanTicksConfig(folder=folder, feed="oanda", clock="UTC")
    texts = [read_text(folder / f"{day}_quote.zip") for day in DAYS]
    found = [check_ticks(read_day(text, config), EURUSD).ticks for text in texts]
    return pd.concat(found, ignore_index=True)


@pytest.fixture(scope="module")
def bars(ticks: pd.DataFrame) -> BarArrays:
    made = bars_from_ticks(ticks, Timeframe.M1, Calendar.CURRENCIES, point=EURUSD.point)
    return BarArrays.from_frame(made)


def test_real_quotes_serve_the_whole_catalogue(bars: BarArrays) -> None:
    assert available(bars.inputs) == CATALOGUE


def test_no_value_of_real_quotes_depends_on_what_comes_after(bars: BarArrays) -> None:
    assert not causality_breaks(
        lambda b: compute_batch(b, FEATURES), bars, [0, 50, 96, 700, 1500, len(bars) - 2]
    )


def test_a_restart_at_any_bar_of_real_quotes_changes_nothing(bars: BarArrays) -> None:
    for start in (0, 1, 49, 96, 500, 1200, len(bars) - 40):
        assert not live_breaks(FEATURES, bars, start, min(start + 60, len(bars))), start


def test_values_of_real_quotes_are_missing_exactly_through_the_warm_up(bars: BarArrays) -> None:
    assert not warm_up_breaks(FEATURES, bars)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_a_feature_of_real_quotes_equals_its_definition(feature: Feature, bars: BarArrays) -> None:
    expected = MICROSTRUCTURE_REFERENCES[feature.name](frame_of(bars)).to_numpy()
    got = compute_batch(bars, [feature])[feature.name].astype(float)
    known = np.isfinite(expected)
    assert known[feature.memory_bars :].mean() > 0.9
    scale = float(np.abs(expected[known]).max())
    np.testing.assert_allclose(got[known], expected[known], rtol=2e-5, atol=2e-6 * scale)


def test_quotes_one_by_one_make_the_vectors_of_the_batch(
    ticks: pd.DataFrame, bars: BarArrays
) -> None:
    """Quotes close bars, bars update the features: every bit is that of the stored history."""
    batch = compute_batch(bars, CATALOGUE)
    begin = 900
    made = TickBarStream(Timeframe.M1, Calendar.CURRENCIES, point=EURUSD.point)
    stream = FeatureStream(bars.part(0, begin), CATALOGUE)
    rows = zip(*(ticks[name].tolist() for name in ("at_ns", "bid", "ask")), strict=True)
    closed = [bar for row in rows if (bar := made.update(*row)) is not None]
    assert closed == [bars.bar(index) for index in range(len(bars))]
    live = np.array([stream.update(bar) for bar in closed[begin:]], dtype=np.float32)
    for place, feature in enumerate(CATALOGUE):
        found = np.ascontiguousarray(live[:, place])
        assert not differing(found, batch[feature.name][begin:]), feature.name


def test_the_spread_by_the_quotes_is_the_spread_of_the_bar(
    ticks: pd.DataFrame, bars: BarArrays
) -> None:
    minute = ticks["at_ns"] // Timeframe.M1.duration_ns
    spreads = ((ticks["ask"] - ticks["bid"]) / EURUSD.point).groupby(minute.to_numpy())
    expected = spreads.agg(["mean", "max", "size"]).iloc[: len(bars)]
    values = compute_batch(bars, FEATURES)
    np.testing.assert_allclose(values["spread_mean_points"], expected["mean"], rtol=1e-5)
    np.testing.assert_allclose(values["spread_max_points"], expected["max"], rtol=1e-5)
    np.testing.assert_allclose(values["quote_intensity"], np.log(expected["size"]), rtol=1e-5)


def without_quotes(bars: BarArrays) -> BarArrays:
    return BarArrays.from_frame(frame_of(bars).drop(columns=list(MICROSTRUCTURE)))


def test_bars_not_made_of_quotes_have_no_feature_of_them_by_name() -> None:
    plain = without_quotes(random_bars(300, seed=1))
    assert plain.inputs.isdisjoint(MICROSTRUCTURE)
    assert Group.MICROSTRUCTURE not in groups(available(plain.inputs))
    with pytest.raises(NotFound, match="vpin_20") as refused:
        compute_batch(plain, FEATURES)
    assert refused.value.code == "FEATURE_INPUT_ABSENT"
    with pytest.raises(NotFound, match="not all made of quotes") as refused:
        FeatureStream(plain, FEATURES)
    assert refused.value.code == "FEATURE_INPUT_ABSENT"


def test_a_single_bar_not_made_of_quotes_leaves_the_series_without_them() -> None:
    frame = frame_of(random_bars(300, seed=1))
    frame.loc[150, "quotes"] = np.nan
    assert BarArrays.from_frame(frame).microstructure is None


def test_a_live_bar_not_made_of_quotes_is_refused_and_changes_nothing() -> None:
    bars = random_bars(300, seed=1)
    stream = FeatureStream(bars.part(0, 250), FEATURES)
    with pytest.raises(NotFound, match="not made of quotes") as refused:
        stream.update(without_quotes(bars).bar(250))
    assert refused.value.code == "FEATURE_INPUT_ABSENT"
    expected = compute_batch(bars, FEATURES)
    assert stream.update(bars.bar(250)).tolist() == [
        expected[feature.name][250] for feature in FEATURES
    ]
