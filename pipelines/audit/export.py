"""The export: all that a journal holds of a period, for a regulator; every record is a row.

What was in force when the period began stands first in its table. CSV and Parquet hold the same
columns and rows. A data dictionary explains every column; a manifest says from which journal and
place the files were made, and the digest of each.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import msgspec

from online.adapters.journal_reader import read_sealed
from online.domain.audit import Anchor, Auditor
from online.domain.errors import InvalidInput, Unavailable
from online.domain.record import DecisionRecord, ModelRecord
from pipelines.audit.columns import Cell, Column, Entry, Format, format_time
from pipelines.audit.parquet import load_pyarrow
from pipelines.audit.tables import CALLS, STATES, TABLES, tables_of

DICTIONARY = "data_dictionary.csv"
MANIFEST = "manifest.json"
_GROUP_ROWS = 5_000


class ExportManifest(msgspec.Struct, frozen=True):
    """What an export holds and where it comes from.

    Parameters
    ----------
    journal_id
        Hash of the journal's first record.
    head
        Last record of the journal when it was exported; all up to it was verified.
    from_time, to_time
        The period by the records' clock, UTC; the end is not included.
    rows
        By table; those that were in force when the period began are counted.
    files
        SHA-256 by file name.
    """

    journal_id: str
    head: Anchor
    from_time: str
    to_time: str
    rows: dict[str, int]
    files: dict[str, str]


class _Sink(Protocol):
    """Takes a table's rows."""

    def write(self, row: Sequence[Cell]) -> None:
        """Take one row."""

    def close(self) -> None:
        """Write what waits and close the file."""


def export(
    journal: Path,
    folder: Path,
    from_ns: int,
    to_ns: int,
    formats: Sequence[Format] = tuple(Format),
) -> ExportManifest:
    """Write a period of the journal into a folder; the whole chain is verified on the way.

    Parameters
    ----------
    journal
        The scorer's SQLite journal.
    folder
        Made if absent; it must be empty.
    from_ns, to_ns
        The period by the records' clock, nanoseconds UTC; the end is not included.
    formats
        At least one of csv and parquet.

    Raises
    ------
    InvalidInput
        If the period is empty, the folder is not, or Parquet is not available.
    JournalCorrupt
        Naming the first bad record; then no manifest is written.
    Unavailable
        With code ``EXPORT_UNWRITABLE`` if the folder cannot be written.
    """
    if from_ns >= to_ns:
        began, ended = format_time(from_ns), format_time(to_ns)
        raise InvalidInput(f"the period ends before it begins: from {began} to {ended}")
    if not formats:
        raise InvalidInput("an export needs a format: csv or parquet")
    if folder.exists() and any(folder.iterdir()):
        raise InvalidInput(f"{folder} is not empty: an export never mixes with another")
    if Format.PARQUET in formats:
        load_pyarrow()
    try:
        return _export(journal, folder, (from_ns, to_ns), formats)
    except OSError as error:
        raise Unavailable(
            f"the export cannot be written: {error}",
            code="EXPORT_UNWRITABLE",
            remedy="Free space or mend the folder, then export again into an empty one.",
        ) from error


def _export(
    journal: Path, folder: Path, period_ns: tuple[int, int], formats: Sequence[Format]
) -> ExportManifest:
    from_ns, to_ns = period_ns
    folder.mkdir(parents=True, exist_ok=True)
    rows = dict.fromkeys(TABLES, 0)
    auditor = Auditor()
    with ExitStack() as open_files:
        sinks = {table: _open(folder, table, formats, open_files) for table in TABLES}
        for entry in _in_period(_entries(journal, auditor), period_ns):
            for table, each in _rows_of(entry):
                row = [column.read(each) for column in TABLES[table]]
                rows[table] += 1
                for sink in sinks[table]:
                    sink.write(row)
    report = auditor.report()
    _write_dictionary(folder / DICTIONARY)
    files = {path.name: _digest(path) for path in sorted(folder.iterdir())}
    manifest = ExportManifest(
        report.journal_id, report.head, format_time(from_ns), format_time(to_ns), rows, files
    )
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    return manifest


