"""The offline store's files: ``<view>/symbol=EURUSD/2017-Q3.parquet``, each replaced as a whole.

A file holds one view's rows of one quarter, from the first bar of the series at which every feature
of the view has a value. It remembers the digest of what it was computed from, so that work already
done is recognised.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.anchors import Period
from feature_repo.bars import Stamps
from feature_repo.catalogue import entries, groups, view_name
from feature_repo.engine import Vector
from feature_repo.feature import Feature, Group
from feature_repo.panel import Panel
from feature_repo.transform import transform_fingerprint
from online.domain.errors import InvalidInput
from online.domain.market import Timeframe
from online.domain.microstructure import MICROSTRUCTURE

DIGEST = b"sextant.digest"
"""Where a file remembers what it was computed from."""
_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._#-]*")


def period_digest(part: Panel, period: Period, features: Sequence[Feature]) -> str:
    """Return the SHA-256 of everything a quarter's features are computed from.

    Parameters
    ----------
    part, period
        As `feature_repo.vector.needed` gives them.
    features
        Entries of the catalogue.
    """
    reads_quotes = any(not f.inputs.isdisjoint(MICROSTRUCTURE) for f in features)
    reads_volume = any("volume" in f.inputs for f in features)
    fingerprint = transform_fingerprint((f.name for f in features), part.timeframe, part.symbol)
    running = hashlib.sha256(fingerprint.encode())
    running.update(f"{period.quarter} {period.start}".encode())
    for symbol in (part.symbol, *sorted(part.others)):
        bars = part.bars[symbol]
        running.update(f"{symbol} {len(bars)}".encode())
        volume = bars.volume if reads_volume else np.full(len(bars), np.nan)
        for column in (bars.closed_at_ns, bars.open, bars.high, bars.low, bars.close, volume):
            running.update(np.ascontiguousarray(column).tobytes())
        if bars.microstructure is not None and reads_quotes:
            running.update(np.ascontiguousarray(bars.microstructure).tobytes())
    return running.hexdigest()


def is_current(
    offline_root: Path,
    symbol: str,
    timeframe: Timeframe,
    period: Period,
    features: Sequence[Feature],
    digest: str,
) -> bool:
    """Tell whether every view's file of a quarter was computed from `digest`."""
    return all(
        digest_of_file(period_file(offline_root, symbol, view_name(timeframe, group), period))
        == digest
        for group in groups(features)
    )


def write_period(
    offline_root: Path,
    symbol: str,
    timeframe: Timeframe,
    period: Period,
    stamps_ns: Stamps,
    features: Sequence[Feature],
    values: Mapping[str, Vector],
    digest: str,
    begun: Collection[Group] = (),
) -> int:
    """Write a quarter's features and return how many rows were written over all views.

    Rows in which a feature of the view is still warming up are left out. A value that is missing
    later, because a peer is silent, is kept as missing: a join must not find an older one instead.

    Parameters
    ----------
    offline_root
        Folder of the offline store.
    symbol, timeframe, period
        What it is of.
    stamps_ns
        The quarter's bars, nanoseconds UTC, shape ``(n_bars,)``.
    features, values
        Entries, and each one's values of shape ``(n_bars,)``.
    digest
        Of what they were computed from.
    begun
        Views that had whole rows before the quarter.

    Raises
    ------
    InvalidInput
        If the symbol cannot name a folder or a stamp has parts of a microsecond.
    """
    if not _SYMBOL.fullmatch(symbol):
        raise InvalidInput(f"a symbol has letters, digits and . _ # - only, got {symbol!r}")
    if bool(np.any(stamps_ns % 1000)):
        raise InvalidInput("bars close on whole microseconds, which is what Feast can store")
    stamps = pa.array(stamps_ns // 1000).cast(pa.timestamp("us", tz="UTC"))
    rows = 0
    for group, members in groups(features).items():
        warm = np.all([np.isfinite(values[f.name]) for f in members], axis=0)
        began = np.ones_like(warm) if group in begun else np.logical_or.accumulate(warm)
        table = pa.table(
            {"event_timestamp": stamps, **{f.name: pa.array(values[f.name]) for f in members}},
            metadata={DIGEST: digest.encode()},
        ).filter(pa.array(began))
        with writing(period_file(offline_root, symbol, view_name(timeframe, group), period)) as to:
            pq.write_table(table, to)
        rows += table.num_rows
    return rows


def remove_other_periods(
    offline_root: Path,
    symbol: str,
    timeframe: Timeframe,
    features: Sequence[Feature],
    kept: Sequence[Period],
) -> None:
    """Remove the symbol's files of quarters without bars, and of views not served any more.

    Views of an earlier version stay: models that were fitted on them still read them.
    """
    labels, served = {period.label for period in kept}, groups(features)
    for group in groups(entries(timeframe)):
        folder = offline_root / view_name(timeframe, group) / f"symbol={symbol}"
        for file in folder.glob("*.parquet"):
            if group not in served or file.stem not in labels:
                file.unlink()


def period_file(offline_root: Path, symbol: str, view: str, period: Period) -> Path:
    """Return where a view's rows of a quarter are."""
    return offline_root / view / f"symbol={symbol}" / f"{period.label}.parquet"


def digest_of_file(file: Path) -> str | None:
    """Return the digest of what a file was computed from; None if it does not tell.

    A file that is no whole Parquet tells nothing, so that it is made anew.
    """
    if not file.is_file():
        return None
    try:
        found = (pq.read_schema(file).metadata or {}).get(DIGEST)
    except (pa.ArrowInvalid, OSError):
        return None
    return found.decode() if found else None


@contextmanager
def writing(file: Path) -> Iterator[BinaryIO]:
    """Open a file that replaces `file` whole when it is written, or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        with partial.open("wb") as sink:
            yield sink
            sink.flush()
            os.fsync(sink.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
