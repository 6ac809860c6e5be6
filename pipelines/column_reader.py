"""Features from batch columns, read as the online store is read: the newest row of a symbol."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from feature_repo.window import pack_last
from online.domain.vector import VectorContract, VectorReading
from online.domain.window import WindowContract
from online.ports import Clock

_BLOCK_ROWS = 4096
_NEVER_NS = 2**63 - 1


class ColumnReader:
    """Feature reader over batch columns: at any instant it holds the newest row, as Redis does.

    Parameters
    ----------
    stamps_ns
        Bar closes, shape ``(n_bars,)``, increasing.
    columns
        Float32 of shape ``(n_bars,)`` by feature name.
    clock
        Tells which row is the newest.
    """

    def __init__(
        self,
        stamps_ns: npt.NDArray[np.int64],
        columns: Mapping[str, npt.NDArray[np.float32]],
        clock: Clock,
    ) -> None:
        self._stamps_ns: list[int] = [*stamps_ns.tolist(), _NEVER_NS]
        self._columns = columns
        self._clock = clock
        self._row = -1
        self._next_ns = self._stamps_ns[0]
        self._first = self._n_readings = 0
        self._readings: list[VectorReading] = []
        self._vectors: npt.NDArray[np.float32] = np.empty((0, 0), np.float32)
        self._contract: VectorContract | None = None

    async def read(self, symbol: str, contract: VectorContract) -> VectorReading:  # noqa: ARG002
        """Return the newest row; one symbol is held, so it is not looked at."""
        if contract is not self._contract:
            self._adopt(contract)
        now_ns = self._clock.now_ns()
        if self._next_ns <= now_ns:
            self._advance(now_ns)
        place = self._row - self._first
        if not 0 <= place < self._n_readings:
            return self._read_elsewhere(contract)
        reading = self._readings[place]
        return reading if contract.window is None else self._with_window(reading, contract.window)

    def _read_elsewhere(self, contract: VectorContract) -> VectorReading:
        """Return a row that is not at hand and keep its neighbours; before the first, nothing."""
        if self._row < 0:
            return VectorReading((None,) * len(contract.names), (None,) * len(contract.views))
        self._open(self._row, contract)
        reading = self._readings[self._row - self._first]
        return reading if contract.window is None else self._with_window(reading, contract.window)

    def _with_window(self, reading: VectorReading, window: WindowContract) -> VectorReading:
        packed = pack_last(self._vectors[: self._row + 1], window.length)
        stamp_ns = None if packed is None else self._stamps_ns[self._row]  # Redis: none, or older
        return VectorReading(reading.values, reading.stamps_ns, packed, stamp_ns)

    def _adopt(self, contract: VectorContract) -> None:
        self._contract = contract
        self._n_readings = 0
        if contract.window is not None:
            windowed = [self._columns[name] for name in contract.window.features]
            self._vectors = np.stack(windowed, axis=1)

    def _advance(self, now_ns: int) -> None:
        """Go to the newest row; mostly it is the next."""
        row, stamps_ns = self._row + 1, self._stamps_ns
        if stamps_ns[row + 1] <= now_ns:
            row = bisect_right(stamps_ns, now_ns, row + 1) - 1
        self._row, self._next_ns = row, stamps_ns[row + 1]

    def _open(self, row: int, contract: VectorContract) -> None:
        """Read some rows ahead: all at once they would need many times the arrays' memory."""
        first = row - row % _BLOCK_ROWS
        columns = [self._columns[name][first : first + _BLOCK_ROWS] for name in contract.names]
        rows = list(zip(*[column.tolist() for column in columns], strict=True))
        missing = np.logical_or.reduce([np.isnan(column) for column in columns])
        for place in np.flatnonzero(missing).tolist():
            rows[place] = tuple([None if math.isnan(value) else value for value in rows[place]])
        stamps_ns = self._stamps_ns[first : first + len(rows)]
        views = zip(*[stamps_ns] * len(contract.views), strict=True)
        self._readings = list(map(VectorReading, rows, views))
        self._first, self._n_readings = first, len(rows)
