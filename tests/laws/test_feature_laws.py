"""Laws of every feature of the catalogue, on random and on real bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from feature_repo.anchors import WARM_UP_BARS, periods
from feature_repo.bars import BarArrays, Floats
from feature_repo.catalogue import CATALOGUE, available, groups
from feature_repo.engine import compute_batch
from feature_repo.expression import CLOSE
from feature_repo.feature import Feature, Group
from feature_repo.nodes import Node, Step, Values
from online.domain.microstructure import MICROSTRUCTURE
from tests.laws.feature_data import frame_of, random_bars, real_bars
from tests.laws.feature_laws import (
    causality_breaks,
    chunking_breaks,
    live_breaks,
    warm_up_breaks,
)
from tests.laws.feature_references import REFERENCES

_SETTLED = 1400
"""Bars after which the start of a recursive average no longer shows."""


@pytest.fixture(scope="module", params=["random", "real"])
def bars(request: pytest.FixtureRequest) -> BarArrays:
    if request.param == "random":
        return random_bars(2600, seed=7)
    found = real_bars()
    if found is None:
        pytest.skip("real bars are absent: the wheel gym-anytrading is not installed")
    return found


def moments(bars: BarArrays, count: int) -> list[int]:
    """Return bars to test at: around the start, every quarter's edges, and at random."""
    edges = [p.start + k for p in periods(bars.closed_at_ns) for k in (-1, 0, 1)]
    drawn = np.random.default_rng(3).integers(0, len(bars) - 1, count).tolist()
    return sorted({t for t in [0, 1, 30, *edges, *drawn] if 0 <= t < len(bars)})


def test_no_value_depends_on_what_comes_after(bars: BarArrays) -> None:
    features = available(bars.inputs)
    assert not causality_breaks(lambda b: compute_batch(b, features), bars, moments(bars, 8))


def test_live_values_are_the_batch_values_bit_for_bit(bars: BarArrays) -> None:
    assert not live_breaks(available(bars.inputs), bars, 0, len(bars))


def test_a_restart_at_any_bar_changes_nothing(bars: BarArrays) -> None:
    features = available(bars.inputs)
    for start in moments(bars, 20):
        assert not live_breaks(features, bars, start, min(start + 40, len(bars))), start


def test_values_are_missing_exactly_through_the_warm_up(bars: BarArrays) -> None:
    assert not warm_up_breaks(available(bars.inputs), bars)


def test_computing_each_quarter_alone_changes_nothing(bars: BarArrays) -> None:
    assert not chunking_breaks(available(bars.inputs), bars)


def test_a_stream_needs_no_more_history_than_the_anchor(bars: BarArrays) -> None:
    features = available(bars.inputs)
    full = compute_batch(bars, features)
    *_, last = periods(bars.closed_at_ns)
    assert last.anchor > 0
    enough = bars.part(last.anchor, len(bars))
    assert not live_breaks(features, enough, WARM_UP_BARS, len(enough))
    alone = compute_batch(enough, features)
    for feature in features:
        assert np.array_equal(alone[feature.name][WARM_UP_BARS:], full[feature.name][last.start :])


def test_every_warm_up_fits_before_the_anchor() -> None:
    assert max(feature.memory_bars for feature in CATALOGUE) < WARM_UP_BARS


def test_every_view_is_served_whole_or_not_at_all() -> None:
    optional = frozenset({"volume", *MICROSTRUCTURE})
    for group, members in groups().items():
        needed = [feature.inputs & optional for feature in members]
        if group is Group.MICROSTRUCTURE:
            assert all(inputs and inputs <= set(MICROSTRUCTURE) for inputs in needed)
        else:
            assert len(set(needed)) == 1


@pytest.fixture(scope="module")
def reference_frame() -> tuple[pd.DataFrame, dict[str, Any]]:
    """Bars of one quarter, so that there is one anchor, and the features over them."""
    made = random_bars(2100, seed=11, start="2020-07-01 01:00", weekends=True)
    return frame_of(made), compute_batch(made, CATALOGUE)


@pytest.mark.parametrize("feature", CATALOGUE, ids=lambda feature: feature.name)
def test_a_feature_equals_its_definition(
    feature: Feature, reference_frame: tuple[pd.DataFrame, dict[str, Any]]
) -> None:
    frame, computed = reference_frame
    expected = REFERENCES[feature.name](frame).to_numpy()[_SETTLED:]
    got = computed[feature.name].astype(float)[_SETTLED:]
    known = np.isfinite(expected)
    assert known.mean() > 0.9
    scale = float(np.abs(expected[known]).max())
    np.testing.assert_allclose(got[known], expected[known], rtol=2e-5, atol=2e-6 * scale)


class PlantedLeak(Node):
    """A node that peeks: `function` sees the whole array at once."""

    def __init__(self, name: str, function: Callable[[Floats], Floats]) -> None:
        super().__init__(CLOSE)
        self.text, self.memory_bars, self._function = name, 0, function

    def batch(self, *arrays: Values) -> Values:
        return self._function(arrays[0])

    def open(self, *histories: Values) -> Step:  # noqa: ARG002 - it has no state
        return lambda value: value


def tomorrow(close: Floats) -> Floats:
    return pd.Series(close).shift(-1).to_numpy()


def centred(close: Floats) -> Floats:
    return pd.Series(close).rolling(5, center=True).mean().to_numpy()


def scaled(close: Floats) -> Floats:
    result: Floats = (close - close.mean()) / close.std()
    return result


@pytest.mark.parametrize("leak", [tomorrow, centred, scaled])
def test_a_planted_leak_is_caught(leak: Callable[[Floats], Floats]) -> None:
    made = random_bars(600, seed=5)
    planted = Feature("planted", "A leak.", "test", PlantedLeak(leak.__name__, leak), Group.TREND)
    honest = next(f for f in CATALOGUE if f.name == "rsi_14")
    features = (honest, planted)
    broken = causality_breaks(lambda b: compute_batch(b, features), made, [200, 400])
    assert broken == {"planted"}


def test_a_window_recomputed_live_is_caught() -> None:
    """A live side that forgets older bars differs from batch, and the law says so."""

    class Forgetful(PlantedLeak):
        def batch(self, *arrays: Values) -> Values:
            return pd.Series(arrays[0]).ewm(span=50, adjust=False).mean().to_numpy()

    made = random_bars(600, seed=5)
    planted = Feature("planted", "A skew.", "test", Forgetful("ewm", tomorrow), Group.TREND)
    assert live_breaks((planted,), made, 300, 400) == {"planted"}
