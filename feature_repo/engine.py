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

from feature_repo.anchors import WARM_UP_BARS, periods, quarter_end_ns, quarter_of
from feature_repo.bars import BarArrays, Floats
from feature_repo.feature import Feature
from feature_repo.nodes import Arithmetic, Constant, Node, Source
from online.domain.errors import InvalidMarketData, NotFound
from online.domain.market import Bar
from online.domain.microstructure import MICROSTRUCTURE

Vector = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float32]


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
        self._last_use = {i: at for at, used in enumerate(self.inputs) for i in used}
        self._rows: dict[int, list[int]] = {}
        for row, place in enumerate(self.outputs):
            self._rows.setdefault(place, []).append(row)

    def _add(self, node: Node) -> None:
        if node.text in self._place:
            return
        for each in node.inputs:
            self._add(each)
        self._place[node.text] = len(self.nodes)
        self.nodes.append(node)

    def evaluate(self, bars: BarArrays) -> list[Any]:
        """Return every node's array over `bars`, taken as opened at the first of them.

        Parameters
        ----------
        bars
            From the anchor on.
        """
        arrays: list[Any] = [None] * len(self.nodes)
        for at, (node, used) in enumerate(zip(self.nodes, self.inputs, strict=True)):
            if isinstance(node, Source):
                arrays[at] = bars.column(node.text)
            else:
                arrays[at] = node.batch(*(arrays[i] for i in used))
        return arrays

    def compute(self, bars: BarArrays, skipped: int, out: Matrix) -> None:
        """Write the features from bar `skipped` on into `out`, with little memory.

        What nobody needs any more is written over: fresh memory costs more than most sums.

        Parameters
        ----------
        bars
            From the anchor on.
        skipped
            Leading bars that are left out of the result.
        out
            float32 of shape ``(n_features, n_bars - skipped)``.
        """
        arrays: list[Any] = [None] * len(self.nodes)
        free: list[Floats] = []
        for at, (node, used) in enumerate(zip(self.nodes, self.inputs, strict=True)):
            inputs = [arrays[i] for i in used]
            if isinstance(node, Source):
                arrays[at] = bars.column(node.text)
            elif isinstance(node, Arithmetic):
                arrays[at] = node.batch(*inputs, out=free.pop() if free else None)
            else:
                arrays[at] = node.batch(*inputs)
            for row in self._rows.get(at, ()):
                out[row] = arrays[at][skipped:]
            for i in (*used, at):
                if self._last_use.get(i, i) == at:
                    if self.nodes[i].makes_fresh_arrays and isinstance(arrays[i], np.ndarray):
                        free.append(arrays[i])
                    arrays[i] = None


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
    return compute_from(bars, features, 0)


def compute_from(bars: BarArrays, features: Sequence[Feature], start: int) -> dict[str, Vector]:
    """Return every feature from bar `start` on, float32 of shape ``(n_bars - start,)``.

    Only the quarters from that of `start` on are computed.

    Parameters
    ----------
    bars
        As for `compute_batch`.
    features
        Entries whose inputs the series has, if not these very bars.
    start
        First bar whose values are wanted.
    """
    program = Program(features)
    block: Matrix = np.empty((len(features), len(bars) - start), dtype=np.float32)
    for period in periods(bars.closed_at_ns):
        if period.end <= start:
            continue
        begin = max(period.start, start)
        anchored = bars.part(period.anchor, period.end)
        program.compute(
            anchored, begin - period.anchor, block[:, begin - start : period.end - start]
        )
    return dict(zip((f.name for f in features), block, strict=True))


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
        self._quotes_needed = sorted({n.text for n in self._program.nodes} & set(MICROSTRUCTURE))
        self._values: list[Any] = []
        self._steps: list[tuple[int, Callable[[], Any]]] = []
        self._sources: list[tuple[int, str]] = []
        self._told: list[tuple[int, str]] = []
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
        NotFound
            With code ``FEATURE_INPUT_ABSENT`` if the features read quotes and it was not made of
            any.
        """
        if self.closed_at_ns is not None and bar.closed_at_ns <= self.closed_at_ns:
            raise InvalidMarketData(
                f"bar {bar.closed_at_ns} is not after the last one, {self.closed_at_ns}",
                code="BAR_NOT_NEWER",
            )
        if self._quotes_needed and bar.microstructure is None:
            raise NotFound(
                f"bar {bar.closed_at_ns} has no {', '.join(self._quotes_needed)}: it was not made "
                "of quotes",
                code="FEATURE_INPUT_ABSENT",
                remedy="Stream bars made of quotes, or ask for no feature of them.",
            )
        if self._quarter_end_ns is None or bar.closed_at_ns > self._quarter_end_ns:
            self._open(BarArrays.from_rows(list(self._recent)), quarter_of(bar.closed_at_ns))
        values = self._values
        for place, name in self._sources:
            values[place] = getattr(bar, name)
        for place, name in self._told:
            values[place] = getattr(bar.microstructure, name)
        for place, step in self._steps:
            values[place] = step()
        self.closed_at_ns = bar.closed_at_ns
        self._recent.append(bar)
        return np.array([values[place] for place in self._program.outputs], dtype=np.float32)

    def _open(self, anchored: BarArrays, quarter: int) -> None:
        """Open every node at the anchor of `quarter` and bring it to the last bar."""
        program = self._program
        arrays = program.evaluate(anchored)
        self._quarter_end_ns = quarter_end_ns(quarter)
        values: list[Any] = [None] * len(program.nodes)
        self._values = values
        self._steps = []
        self._sources = []
        self._told = []
        for place, (node, used) in enumerate(zip(program.nodes, program.inputs, strict=True)):
            if isinstance(node, Source):
                where = self._told if node.text in MICROSTRUCTURE else self._sources
                where.append((place, node.text))
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
