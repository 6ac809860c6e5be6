"""Reads the SQLite journal as sealed records while the scorer goes on writing it.

The file is opened read-only, and a page of records at a time: no read lasts long enough to keep
the scorer's write-ahead log from being folded back. Nothing is judged here but that the columns
hold what they must; `online.domain.audit` judges the chain.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from online.domain.audit import RecordCorrupt, SealedRecord
from online.domain.errors import JournalCorrupt, JournalUnavailable, NotFound

PAGE_RECORDS = 1000
_PAGE = """
SELECT sequence, kind, decision_id, body, previous_hash, hash FROM records
WHERE sequence > ? ORDER BY sequence LIMIT ?
"""
_BUSY_SECONDS = 30.0


def read_sealed(path: Path, after: int = 0) -> Iterator[SealedRecord]:
    """Yield the records of a journal behind a place, oldest first, up to its end.

    Parameters
    ----------
    path
        SQLite file.
    after
        Sequence of the last record not wanted.

    Raises
    ------
    NotFound
        If there is no journal.
    JournalUnavailable
        If it cannot be read now.
    JournalCorrupt
        If it is no journal, or naming the record whose columns cannot be.
    """
    last = after
    while page := read_page(path, last, PAGE_RECORDS):
        yield from page
        last = page[-1].sequence


def read_page(path: Path, after: int, count: int) -> list[SealedRecord]:
    """Return at most `count` records behind a place, oldest first; errors as `read_sealed`."""
    if not path.is_file():
        raise NotFound(f"there is no journal at {path}", remedy="Name the scorer's journal.")
    try:
        address = f"{path.resolve().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)) as connection:
            rows = connection.execute(_PAGE, (after, count)).fetchall()
    except sqlite3.OperationalError as error:
        if "no such" in str(error):
            raise JournalCorrupt(f"{path} is no journal: {error}") from error
        raise JournalUnavailable(
            f"journal {path} cannot be read: {error}",
            remedy="Read it where its folder can be written (SQLite keeps its index there), or "
            "read a copy.",
        ) from error
    except sqlite3.DatabaseError as error:
        raise JournalCorrupt(f"journal {path} is damaged: {error}") from error
    return [_to_sealed(row) for row in rows]


def _to_sealed(row: tuple[object, ...]) -> SealedRecord:
    sequence, kind, decision_id, body, previous_hash, sealed = row
    if not (
        isinstance(sequence, int)
        and isinstance(kind, str)
        and isinstance(decision_id, str | None)
        and isinstance(body, bytes)
        and isinstance(previous_hash, str)
        and isinstance(sealed, str)
    ):
        number = sequence if isinstance(sequence, int) else 0
        types = ", ".join(type(value).__name__ for value in row)
        raise RecordCorrupt(number, f"its columns hold {types}, expected int, str, ..., bytes, str")
    return SealedRecord(sequence, kind, decision_id, body, previous_hash, sealed)
