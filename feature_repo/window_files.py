"""The offline store's windows: ``<view>/symbol=EURUSD/2017-Q3.parquet``, made of stored vectors.

A quarter's first windows reach into the quarters before, so windows are made once the vectors of
all quarters are stored, from what is stored: what a sequence model reads is what the others read.
A file remembers the digest of those vectors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.anchors import Period, periods
from feature_repo.bars import Stamps
from feature_repo.catalogue import groups, view_name
from feature_repo.feature import Feature
from feature_repo.offline_files import DIGEST, digest_of_file, period_file, writing
from feature_repo.window import pack_each
from feature_repo.windows import Window
from online.domain.market import Timeframe

_BATCH_BYTES = 16 * 1024**2
"""Packed windows held at once."""


def read_vectors(
    offline_root: Path,
    symbol: str,
    timeframe: Timeframe,
    features: Sequence[Feature],
    stamps_ns: Stamps,
) -> npt.NDArray[np.float32]:
    """Return the stored vectors of some bars, NaN where none is stored, ``(n_bars, n_features)``.

    Parameters
    ----------
    offline_root
        Folder of the offline store.
    symbol, timeframe
        Whose.
    features
        In the order of the columns.
    stamps_ns
        The bars' closes, nanoseconds UTC, increasing.
    """
    table = np.full((len(stamps_ns), len(features)), np.nan, dtype=np.float32)
    place = {feature.name: at for at, feature in enumerate(features)}
    for group, members in groups(features).items():
        view, names = view_name(timeframe, group), [feature.name for feature in members]
        for period in periods(stamps_ns):
            file = period_file(offline_root, symbol, view, period)
            if not file.is_file():
                continue
            stored = pq.read_table(file, columns=["event_timestamp", *names])
            held_ns = stored["event_timestamp"].cast(pa.int64()).to_numpy() * 1000
            rows = np.searchsorted(stamps_ns, held_ns)
            known = rows < len(stamps_ns)
            known[known] = stamps_ns[rows[known]] == held_ns[known]
            for name in names:
                table[rows[known], place[name]] = stored[name].to_numpy()[known]
    return table


def write_windows(
    offline_root: Path,
    symbol: str,
    timeframe: Timeframe,
    window: Window,
    stamps_ns: Stamps,
    period: Period,
) -> bool:
    """Bring a quarter's windows to the stored vectors; tell whether work was needed.

    Parameters
    ----------
    offline_root, symbol, timeframe
        As for `read_vectors`.
    window
        What is made.
    stamps_ns
        All bars of the series, nanoseconds UTC, shape ``(n_bars,)``.
    period
        The quarter within them.
    """
    first = max(0, period.start - window.length + 1)
    stamps = stamps_ns[first : period.end]
    vectors = read_vectors(offline_root, symbol, timeframe, window.entries(timeframe), stamps)
    asked = window.contract(timeframe)
    digest = _digest(asked.view, window.length, asked.features, stamps, vectors)
    file = period_file(offline_root, symbol, asked.view, period)
    if digest_of_file(file) == digest:
        return False
    schema = pa.schema(
        [("event_timestamp", pa.timestamp("us", tz="UTC")), (asked.field, pa.binary())],
        metadata={DIGEST: digest.encode()},
    )
    lead = period.start - first
    with writing(file) as sink, pq.ParquetWriter(sink, schema, use_dictionary=False) as writer:
        for batch in _batches(stamps, vectors, window.length, lead, schema):
            writer.write_batch(batch)
    return True


def remove_other_windows(
    offline_root: Path,
    symbol: str,
    timeframe: Timeframe,
    window: Window,
    kept: Sequence[Period],
) -> None:
    """Remove the symbol's windows of quarters that no longer have bars."""
    labels = {period.label for period in kept}
    folder = offline_root / window.view_name(timeframe) / f"symbol={symbol}"
    for file in folder.glob("*.parquet"):
        if file.stem not in labels:
            file.unlink()


def _batches(
    stamps_ns: Stamps,
    vectors: npt.NDArray[np.float32],
    length: int,
    lead: int,
    schema: pa.Schema,
) -> Iterator[pa.RecordBatch]:
    """Yield the windows that end after the first `lead` bars, a bounded number at a time."""
    room = max(1, _BATCH_BYTES // (4 * length * vectors.shape[1]))
    ends: list[int] = []
    cells: list[bytes] = []

    def batch() -> pa.RecordBatch:
        stamps = pa.array(stamps_ns[ends] // 1000).cast(schema.field(0).type)
        return pa.record_batch([stamps, pa.array(cells, pa.binary())], schema=schema)

    for end, packed in pack_each(vectors, length):
        if end < lead:
            continue
        ends.append(end)
        cells.append(packed)
        if len(ends) == room:
            yield batch()
            ends.clear()
            cells.clear()
    if ends:
        yield batch()


def _digest(
    view: str,
    length: int,
    names: Sequence[str],
    stamps_ns: Stamps,
    vectors: npt.NDArray[np.float32],
) -> str:
    """Return the SHA-256 of everything that a quarter's windows are made of."""
    running = hashlib.sha256(f"{view} {length} {','.join(names)}".encode())
    running.update(np.ascontiguousarray(stamps_ns).tobytes())
    clean = np.where(np.isnan(vectors), np.float32(np.nan), vectors)
    running.update(np.ascontiguousarray(clean).tobytes())
    return running.hexdigest()