def _rows_of(entry: Entry) -> Iterator[tuple[str, Entry]]:
    """Yield the tables that a record makes rows of, and what each row is read from."""
    for table in tables_of(entry.record):
        if table == CALLS:
            for call in getattr(entry.record, "calls", ()):
                yield table, msgspec.structs.replace(entry, call=call)
        else:
            yield table, entry


def _entries(journal: Path, auditor: Auditor) -> Iterator[Entry]:
    models: dict[str, ModelRecord] = {}
    for sealed in read_sealed(journal):
        record = auditor.add(sealed)
        if isinstance(record, ModelRecord):
            models[record.sha256] = record
        model = models.get(record.model_sha256) if isinstance(record, DecisionRecord) else None
        yield Entry(sealed, record, model)


def _in_period(entries: Iterator[Entry], period_ns: tuple[int, int]) -> Iterator[Entry]:
    """Yield what was in force when a period began, then the records of the period."""
    from_ns, to_ns = period_ns
    in_force: dict[tuple[str, str], Entry] = {}
    began = False
    for entry in entries:
        if not began and entry.record.at_ns < from_ns:
            of = getattr(entry.record, "system", "")
            in_force |= {(t, of): entry for t in tables_of(entry.record) if t in STATES}
            continue
        if not began:
            began = True
            yield from in_force.values()
        if from_ns <= entry.record.at_ns < to_ns:
            yield entry
    if not began:
        yield from in_force.values()


def _open(
    folder: Path, table: str, formats: Sequence[Format], open_files: ExitStack
) -> list[_Sink]:
    sinks: list[_Sink] = []
    for format_ in dict.fromkeys(formats):
        made = _CsvSink if format_ is Format.CSV else _ParquetSink
        sink = made(folder / f"{table}.{format_}", TABLES[table])
        open_files.callback(sink.close)
        sinks.append(sink)
    return sinks


class _CsvSink:
    """RFC 4180, UTF-8; numbers in their shortest exact form; nothing is an empty cell."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow([column.name for column in columns])

    def write(self, row: Sequence[Cell]) -> None:
        self._writer.writerow(["" if cell is None else _to_text(cell) for cell in row])

    def close(self) -> None:
        self._file.close()


class _ParquetSink:
    """Typed as the dictionary says; times are text, for their nanoseconds and their zone."""

    def __init__(self, path: Path, columns: Sequence[Column]) -> None:
        self._pyarrow, parquet = load_pyarrow()
        types = {
            "integer": self._pyarrow.int64(),
            "number": self._pyarrow.float64(),
            "boolean": self._pyarrow.bool_(),
        }
        text = self._pyarrow.string()
        self._schema = self._pyarrow.schema([(c.name, types.get(c.kind, text)) for c in columns])
        self._writer: Any = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[Sequence[Cell]] = []

    def write(self, row: Sequence[Cell]) -> None:
        self._rows.append(row)
        if len(self._rows) == _GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        columns = list(zip(*self._rows, strict=True)) or [() for _ in self._schema]
        arrays = [
            self._pyarrow.array(values, type=field.type)
            for values, field in zip(columns, self._schema, strict=True)
        ]
        self._writer.write_table(self._pyarrow.Table.from_arrays(arrays, schema=self._schema))
        self._rows.clear()


def _to_text(cell: str | float | bool) -> str:  # noqa: FBT001 - a cell may hold a boolean
    return str(cell).lower() if isinstance(cell, bool) else str(cell)


def _write_dictionary(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["table", "column", "type", "unit", "meaning", "source"])
        for table, columns in TABLES.items():
            for c in columns:
                writer.writerow([table, c.name, c.kind, c.unit, c.meaning, c.source])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
