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
        self._stamps_ns: list[int] = stamps_ns.tolist()
        self._columns = columns
        self._clock = clock
        self._row = -1
        self._block = -1
        self._rows: list[tuple[float | None, ...]] = []
        self._vectors: npt.NDArray[np.float32] = np.empty((0, 0), np.float32)
        self._contract: VectorContract | None = None

    async def read(self, symbol: str, contract: VectorContract) -> VectorReading:  # noqa: ARG002
        """Return the newest row; one symbol is held, so it is not looked at."""
        if contract is not self._contract:
            self._contract, self._block = contract, -1
            if contract.window is not None:
                windowed = [self._columns[name] for name in contract.window.features]
                self._vectors = np.stack(windowed, axis=1)
        stamps_ns, now_ns, row = self._stamps_ns, self._clock.now_ns(), self._row
        if row + 1 < len(stamps_ns) and stamps_ns[row + 1] <= now_ns:
            row = self._row = self._newest(now_ns)
        if row < 0:
            return VectorReading((None,) * len(contract.names), (None,) * len(contract.views))
        block, place = divmod(row, _BLOCK_ROWS)
        if block != self._block:
            self._open(block, contract)
        values, stamp_ns = self._rows[place], stamps_ns[row]
        if contract.window is None:
            return VectorReading(values, (stamp_ns,) * len(contract.views))
        packed = pack_last(self._vectors[: row + 1], contract.window.length)
        stamp = None if packed is None else stamp_ns  # Redis then holds none, or an older bar's
        return VectorReading(values, (stamp_ns,) * len(contract.views), packed, stamp)

    def _newest(self, now_ns: int) -> int:
        """Return the place of the newest row behind the last one; mostly it is the next."""
        stamps_ns, upcoming = self._stamps_ns, self._row + 1
        if upcoming + 1 == len(stamps_ns) or now_ns < stamps_ns[upcoming + 1]:
            return upcoming
        return bisect_right(stamps_ns, now_ns, upcoming) - 1

    def _open(self, block: int, contract: VectorContract) -> None:
        """Turn some rows into tuples: all at once they would need many times the arrays' memory."""
        part = slice(block * _BLOCK_ROWS, (block + 1) * _BLOCK_ROWS)
        matrix = np.stack([self._columns[name][part] for name in contract.names], axis=1)
        self._rows = list(map(tuple, matrix.tolist()))
        for place in np.flatnonzero(np.isnan(matrix).any(axis=1)).tolist():
            row = self._rows[place]
            self._rows[place] = tuple([None if math.isnan(value) else value for value in row])  # type: ignore[arg-type] # no None yet
        self._block = block
