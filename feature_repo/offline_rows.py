"""Rows of a view, read from Parquet for the ASOF join."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

AT, CREATED = "__at_ns", "__created_ns"
_NS = "ns"


@dataclass(frozen=True, slots=True)
class ParquetSource:
    """Rows of a view: a Parquet file, or a folder of them partitioned as ``symbol=EURUSD``.

    Parameters
    ----------
    path
        File or folder; a folder without files holds no rows.
    timestamp
        Column with the event time.
    created
        Column with the time a row was written, which breaks ties; None if there is none.
    """

    path: Path
    timestamp: str
    created: str | None = None

    def files(self) -> list[str]:
        """Return the files, in a fixed order."""
        if self.path.is_file():
            return [str(self.path)]
        return sorted(str(file) for file in self.path.rglob("*.parquet"))


def read_rows(
    source: ParquetSource,
    columns: Sequence[str],
    wanted: Mapping[str, frozenset[str]],
    first_ns: int | None,
    last_ns: int | None,
) -> pa.Table:
    """Return rows of a source, with their times as int64 nanoseconds UTC.

    Parameters
    ----------
    source
        With at least one file.
    columns
        What is read; a file that lacks one gives nulls.
    wanted
        Values of the columns that name folders; other folders are not opened.
    first_ns, last_ns
        Bounds of the event times, both inclusive; None for none.

    Returns
    -------
    pyarrow.Table
        `columns`, `AT` and `CREATED` (0 where there is none).
    """
    files = source.files()
    tables = [
        _within(_read(source, file, folders, columns, first_ns, last_ns), first_ns, last_ns)
        for file in files
        if _is_wanted(folders := _folders(source, file), wanted)
    ]
    if not tables:
        tables = [_read(source, files[0], _folders(source, files[0]), columns, 0, -1)]
    return pa.concat_tables(tables, promote_options="permissive")


def _folders(source: ParquetSource, file: str) -> dict[str, str]:
    """Return what the names of the folders below the source tell."""
    if source.path.is_file():
        return {}
    parts = Path(file).relative_to(source.path).parts[:-1]
    pairs = (part.partition("=") for part in parts if "=" in part)
    return {name: unquote(value) for name, _, value in pairs}


def _is_wanted(folders: Mapping[str, str], wanted: Mapping[str, frozenset[str]]) -> bool:
    return all(value in wanted.get(name, {value}) for name, value in folders.items())


def _read(
    source: ParquetSource,
    file: str,
    folders: Mapping[str, str],
    columns: Sequence[str],
    first_ns: int | None,
    last_ns: int | None,
) -> pa.Table:
    """Return one file's rows; what its folders tell stands for the column of that name.

    Row groups that tell that all of their times lie outside the bounds are not read.
    """
    stamps = [source.timestamp, *([source.created] if source.created else [])]
    with pq.ParquetFile(file, memory_map=True) as opened:
        inside = set(opened.schema_arrow.names) - folders.keys()
        wanted = [name for name in dict.fromkeys([*columns, *stamps]) if name in inside]
        near = _near(opened.metadata, source.timestamp, first_ns, last_ns)
        held = opened.read_row_groups(near, wanted)
    made = dict(_columns(held, folders, columns))
    made[AT] = _nanoseconds(held[source.timestamp])
    made[CREATED] = (
        _nanoseconds(held[source.created])
        if source.created
        else pa.chunked_array([pa.repeat(pa.scalar(0, pa.int64()), held.num_rows)])
    )
    return pa.table(made)


def _near(
    about: pq.FileMetaData, timestamp: str, first_ns: int | None, last_ns: int | None
) -> list[int]:
    """Return the row groups that may hold times within the bounds, by their statistics."""
    column = about.schema.names.index(timestamp)
    near = []
    for place in range(about.num_row_groups):
        told = about.row_group(place).column(column).statistics
        if told is not None and told.has_min_max and isinstance(told.min, datetime):
            begin_ns, end_ns = (pd.Timestamp(at).as_unit("ns").value for at in (told.min, told.max))
            late = last_ns is not None and begin_ns > last_ns
            if late or (first_ns is not None and end_ns < first_ns):
                continue
        near.append(place)
    return near


def _columns(
    held: pa.Table, folders: Mapping[str, str], columns: Sequence[str]
) -> Iterator[tuple[str, pa.ChunkedArray]]:
    for name in columns:
        if name in folders:
            told = pa.repeat(pa.scalar(folders[name]), held.num_rows)
            yield name, pa.chunked_array([told])
        elif name in held.column_names:
            yield name, held[name]
        else:
            yield name, pa.chunked_array([pa.nulls(held.num_rows, pa.float32())])


def _nanoseconds(stamps: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return times as int64 nanoseconds UTC; naive ones are taken as UTC."""
    zone = stamps.type.tz if pa.types.is_timestamp(stamps.type) else None
    return stamps.cast(pa.timestamp(_NS, zone)).cast(pa.int64())


def _within(rows: pa.Table, first_ns: int | None, last_ns: int | None) -> pa.Table:
    """Return the rows with a time; where most lie outside the bounds, those within alone.

    The join looks at times itself: bounds only save memory, and a copy of nearly all would not.
    """
    if rows[AT].null_count:
        rows = rows.filter(pc.is_valid(rows[AT]))
    at = rows[AT].to_numpy()
    within = np.ones(len(at), dtype=np.bool_)
    if first_ns is not None:
        within &= at >= first_ns
    if last_ns is not None:
        within &= at <= last_ns
    return rows.filter(pa.array(within)) if within.sum() * 2 < len(within) else rows
