"""Windows: the last vectors as one packed array, the same bytes for training and live.

Packed, a window is its float32 values, little-endian, oldest vector first. Only complete windows
exist: none is made while a feature is warming up. `pack_last` makes every one of them, whether the
vectors come from a stream, from a backtest's columns or from the offline store.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from feature_repo.engine import Vector
from online.domain.errors import InvalidInput

Windows = npt.NDArray[np.float32]


def make_windows(vectors: Windows, length: int) -> tuple[npt.NDArray[np.int64], Windows]:
    """Return every complete window.

    Parameters
    ----------
    vectors
        float32 of shape ``(n_bars, n_features)``, oldest first.
    length
        Bars in a window (> 0).

    Returns
    -------
    ends : ndarray
        Index of each window's last bar, ``(n_windows,)``.
    windows : ndarray
        float32 of shape ``(n_windows, length, n_features)``, a view where nothing is missing.
    """
    _require_length(length)
    if len(vectors) < length:
        return np.empty(0, np.int64), np.empty((0, length, vectors.shape[1]), np.float32)
    whole = np.isfinite(vectors).all(axis=1)
    known = np.convolve(whole, np.ones(length, np.int64), "valid") == length
    windows = np.lib.stride_tricks.sliding_window_view(vectors, length, axis=0)
    ends = np.arange(length - 1, len(vectors), dtype=np.int64)
    return ends[known], windows.transpose(0, 2, 1)[known]


def pack_last(vectors: Windows, length: int) -> bytes | None:
    """Return the window of the last vector; None where it is incomplete or not finite.

    Parameters
    ----------
    vectors
        float32 of shape ``(n_bars, n_features)``, oldest first.
    length
        Bars in the window (> 0).
    """
    last = vectors[-length:]
    return pack(last) if len(last) == length and bool(np.isfinite(last).all()) else None


def pack_each(vectors: Windows, length: int) -> Iterator[tuple[int, bytes]]:
    """Yield the index of each complete window's last bar, and the window packed.

    Parameters
    ----------
    vectors, length
        As for `make_windows`.
    """
    ends, _ = make_windows(vectors, length)
    for end in ends.tolist():
        packed = pack_last(vectors[: end + 1], length)
        if packed is not None:
            yield end, packed


def pack(window: Windows) -> bytes:
    """Return a window of shape ``(length, n_features)`` as bytes."""
    return np.ascontiguousarray(window, dtype="<f4").tobytes()


def unpack(packed: bytes, names: Sequence[str]) -> Windows:
    """Return the window that `pack` packed, shape ``(length, n_features)``.

    Raises
    ------
    InvalidInput
        With code ``WINDOW_SIZE`` if the bytes are no whole number of vectors.

    Examples
    --------
    >>> unpack(pack(np.ones((3, 2), np.float32)), ["a", "b"]).shape
    (3, 2)
    """
    row_bytes = 4 * len(names)
    if not names or len(packed) % row_bytes:
        raise InvalidInput(
            f"a window of {len(names)} features has a multiple of {row_bytes} bytes, "
            f"got {len(packed)}",
            code="WINDOW_SIZE",
        )
    return np.frombuffer(packed, dtype="<f4").reshape(-1, len(names)).astype(np.float32)


class WindowStream:
    """The last vectors, live.

    Parameters
    ----------
    length
        Bars in a window (> 0).
    history
        Vectors so far, float32 of shape ``(n_bars, n_features)``, as the batch computed them from
        the lake; the last ``length - 1`` are enough.
    """

    def __init__(self, length: int, history: Windows) -> None:
        _require_length(length)
        self._vectors: deque[Vector] = deque(maxlen=length)
        for vector in history[-length:]:
            self._vectors.append(vector)

    def update(self, vector: Vector) -> bytes | None:
        """Take the next bar's vector; return the packed window, None while it is incomplete."""
        self._vectors.append(vector)
        return pack_last(np.stack(self._vectors), self._vectors.maxlen or 0)


class WindowStreams:
    """Every window of a vector, live.

    Parameters
    ----------
    windows
        Length and feature names by what the window is called.
    names
        Of the vectors' places.
    history
        Vectors so far, as for `WindowStream`, of shape ``(n_bars, n_names)``.
    """

    def __init__(
        self,
        windows: Mapping[str, tuple[int, Sequence[str]]],
        names: Sequence[str],
        history: Windows,
    ) -> None:
        self._streams = {}
        for called, (length, wanted) in windows.items():
            places = [names.index(name) for name in wanted]
            self._streams[called] = (places, WindowStream(length, history[:, places]))

    def update(self, vector: Vector) -> dict[str, bytes | None]:
        """Take the next bar's vector; return every packed window, None where incomplete."""
        return {
            called: stream.update(vector[places])
            for called, (places, stream) in self._streams.items()
        }


def _require_length(length: int) -> None:
    if length < 1:
        raise InvalidInput(f"a window holds at least one bar, got {length}")
