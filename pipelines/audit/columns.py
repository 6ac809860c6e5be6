"""A column of the export: its meaning, its unit, and where in the journal it is read.

The path is both the documentation and the reader, so that the data dictionary cannot say something
else than the file holds.
"""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any, Literal

import msgspec

from online.domain.audit import SealedRecord
from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.record import ModelRecord, Record
from online.domain.terminal_call import TerminalCall

Kind = Literal["text", "integer", "number", "boolean", "time", "json"]
Cell = str | int | float | bool | None


class Format(StrEnum):
    """How an export's files are written."""

    CSV = "csv"
    PARQUET = "parquet"


class Entry(msgspec.Struct, frozen=True):
    """What a row of the export is read from.

    Parameters
    ----------
    sealed
        The record's place, kind and hash.
    record
        What it says.
    model
        The newest record of the decision's bundle; None if there is none or it is no decision.
    call
        One of the record's calls of the terminal, where the row is of a call.
    """

    sealed: SealedRecord
    record: Record
    model: ModelRecord | None
    call: TerminalCall | None = None


class Column(msgspec.Struct, frozen=True):
    """One column.

    Parameters
    ----------
    name
        In the file.
    kind
        Type; a time is UTC, ISO 8601 with nanoseconds.
    unit
        Of a number, ``-`` where it has none.
    source
        Path in an `Entry`; a number is a place in a list.
    meaning
        One sentence.
    """

    name: str
    kind: Kind
    unit: str
    source: str
    meaning: str

    def read(self, entry: Entry) -> Cell:
        """Return the column's value, None where the journal holds none."""
        value: Any = entry
        for part in self.source.split("."):
            if value is None:
                return None
            value = value[int(part)] if part.isdigit() else getattr(value, part)
        if value is None:
            return None
        if self.kind == "json":
            return msgspec.json.encode(value).decode()
        if self.kind == "time":
            return format_time(value) if value else None
        return _scalar(value)


def _scalar(value: Any) -> Cell:  # noqa: ANN401 - a field of any record
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, Enum):
        return str(value.value)
    return value  # type: ignore[no-any-return]  # the path leads to a scalar


def format_time(at_ns: int) -> str:
    """Return an instant in UTC, ISO 8601 with nanoseconds.

    Examples
    --------
    >>> format_time(1_507_075_200_000_000_001)
    '2017-10-04T00:00:00.000000001Z'
    """
    seconds, nanoseconds = divmod(at_ns, NANOSECONDS_PER_SECOND)
    return f"{datetime.fromtimestamp(seconds, tz=UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def sealed() -> tuple[Column, ...]:
    """Return the columns that every table begins with."""
    return (
        Column("sequence", "integer", "-", "sealed.sequence", "Place of the record in the journal"),
        Column("record_hash", "text", "-", "sealed.hash", "SHA-256 that seals the record's bytes"),
    )
