"""The archive: sealed records as Parquet, kept for seven years and verifiable on their own.

Records are copied, never moved: the journal refuses deletion by trigger and its chain begins at its
first record, so taking rows out would weaken both. A file holds bodies and hashes as they are, so
the chain is verified from the archive alone, or from archive and journal together.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from itertools import groupby, islice, takewhile
from pathlib import Path
from typing import Any

import msgspec

from online.adapters.journal_reader import read_sealed
from online.domain.audit import Anchor, SealedRecord, audit, check_body, day_of, join_copies
from online.domain.errors import JournalCorrupt, NotFound, Unavailable
from pipelines.audit.parquet import load_pyarrow

RETENTION_YEARS = 7
"""Directive 2014/65/EU (MiFID II), article 16(7): five years, seven where the authority asks."""

_GROUP_RECORDS = 10_000
_METADATA = b"sextant.archive"


class ArchiveFile(msgspec.Struct, frozen=True):
    """What one file of an archive says of itself.

    Parameters
    ----------
    name
        Of the file in its folder.
    journal_id
        Hash of the journal's first record.
    before, last
        Places in the chain before the file's first record and of its last.
    first_day, last_day
        Earliest and latest day of its records, UTC.
    retain_until
        Day until which it is kept, `RETENTION_YEARS` after its latest day.
    """

    name: str
    journal_id: str
    before: Anchor
    last: Anchor
    first_day: str
    last_day: str
    retain_until: str


def write_archive(journal: Path, folder: Path, before_ns: int) -> tuple[ArchiveFile, ...]:
    """Copy what is older than an instant and not archived yet, one file a month; return the files.

    A journal is archived in order: up to its first record that is not older.

    Parameters
    ----------
    journal
        The scorer's SQLite journal; its whole chain is verified first.
    folder
        Of this journal's archive; made if absent.
    before_ns
        Nanoseconds UTC.

    Raises
    ------
    JournalCorrupt
        Naming the first bad record of journal or archive, or the first in which they differ
        (the folder may hold another journal's archive); then nothing is written.
    Unavailable
        With code ``ARCHIVE_UNWRITABLE`` if the folder cannot be written.
    """
    load_pyarrow()
    try:
        return _write_what_waits(journal, folder, before_ns)
    except OSError as error:
        raise Unavailable(
            f"the archive cannot be written: {error}",
            code="ARCHIVE_UNWRITABLE",
            remedy="Free space or mend the folder, then run it again; whole files stay.",
        ) from error


def _write_what_waits(journal: Path, folder: Path, before_ns: int) -> tuple[ArchiveFile, ...]:
    held = list_archive(folder) if folder.is_dir() else ()
    archived = read_archive(folder) if held else iter(())
    report = audit(join_copies(archived, read_sealed(journal)))
    folder.mkdir(parents=True, exist_ok=True)
    place = held[-1].last if held else Anchor()
    waiting = islice(read_sealed(journal, place.sequence), report.head.sequence - place.sequence)
    older = takewhile(lambda sealed: check_body(sealed).at_ns < before_ns, waiting)
    written = []
    for _, month in groupby(older, key=lambda sealed: day_of(check_body(sealed).at_ns)[:7]):
        written.append(_write(folder, report.journal_id, place, month))
        place = written[-1].last
    return tuple(written)


def list_archive(folder: Path) -> tuple[ArchiveFile, ...]:
    """Return the files of an archive by what they say of themselves, in order.

    Raises
    ------
    NotFound
        If there is no such folder, or no file of an archive in it.
    JournalCorrupt
        Naming a file that is none.
    """
    pyarrow, parquet = load_pyarrow()
    paths = sorted(folder.glob("journal-*.parquet"))
    if not paths and not folder.is_dir():
        raise NotFound(f"there is no archive at {folder}")
    files = []
    for path in paths:
        try:
            said = parquet.read_metadata(path).metadata or {}
            described = msgspec.json.decode(said[_METADATA], type=ArchiveFile)
        except (KeyError, OSError, pyarrow.ArrowException, msgspec.DecodeError) as error:
            raise JournalCorrupt(f"{path} is no file of an archive: {error}") from error
        files.append(msgspec.structs.replace(described, name=path.name))
    return tuple(sorted(files, key=lambda file: file.before.sequence))


def read_archive(folder: Path) -> Iterator[SealedRecord]:
    """Yield the records of an archive in order; errors as `list_archive`.

    Nothing is judged here but that files can be read; `online.domain.audit` judges the chain.
    """
    pyarrow, parquet = load_pyarrow()
    files = list_archive(folder)
    if not files:
        raise NotFound(f"there is no archive at {folder}")
    for file in files:
        try:
            with parquet.ParquetFile(folder / file.name) as opened:
                for batch in opened.iter_batches(batch_size=_GROUP_RECORDS):
                    columns = [batch.column(name).to_pylist() for name in _COLUMNS]
                    for row in zip(*columns, strict=True):
                        yield SealedRecord(*row)
        except (KeyError, OSError, pyarrow.ArrowException) as error:
            raise JournalCorrupt(f"{folder / file.name} cannot be read: {error}") from error


_COLUMNS = SealedRecord.__struct_fields__


def _schema(pyarrow: Any) -> Any:  # noqa: ANN401 - pyarrow is published without types
    return pyarrow.schema(
        [
            pyarrow.field("sequence", pyarrow.int64(), nullable=False),
            pyarrow.field("kind", pyarrow.string(), nullable=False),
            pyarrow.field("decision_id", pyarrow.string()),
            pyarrow.field("body", pyarrow.binary(), nullable=False),
            pyarrow.field("previous_hash", pyarrow.string(), nullable=False),
            pyarrow.field("hash", pyarrow.string(), nullable=False),
        ]
    )


def _write(
    folder: Path, journal_id: str, before: Anchor, records: Iterator[SealedRecord]
) -> ArchiveFile:
    """Write one file; it appears under its name whole and on the disk, or not at all."""
    pyarrow, parquet = load_pyarrow()
    schema = _schema(pyarrow)
    part = folder / "writing.part"
    part.unlink(missing_ok=True)  # of a run that was cut
    days: set[str] = set()
    last = before
    with parquet.ParquetWriter(part, schema, compression="zstd") as writer:
        while group := list(islice(records, _GROUP_RECORDS)):
            rows = [msgspec.structs.asdict(sealed) for sealed in group]
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
            days.update(day_of(check_body(sealed).at_ns) for sealed in group)
            last = Anchor(group[-1].sequence, group[-1].hash)
        name = f"journal-{journal_id[:12]}-{before.sequence + 1:012d}-{last.sequence:012d}.parquet"
        described = ArchiveFile(
            name, journal_id, before, last, min(days), max(days), _retain_until(max(days))
        )
        writer.add_key_value_metadata({_METADATA.decode(): msgspec.json.encode(described).decode()})
    with part.open("rb+") as written:
        os.fsync(written.fileno())
    part.chmod(0o444)
    part.rename(folder / name)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return described


def _retain_until(day: str) -> str:
    last = date.fromisoformat(day)
    try:
        return last.replace(year=last.year + RETENTION_YEARS).isoformat()
    except ValueError:  # 29 February: kept a day longer
        return date(last.year + RETENTION_YEARS, 3, 1).isoformat()
