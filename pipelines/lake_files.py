"""One month of bars in one Parquet file: written whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from online.domain.errors import InvalidInput, Unavailable
from online.domain.market import PriceSide
from pipelines.sources.raw import MEASURES, MICROSTRUCTURE

SCHEMA_VERSION = 3
_READABLE_VERSIONS = ("1", "2", "3")  # 1 has no microstructure, 2 some of it; absent is NaN
ROW_SCHEMA = pa.schema(
    [
        pa.field("closed_at_ns", pa.int64(), nullable=False),
        *(pa.field(name, pa.float64(), nullable=False) for name in (*MEASURES, *MICROSTRUCTURE)),
        pa.field("source", pa.string(), nullable=False),
        pa.field("priority", pa.int16(), nullable=False),
    ]
)
"""Columns of a month's file: the bar, what quotes tell of it (NaN where it was not made of any),
where it came from, and that source's rank."""


@dataclass(frozen=True, slots=True)
class MonthHeader:
    """What a month's file says of itself, read without its rows.

    Parameters
    ----------
    side
        Which side of the market the prices are.
    sources
        Where the rows came from, sorted.
    bars
        Number of rows.
    first_ns, last_ns
        Closes of the first and last bar, UTC nanoseconds.
    """

    side: PriceSide
    sources: tuple[str, ...]
    bars: int
    first_ns: int
    last_ns: int


class LakePart:
    """A part of the lake on disk.

    Parameters
    ----------
    root
        The lake's folder; it is made at the first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root


def write_month(path: Path, frame: pd.DataFrame, side: PriceSide) -> None:
    """Write a month's rows; a reader sees the old file or the new one, never a part.

    Parameters
    ----------
    path
        The file; its folder is made.
    frame
        Rows with the columns of `ROW_SCHEMA`, ascending.
    side
        Which side of the market the prices are.

    Raises
    ------
    Unavailable
        With code ``LAKE_UNWRITABLE`` if the disk refuses; the old file is as it was.
    """
    stamps = frame["closed_at_ns"]
    about = {
        "sextant.schema_version": str(SCHEMA_VERSION),
        "sextant.price_side": side.value,
        "sextant.source": ",".join(sorted(set(frame["source"]))),
        "sextant.first_ns": str(stamps.iloc[0]),
        "sextant.last_ns": str(stamps.iloc[-1]),
    }
    columns = [pa.array(frame[field.name].to_numpy(), field.type) for field in ROW_SCHEMA]
    write_parquet(path, pa.table(columns, ROW_SCHEMA.with_metadata(about)))


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table in place of `path`, durably and in one step; errors as `write_whole`."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_whole(path, sink.getvalue())


def write_whole(path: Path, content: bytes | pa.Buffer) -> None:
    """Write beside `path`, make it durable, and move it into place in one step.

    Raises
    ------
    Unavailable
        With code ``LAKE_UNWRITABLE`` if the disk refuses; the old file is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=".partial", delete=False
        ) as partial:
            try:
                partial.write(content)
                partial.flush()
                os.fsync(partial.fileno())
                Path(partial.name).replace(path)
            except BaseException:
                Path(partial.name).unlink(missing_ok=True)
                raise
        _sync_folder(path.parent)
    except OSError as error:
        raise Unavailable(
            f"the lake cannot write {path}: {error}",
            code="LAKE_UNWRITABLE",
            remedy="Free space or mend the permissions of the folder, then ingest again.",
        ) from error


def read_month(path: Path) -> pd.DataFrame:
    """Return a month's rows, with the columns of `ROW_SCHEMA`, whichever version wrote it.

    Raises
    ------
    InvalidInput
        As `read_header`.
    """
    read_header(path)
    frame: pd.DataFrame = open_parquet(path).read().to_pandas()
    return frame.reindex(columns=ROW_SCHEMA.names)


def read_stamps(path: Path) -> NDArray[np.int64]:
    """Return the closes of a month's bars, UTC nanoseconds, ascending.

    Raises
    ------
    InvalidInput
        As `read_header`.
    """
    read_header(path)
    column = open_parquet(path).read(columns=["closed_at_ns"])["closed_at_ns"]
    return np.asarray(column.to_numpy(), dtype=np.int64)


def read_quoted_spreads(path: Path, end_ns: int | None) -> NDArray[np.float64]:
    """Return the mean spreads, points, of a month's bars that were made of quotes.

    Parameters
    ----------
    path
        The file.
    end_ns
        Only bars that closed before count, nanoseconds UTC; None for all.

    Raises
    ------
    InvalidInput
        As `read_header`.
    """
    read_header(path)
    parquet = open_parquet(path)
    if "quotes" not in parquet.schema_arrow.names:
        return np.empty(0)
    table = parquet.read(columns=["closed_at_ns", "spread_points", "quotes"])
    stamps, spreads, quotes = (column.to_numpy() for column in table.columns)
    known = np.isfinite(quotes) & np.isfinite(spreads)
    if end_ns is not None:
        known &= stamps < end_ns
    return np.asarray(spreads[known], dtype=np.float64)


def read_header(path: Path) -> MonthHeader:
    """Return what a month's file says of itself.

    Raises
    ------
    InvalidInput
        ``LAKE_FILE_CORRUPT`` if it is not a file of the lake, ``LAKE_SCHEMA_VERSION`` if a later
        version of Sextant wrote it.
    """
    parquet = open_parquet(path)
    about = {k.decode(): v.decode() for k, v in (parquet.schema_arrow.metadata or {}).items()}
    version = about.get("sextant.schema_version")
    if version not in _READABLE_VERSIONS:
        known = ", ".join(_READABLE_VERSIONS)
        raise InvalidInput(
            f"{path} has schema version {version}, this Sextant reads {known}",
            code="LAKE_SCHEMA_VERSION",
            remedy="Ingest the sources again into an empty lake.",
        )
    return MonthHeader(
        side=PriceSide(about["sextant.price_side"]),
        sources=tuple(about["sextant.source"].split(",")),
        bars=parquet.metadata.num_rows,
        first_ns=int(about["sextant.first_ns"]),
        last_ns=int(about["sextant.last_ns"]),
    )


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a file of the lake.

    Raises
    ------
    InvalidInput
        With code ``LAKE_FILE_CORRUPT`` if it is no whole Parquet file.
    """
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InvalidInput(
            f"{path} cannot be read as Parquet: {error}",
            code="LAKE_FILE_CORRUPT",
            remedy="Remove the file and ingest its month again.",
        ) from error


@contextlib.contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold a series' folder alone while writing, and sweep away what a killed writer left.

    Parameters
    ----------
    folder
        The series' folder; it is made.

    Raises
    ------
    Unavailable
        With code ``LAKE_UNWRITABLE`` if the folder cannot be made or locked.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise Unavailable(
            f"the lake cannot write in {folder}: {error}", code="LAKE_UNWRITABLE"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in folder.glob(".*.partial"):
            leftover.unlink(missing_ok=True)
        yield


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
