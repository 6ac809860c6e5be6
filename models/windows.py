"""Windows of a dataset: what sequence models read, kept as the vectors that the windows share.

A window of 32 vectors shares 31 of them with the next one. Packed as the store holds them, a year
of minutes takes gigabytes; as vectors and ends, the size of the vectors. Nothing is lost: the
windows that are given out have the bytes that were taken in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from models.labels import Rows
from online.domain.errors import InvalidInput, InvalidMarketData

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Windows:
    """One window a row.

    Parameters
    ----------
    names
        Feature names of a vector, in order.
    length
        Vectors in a window (> 0).
    vectors
        Float32 of shape ``(n_vectors, n_features)``; those of one window follow each other.
    ends
        Place of each row's last vector, shape ``(n_rows,)``.
    """

    names: tuple[str, ...]
    length: int
    vectors: Values
    ends: Rows

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.ends)

    def __getitem__(self, rows: Rows) -> Values:
        """Return the windows of `rows`, float32 of shape ``(n, length, n_features)``."""
        return self.vectors[self.places(rows)]

    def places(self, rows: Rows) -> Rows:
        """Return where the vectors of the windows of `rows` are, shape ``(n, length)``."""
        return self.ends[rows][:, None] + np.arange(1 - self.length, 1)

    def take(self, rows: Rows) -> Windows:
        """Return the windows of `rows` alone; the vectors are shared."""
        return replace(self, ends=self.ends[rows])

    def last(self) -> Values:
        """Return each row's last vector, shape ``(n_rows, n_features)``."""
        return self.vectors[self.ends]

    @property
    def digest(self) -> str:
        """SHA-256 of all vectors and of which windows they make, hexadecimal."""
        running = hashlib.sha256(f"{self.length} {','.join(self.names)}".encode())
        running.update(np.ascontiguousarray(self.vectors).tobytes())
        running.update(np.ascontiguousarray(self.ends).tobytes())
        return running.hexdigest()


Inputs = Values | Windows
"""What members score, one item a row: vectors ``(n_rows, n_features)``, or windows."""


def join_windows(
    chunks: Iterable[Sequence[bytes | None]], names: Sequence[str], length: int
) -> tuple[Rows, Windows]:
    """Take packed windows in, in order of time.

    Parameters
    ----------
    chunks
        Packed windows, or None where there is none, some rows at a time.
    names, length
        Of every window.

    Returns
    -------
    rows : ndarray
        Those that have a window, counted over all chunks.
    windows : Windows
        One for each of `rows`.

    Raises
    ------
    InvalidMarketData
        With code ``WINDOW_SIZE`` if one has other than the bytes of `length` vectors.
    InvalidInput
        With code ``NO_WINDOWS`` if there is none at all.
    """
    vectors: list[Values] = []
    rows: list[int] = []
    ends: list[Rows] = []
    seen, held = 0, 0
    before: Values | None = None
    for chunk in chunks:
        known = [place for place, cell in enumerate(chunk) if cell is not None]
        rows += [seen + place for place in known]
        seen += len(chunk)
        if not known:
            continue
        table = _unpack([chunk[place] for place in known], len(names), length)
        fresh = _fresh(table, before)
        vectors += [table[i] if new else table[i, -1:] for i, new in enumerate(fresh.tolist())]
        ends.append(held - 1 + np.cumsum(np.where(fresh, length, 1)))
        held, before = int(ends[-1][-1]) + 1, table[-1]
    if not vectors:
        raise InvalidInput(
            f"no window of {length} vectors is stored for these bars",
            code="NO_WINDOWS",
            remedy="Store them with `sextant features`; a window needs that many bars.",
        )
    joined = Windows(tuple(names), length, np.concatenate(vectors), np.concatenate(ends))
    return np.array(rows, dtype=np.int64), joined


def _unpack(cells: Sequence[bytes | None], n_features: int, length: int) -> Values:
    """Return packed windows as float32 of shape ``(n, length, n_features)``."""
    n_bytes = 4 * length * n_features
    for cell in cells:
        if cell is None or len(cell) != n_bytes:
            raise InvalidMarketData(
                f"a window of {length} vectors of {n_features} features has {n_bytes} bytes, the "
                f"store holds {0 if cell is None else len(cell)}",
                code="WINDOW_SIZE",
                remedy="Store it again with `sextant features`.",
            )
    flat = np.frombuffer(b"".join(cell for cell in cells if cell is not None), dtype="<f4")
    return flat.reshape(-1, length, n_features).astype(np.float32)


def _fresh(table: Values, before: Values | None) -> npt.NDArray[np.bool_]:
    """Tell which windows do not go on, bit for bit, where the one before them ended."""
    bits = table.view(np.uint32)
    fresh = np.ones(len(table), dtype=np.bool_)
    fresh[1:] = (bits[1:, :-1] != bits[:-1, 1:]).any(axis=(1, 2))
    if before is not None:
        fresh[0] = bool((bits[0, :-1] != before.view(np.uint32)[1:]).any())
    return fresh
