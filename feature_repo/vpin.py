"""Buckets of equal activity: how one-sided trading was on a clock that runs with the quotes."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from feature_repo.bars import Floats
from feature_repo.nodes import NAN, Node, Step
from online.domain.errors import InvalidInput


class BucketImbalance(Node):
    """Imbalance of the newest buckets over their content, 0 to 1.

    A bucket takes whole bars until it holds as much as `size` said at its first bar, one at least;
    the newest is still filling. Contents are whole numbers, whose sums are exact, so the vectorised
    form and the fold have the same bits.

    Parameters
    ----------
    bought, sold
        Content of a bar on either side, whole numbers (>= 0).
    size
        What a bucket holds.
    buckets
        How many are looked at, the filling one included (> 1).
    """

    makes_fresh_arrays = True

    def __init__(self, bought: Node, sold: Node, size: Node, buckets: int) -> None:
        super().__init__(bought, sold, size)
        if buckets <= 1:
            raise InvalidInput(f"an imbalance needs at least two buckets, got {buckets}")
        self.buckets = buckets
        self.memory_bars = max(node.memory_bars for node in self.inputs)
        names = ", ".join(node.text for node in self.inputs)
        self.text = f"bucket_imbalance({names}, {buckets})"

    def batch(self, *arrays: Floats) -> Floats:
        """Find every bar's bucket by its end, then all sums as differences of running ones."""
        bought, sold, size = (array[self.memory_bars :] for array in arrays)
        out = np.full(len(arrays[0]), NAN)
        count = len(bought)
        if not count:
            return out
        content = np.append(0.0, np.cumsum(bought + sold))
        signed = np.append(0.0, np.cumsum(bought - sold))
        wanted = content[:-1] + np.maximum(np.ceil(size), 1.0)
        after = np.searchsorted(content, wanted, side="left").tolist()
        starts, place = [], 0
        while place < count:
            starts.append(place)
            place = after[place]
        first = np.array(starts)
        bucket = np.repeat(np.arange(len(first)), np.diff(np.append(first, count)))
        oldest = np.maximum(bucket - self.buckets + 1, 0)
        full = np.abs(np.diff(signed[first]))
        imbalances = np.append(0.0, np.cumsum(full))
        filling = np.abs(signed[1:] - signed[first[bucket]])
        total = content[1:] - content[first[oldest]]
        one_sided = imbalances[bucket] - imbalances[oldest] + filling
        out[self.memory_bars :] = one_sided / np.where(total > 0.0, total, 1.0)
        return out

    def open(self, *histories: Floats) -> Step:
        """Return a fold that has seen the histories."""
        step = _Fold(self.buckets)
        for values in zip(*(h[self.memory_bars :].tolist() for h in histories), strict=True):
            step(*values)
        return step


class _Fold:
    """The same, bar by bar."""

    __slots__ = ("_content", "_full", "_kept", "_kept_one_sided", "_room", "_signed", "_wanted")

    def __init__(self, buckets: int) -> None:
        self._room = buckets - 1
        self._full: deque[tuple[float, float]] = deque()
        self._kept = self._kept_one_sided = 0.0
        self._content = self._signed = 0.0
        self._wanted = NAN

    def __call__(self, bought: float, sold: float, size: float) -> float:
        if size != size:  # noqa: PLR0124 - NaN test
            return NAN
        if self._wanted != self._wanted:
            self._wanted = max(float(math.ceil(size)), 1.0)
        self._content += bought + sold
        self._signed += bought - sold
        total = self._kept + self._content
        one_sided = self._kept_one_sided + abs(self._signed)
        if self._content >= self._wanted:
            self._keep(self._content, abs(self._signed))
            self._content = self._signed = 0.0
            self._wanted = NAN
        return one_sided / (total if total > 0.0 else 1.0)

    def _keep(self, content: float, one_sided: float) -> None:
        self._full.append((content, one_sided))
        self._kept += content
        self._kept_one_sided += one_sided
        if len(self._full) > self._room:
            oldest, its_one_sided = self._full.popleft()
            self._kept -= oldest
            self._kept_one_sided -= its_one_sided
