"""The engine: one catalogue, evaluated over arrays or bar by bar, to the same bits.

>>> import numpy as np
>>> from feature_repo.catalogue import select
>>> hours = np.arange(1, 41, dtype=np.int64) * 3_600_000_000_000
>>> prices = np.linspace(1.0, 1.4, 40)
>>> bars = BarArrays(hours, prices, prices + 0.1, prices - 0.1, prices, prices)
>>> entries = select(["rsi_14"])
>>> stream = FeatureStream(bars.part(0, 39), entries)
>>> bool(stream.update(bars.bar(39))[0] == compute_batch(bars, entries)["rsi_14"][39])
True
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from feature_repo.anchors import WARM_UP_BARS, Period, periods, quarter_end_ns, quarter_of
from feature_repo.bars import BarArrays
from feature_repo.feature import Feature
from feature_repo.nodes import Constant, Node, Source
from online.domain.errors import InvalidMarketData, NotFound
from online.domain.market import Bar

Vector = npt.NDArray[np.float32]


class Program:
    """The nodes behind some features, each once, in an order that computes inputs first.

    Parameters
    ----------
    features
        What is computed.
    """

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = tuple(features)
        self.nodes: list[Node] = []
        self._place: dict[str, int] = {}
        for feature in self.features:
            self._add(feature.expression)
        self.inputs: list[tuple[int, ...]] = [
            tuple(self._place[i.text] for i in node.inputs) for node in self.nodes
        ]
        self.outputs = tuple(self._place[f.expression.text] for f in self.features)

    def _add(self, node: Node) -> None:
        if node.text in self._place:
            return
        for each in node.inputs:
            self._add(each)
        self._place[node.text] = len(self.nodes)
        self.nodes.append(node)

    def evaluate(self, bars: BarArrays, *, keep: bool) -> list[Any]:
        """Return every node's array over `bars`, taken as opened at the first of them.

        Parameters
        ----------
        bars
            From the anchor on.
        keep
            Keep all; otherwise what nobody needs any more is dropped, to save memory.
        """
        arrays: list[Any] = [None] * len(self.nodes)
        last_use = {i: at for at, used in enumerate(self.inputs) for i in used}
        kept = set(self.outputs)
        for at, (node, used) in enumerate(zip(self.nodes, self.inputs, strict=True)):
            if isinstance(node, Source):
                arrays[at] = getattr(bars, node.text)
            else:
                arrays[at] = node.batch(*(arrays[i] for i in used))
            if not keep:
                for i in used:
                    if last_use[i] == at and i not in kept:
                        arrays[i] = None
        return arrays


def require_inputs(features: Iterable[Feature], inputs: frozenset[str]) -> None:
    """Refuse features whose inputs a source lacks.

    Raises
    ------
    NotFound
        With code ``FEATURE_INPUT_ABSENT``, naming features and inputs.
    """
    absent = {f.name: sorted(f.inputs - inputs) for f in features if not f.inputs <= inputs}
    if absent:
        raise NotFound(
            f"the source has no input for {absent}: it has {sorted(inputs)}",
            code="FEATURE_INPUT_ABSENT",
            remedy="Ask only for features whose inputs the source has.",
        )


def compute_batch(bars: BarArrays, features: Sequence[Feature]) -> dict[str, Vector]:
    """Return every feature over all bars, float32 of shape ``(n_bars,)``, NaN while warming up.

    Each quarter is computed from its own anchor, so the bits are those of the live side.

    Parameters
    ----------
    bars
        All there is of the symbol, or at least from the first quarter's anchor on.
    features
        Entries of the catalogue.

    Raises
    ------
    NotFound
        If a feature's input is absent from the bars.
    """
    require_inputs(features, bars.inputs)
    result = {f.name: np.full(len(bars), np.nan, dtype=np.float32) for f in features}
    for period in periods(bars.closed_at_ns):
        for name, values in compute_period(bars, features, period).items():
            result[name][period.start : period.end] = values
    return result


def compute_period(
    bars: BarArrays, features: Sequence[Feature], period: Period
) -> dict[str, Vector]:
    """Return every feature over one quarter's bars; the unit in which work is split.

    Parameters
    ----------
    bars
        As for `compute_batch`.
    features
        Entries whose inputs the bars have.
    period
        One of `periods` of the bars.
    """
    program = Program(features)
    arrays = program.evaluate(bars.part(period.anchor, period.end), keep=False)
    skipped = period.start - period.anchor
    return {
        feature.name: np.asarray(arrays[place][skipped:], dtype=np.float32)
        for feature, place in zip(features, program.outputs, strict=True)
    }


class FeatureStream:
    """Features of one symbol and timeframe, bar by bar.

    Parameters
    ----------
    history
        Bars before the first update: from the anchor of their last quarter on, and at least the
        last `WARM_UP_BARS`; less where the symbol has no more. More changes nothing.
    features
        Entries of the catalogue, in the order of the vectors.

    Attributes
    ----------
    names : tuple of str
        Of the vector's places.
    closed_at_ns : int or None
        Stamp of the last bar seen.
    """

    def __init__(self, history: BarArrays, features: Sequence[Feature]) -> None:
        self._program = Program(features)
        self.names = tuple(f.name for f in features)
        self.closed_at_ns: int | None = None
        self._quarter_end_ns: int | None = None
        self._recent: deque[Bar] = deque(maxlen=WARM_UP_BARS)
        self._values: list[Any] = []
        self._steps: list[tuple[int, Callable[[], Any]]] = []
        self._sources: list[tuple[int, str]] = []
        if len(history):
            *_, last = periods(history.closed_at_ns)
            recent = range(max(0, len(history) - WARM_UP_BARS), len(history))
            self._recent.extend(history.bar(i) for i in recent)
            self._open(history.part(last.anchor, len(history)), last.quarter)
            self.closed_at_ns = int(history.closed_at_ns[-1])

    def update(self, bar: Bar) -> Vector:
        """Take the next closed bar and return its vector, float32 of shape ``(n_features,)``.

        Raises
        ------
        InvalidMarketData
            With code ``BAR_NOT_NEWER`` if the bar is not after the last one.
        """
        if self.closed_at_ns is not None and bar.closed_at_ns <= self.closed_at_ns:
            raise InvalidMarketData(
                f"bar {bar.closed_at_ns} is not after the last one, {self.closed_at_ns}",
                code="BAR_NOT_NEWER",
            )
        if self._quarter_end_ns is None or bar.closed_at_ns > self._quarter_end_ns:
            self._open(BarArrays.from_rows(list(self._recent)), quarter_of(bar.closed_at_ns))
        values = self._values
        for place, name in self._sources:
            values[place] = getattr(bar, name)
        for place, step in self._steps:
            values[place] = step()
        self.closed_at_ns = bar.closed_at_ns
        self._recent.append(bar)
        return np.array([values[place] for place in self._program.outputs], dtype=np.float32)

    def _open(self, anchored: BarArrays, quarter: int) -> None:
        """Open every node at the anchor of `quarter` and bring it to the last bar."""
        program = self._program
        arrays = program.evaluate(anchored, keep=True)
        self._quarter_end_ns = quarter_end_ns(quarter)
        values: list[Any] = [None] * len(program.nodes)
        self._values = values
        self._steps = []
        self._sources = []
        for place, (node, used) in enumerate(zip(program.nodes, program.inputs, strict=True)):
            if isinstance(node, Source):
                self._sources.append((place, node.text))
            elif isinstance(node, Constant):
                values[place] = node.batch()
            else:
                step = node.open(*(arrays[i] for i in used))
                self._steps.append((place, _bind(step, values, used)))


def _bind(step: Callable[..., Any], values: list[Any], used: tuple[int, ...]) -> Callable[[], Any]:
    """Return `step` reading its inputs from their places in `values`."""
    match used:
        case (a,):
            return lambda: step(values[a])
        case (a, b):
            return lambda: step(values[a], values[b])
        case (a, b, c):
            return lambda: step(values[a], values[b], values[c])
        case _:
            return lambda: step(*(values[i] for i in used))
