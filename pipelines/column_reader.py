"""Features from batch columns, read as the online store is read: the newest row of a symbol."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from feature_repo.window import pack_last
from online.domain.vector import VectorContract, VectorReading
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
        self._first = self._end = 0
        self._rows: list[tuple[float | None, ...]] = []
        self._vectors: npt.NDArray[np.float32] = np.empty((0, 0), np.float32)
        self._contract: VectorContract | None = None
        self._n_views = 0

    async def read(self, symbol: str, contract: VectorContract) -> VectorReading:  # noqa: ARG002
        """Return the newest row; one symbol is held, so it is not looked at."""
        if contract is not self._contract:
            self._adopt(contract)
        now_ns = self._clock.now_ns()
        if self._next_ns <= now_ns:
            self._advance(now_ns)
        row = self._row
        if row < 0:
            return VectorReading((None,) * len(contract.names), (None,) * self._n_views)
        if not self._first <= row < self._end:
            self._open(row, contract)
        values, stamp_ns = self._rows[row - self._first], self._stamps_ns[row]
        if contract.window is None:
            return VectorReading(values, (stamp_ns,) * self._n_views)
        packed = pack_last(self._vectors[: row + 1], contract.window.length)
        stamp = None if packed is None else stamp_ns  # Redis then holds none, or an older bar's
        return VectorReading(values, (stamp_ns,) * self._n_views, packed, stamp)

    def _adopt(self, contract: VectorContract) -> None:
        self._contract, self._n_views = contract, len(contract.views)
        self._first = self._end = 0
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
        """Turn some rows into tuples: all at once they would need many times the arrays' memory."""
        first = row - row % _BLOCK_ROWS
        columns = [self._columns[name][first : first + _BLOCK_ROWS] for name in contract.names]
        self._rows = list(zip(*[column.tolist() for column in columns], strict=True))
        missing = np.logical_or.reduce([np.isnan(column) for column in columns])
        for place in np.flatnonzero(missing).tolist():
            values = self._rows[place]
            self._rows[place] = tuple([None if math.isnan(value) else value for value in values])  # type: ignore[arg-type] # no None yet
        self._first, self._end = first, first + _BLOCK_ROWS
