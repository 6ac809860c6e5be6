"""Laws of a symbol's whole vector: own bars, longer bars and other symbols together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from feature_repo.anchors import WARM_UP_BARS, periods
from feature_repo.catalogue import CROSS, HIGHER, entries, select, served
from feature_repo.engine import Vector
from feature_repo.feature import CrossFeature, Feature, HigherFeature
from feature_repo.indicators.longer import seen_on
from feature_repo.panel import Panel
from feature_repo.vector import (
    VectorStream,
    compute_quarter,
    compute_vectors,
    needed,
    reaches_anchors,
)
from online.domain.errors import InvalidInput, NotFound
from online.domain.market import Timeframe
from tests.laws.feature_laws import differing
from tests.laws.panels import (
    OWN,
    random_panel,
    real_panel,
    rows,
    run_live,
    whole_panel,
    with_other_futures,
)


@pytest.fixture(scope="module", params=["random", "real"])
def panel(request: pytest.FixtureRequest) -> Panel:
    if request.param == "random":
        return random_panel(2600, seed=40)
    found = real_panel()
    if found is None:
        pytest.skip("real minutes are absent: there is no ../shared/data")
    return found


@pytest.fixture(scope="module")
def batch(panel: Panel) -> dict[str, Vector]:
    return compute_vectors(panel, served(panel))


def beyond_own_bars(panel: Panel) -> tuple[Feature, ...]:
    return tuple(f for f in served(panel) if isinstance(f, (HigherFeature, CrossFeature)))


def edges(panel: Panel) -> list[int]:
    quarters = list(periods(panel.own.closed_at_ns))
    return [p.start + k for p in quarters[1:] for k in (-1, 0, 1)]


def test_no_value_depends_on_what_comes_after(panel: Panel, batch: dict[str, Vector]) -> None:
    features = beyond_own_bars(panel)
    drawn = np.random.default_rng(3).integers(600, len(panel.own) - 1, 4).tolist()
    for moment in [*edges(panel), *drawn]:
        for other in (panel.part(0, moment + 1), with_other_futures(panel, moment)):
            seen = compute_vectors(other, features)
            for f in features:
                part = slice(0, moment + 1)
                assert not differing(batch[f.name][part], seen[f.name][part]), (f.name, moment)


def test_live_values_are_the_batch_values_after_any_restart(
    panel: Panel, batch: dict[str, Vector]
) -> None:
    features = served(panel)
    drawn = np.random.default_rng(5).integers(0, len(panel.own) - 60, 6).tolist()
    for seed, start in enumerate([0, 1, 26, *edges(panel), *drawn]):
        end = min(start + 60, len(panel.own))
        for name, values in run_live(panel, features, start, end, seed).items():
            assert not differing(values, batch[name][start:end]), (name, start)


def test_the_whole_history_live_is_the_batch(panel: Panel, batch: dict[str, Vector]) -> None:
    features = beyond_own_bars(panel)
    for name, values in run_live(panel, features, 0, len(panel.own), 7).items():
        assert not differing(values, batch[name]), name
        assert np.isfinite(values).mean() > 0.5


def test_each_quarter_alone_from_what_it_needs_is_the_whole(
    panel: Panel, batch: dict[str, Vector]
) -> None:
    features = served(panel)
    quarters = list(periods(panel.own.closed_at_ns))
    assert len(quarters) > 1
    for period in quarters:
        part, within = needed(panel, features, period)
        assert within.end - within.start == period.end - period.start
        for found in (
            compute_quarter(part, features, within),
            compute_quarter(panel, features, period),
        ):
            for name, values in found.items():
                assert not differing(values, batch[name][period.start : period.end]), name


def test_a_quarter_far_from_the_beginning_needs_no_more_than_its_anchors() -> None:
    panel = whole_panel(9_000, seed=8)
    h4 = seen_on(Timeframe.H4, select(["ema_12_ratio"])[0])
    features = (*select(["ema_50_ratio"]), h4, *CROSS)
    *_, last = periods(panel.own.closed_at_ns)
    part, within = needed(panel, features, last)
    assert 4 * WARM_UP_BARS <= within.start < 4 * WARM_UP_BARS + 2 * 24 * 92
    full = compute_vectors(panel, features, last.start)
    for name, values in compute_quarter(part, features, within).items():
        assert not differing(values, full[name]), name
    assert reaches_anchors(panel.own.part(0, last.end), features)
    short = panel.own.part(last.start - WARM_UP_BARS - 1, last.end)
    assert reaches_anchors(short, (features[0], *CROSS))
    assert not reaches_anchors(short, features)
    assert not reaches_anchors(panel.own.part(last.start - WARM_UP_BARS, last.end), CROSS)


def test_a_stream_needs_no_more_history_than_the_anchors() -> None:
    panel = whole_panel(9_000, seed=8)
    h4 = seen_on(Timeframe.H4, select(["ema_12_ratio"])[0])
    features = (*select(["ema_50_ratio"]), h4, *CROSS)
    *_, last = periods(panel.own.closed_at_ns)
    full = compute_vectors(panel, features)
    part, _ = needed(panel, features, last)
    cut = len(panel.own) - len(part.own)
    for start in (last.start + 200, last.start + 201, last.end - 30):
        found = run_live(part, features, start - cut, start - cut + 30, 3)
        for name, values in found.items():
            assert not differing(values, full[name][start : start + 30]), (name, start)


def test_values_are_missing_exactly_through_the_warm_up() -> None:
    panel = whole_panel(1_200, seed=9)
    values = compute_vectors(panel, served(panel))
    stamps = panel.own.closed_at_ns
    for feature in served(panel):
        if isinstance(feature, HigherFeature):
            length_ns = feature.timeframe.duration_ns
            first_close_ns = -(-int(stamps[0]) // length_ns) * length_ns
            warm_ns = first_close_ns + feature.memory_bars * length_ns
            expected = stamps <= warm_ns
        elif isinstance(feature, CrossFeature):
            expected = np.arange(len(stamps)) < feature.memory_bars + 1
        else:
            expected = np.arange(len(stamps)) < feature.memory_bars
        assert np.array_equal(np.isnan(values[feature.name]), expected), feature.name


@pytest.mark.parametrize("timeframe", list(Timeframe))
def test_longer_bars_are_longer_and_every_name_is_unique(timeframe: Timeframe) -> None:
    names = [feature.name for feature in entries(timeframe)]
    assert len(set(names)) == len(names)
    for feature in HIGHER[timeframe]:
        assert feature.timeframe.seconds > timeframe.seconds
        assert feature.name.startswith(f"{feature.timeframe.value.lower()}_")
        assert feature.memory_bars <= 27


def test_a_symbol_without_its_peers_has_no_feature_across_symbols() -> None:
    panel = whole_panel(100, seed=2)
    alone = Panel(OWN, Timeframe.H1, panel.own)
    assert not [f for f in served(alone) if isinstance(f, CrossFeature)]
    with pytest.raises(NotFound) as refusal:
        compute_vectors(alone, CROSS)
    assert refusal.value.code == "FEATURE_PEERS_ABSENT"
    index = Panel("NSXUSD", Timeframe.H1, panel.own)
    with pytest.raises(NotFound, match="NSXUSD"):
        VectorStream(index, CROSS)
    with pytest.raises(InvalidInput) as wrong:
        Panel(OWN, Timeframe.H1, panel.own, {"GBPUSD": panel.own})
    assert wrong.value.code == "PEERS_MISSING"


def test_a_bar_of_a_stranger_is_refused() -> None:
    panel = whole_panel(100, seed=2)
    stream = VectorStream(panel, served(panel))
    with pytest.raises(NotFound) as refusal:
        stream.take("XAUUSD", panel.own.bar(99))
    assert refusal.value.code == "NO_PEER"


def test_planted_leaks_through_longer_bars_and_peers_are_caught() -> None:
    """A peer's bar of the same stamp, and an unclosed longer bar, change what was known."""
    panel = whole_panel(400, seed=6)
    moment = 301
    other = with_other_futures(panel, moment)

    def same_stamp(panel: Panel) -> Vector:
        peer = panel.others["GBPUSD"]
        seen = np.searchsorted(peer.closed_at_ns, panel.own.closed_at_ns, "right") - 1
        return peer.close[seen].astype(np.float32)

    def unclosed(panel: Panel) -> Vector:
        ends = -(-panel.own.closed_at_ns // Timeframe.H4.duration_ns)
        last = pd.Series(panel.own.close).groupby(ends).transform("last")
        return last.to_numpy().astype(np.float32)

    assert ends_mid_bar(panel, moment)
    for leak in (same_stamp, unclosed):
        assert differing(leak(panel)[: moment + 1], leak(other)[: moment + 1])


def ends_mid_bar(panel: Panel, moment: int) -> bool:
    return bool(panel.own.closed_at_ns[moment] % Timeframe.H4.duration_ns)


def test_a_peers_bar_of_the_same_stamp_is_seen_at_the_next_bar() -> None:
    panel = whole_panel(400, seed=6)
    peer = panel.others["GBPUSD"]
    without = rows(peer, np.delete(np.arange(len(peer)), 300))
    less = Panel(OWN, Timeframe.H1, panel.own, {**panel.others, "GBPUSD": without})
    before, after = compute_vectors(panel, CROSS), compute_vectors(less, CROSS)
    for name in before:
        assert not differing(before[name][:301], after[name][:301])
        assert before[name][301] != after[name][301]
