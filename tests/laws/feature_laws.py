"""The laws of features, as functions that return what breaks them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from feature_repo.anchors import periods
from feature_repo.bars import BarArrays
from feature_repo.engine import FeatureStream, Vector, compute_batch, compute_from
from feature_repo.feature import Feature
from tests.laws.feature_data import with_another_future

Compute = Callable[[BarArrays], dict[str, Vector]]


def differing(first: Vector, second: Vector) -> int:
    """Return how many float32 differ in their bits; two NaN are equal."""
    same = (first.view(np.uint32) == second.view(np.uint32)) | (np.isnan(first) & np.isnan(second))
    return int((~same).sum())


def causality_breaks(compute: Compute, bars: BarArrays, moments: Iterable[int]) -> set[str]:
    """Return features whose values up to a moment depend on anything after it."""
    full = compute(bars)
    broken = set()
    for t in moments:
        for other in (bars.part(0, t + 1), with_another_future(bars, t)):
            seen = compute(other)
            broken |= {name for name in full if differing(full[name][: t + 1], seen[name][: t + 1])}
    return broken


def live_breaks(features: Sequence[Feature], bars: BarArrays, start: int, end: int) -> set[str]:
    """Return features whose stream, opened before `start`, differs from batch before `end`."""
    batch = compute_batch(bars, features)
    stream = FeatureStream(bars.part(0, start), features)
    live = np.array([stream.update(bars.bar(i)) for i in range(start, end)], dtype=np.float32)
    return {
        name
        for place, name in enumerate(stream.names)
        if differing(np.ascontiguousarray(live[:, place]), batch[name][start:end])
    }


def warm_up_breaks(features: Sequence[Feature], bars: BarArrays) -> dict[str, tuple[int, int]]:
    """Return features that are not NaN exactly through their memory: declared and found."""
    batch = compute_batch(bars, features)
    expected = np.arange(len(bars))
    return {
        f.name: (f.memory_bars, int(np.isnan(batch[f.name]).sum()))
        for f in features
        if not np.array_equal(np.isnan(batch[f.name]), expected < f.memory_bars)
        or bool(np.isinf(batch[f.name]).any())
    }


def chunking_breaks(features: Sequence[Feature], bars: BarArrays) -> set[str]:
    """Return features that change when each quarter is computed from its own anchor alone."""
    full = compute_batch(bars, features)
    broken = set()
    for period in periods(bars.closed_at_ns):
        alone = bars.part(period.anchor, period.end)
        values = compute_from(alone, features, period.start - period.anchor)
        broken |= {
            name for name in full if differing(full[name][period.start : period.end], values[name])
        }
    return broken
