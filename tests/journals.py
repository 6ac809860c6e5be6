"""Journals for tests: written by the real writer, read, and tampered with."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path

from online.adapters.sqlite_journal import open_journal
from online.domain.audit import SealedRecord
from online.domain.book import Book
from online.domain.market import Timeframe
from online.domain.reasons import Reason, Veto
from online.domain.record import (
    GENESIS,
    DecisionRecord,
    HaltRecord,
    Record,
    Request,
    chain,
    decode_record,
    encode_record,
)
from tests.fakes import make_decision, make_state

DAY_NS = 86_400_000_000_000
FIRST_NS = 1_507_075_200_000_000_000  # 2017-10-04 00:00 UTC


def halts(count: int, per_day: int = 10, first: int = 0) -> tuple[HaltRecord, ...]:
    """Return records that differ, `per_day` of them on every day."""
    return tuple(
        HaltRecord(FIRST_NS + place * (DAY_NS // per_day), f"reason {place}", "test")
        for place in range(first, first + count)
    )


def decision(number: int, at_ns: int = FIRST_NS) -> DecisionRecord:
    """Return a decision that held, taken when nothing answered."""
    return make_decision(
        number,
        at_ns,
        decision_id=f"EURUSD-H1-20171004T0000Z-{number}",
        request=Request("EURUSD", Timeframe.H1, FIRST_NS, send=True),
        state=make_state(day_start_equity=0.0, peak_equity=0.0),
        vetoes=(Veto(Reason.FEATURES_UNAVAILABLE, "refused"),),
    )


def refold(records: Iterable[Record]) -> Book:
    """Return the book that records give when they are read back from their bytes."""
    book = Book()
    for record in records:
        book.apply(decode_record(encode_record(record)))
    return book


def write_journal(path: Path, records: Iterable[Record]) -> Path:
    """Append records through the durable journal."""
    journal, _ = open_journal(path)
    try:
        asyncio.run(journal.append(*records))
    finally:
        journal.close()
    return path


def seal(records: Iterable[Record]) -> list[SealedRecord]:
    """Return records in a chain from the first on."""
    sealed: list[SealedRecord] = []
    previous = GENESIS
    for sequence, record in enumerate(records, 1):
        body = encode_record(record)
        kind = str(record.__struct_config__.tag)
        decision_id = getattr(record, "decision_id", None) or None
        hash_ = chain(previous, body)
        sealed.append(SealedRecord(sequence, kind, decision_id, body, previous, hash_))
        previous = hash_
    return sealed


def tamper(path: Path, *statements: str, values: Sequence[object] = ()) -> None:
    """Run SQL on a journal as somebody would who first drops its triggers."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for trigger in ("records_refuse_update", "records_refuse_delete"):
            connection.execute(f"DROP TRIGGER {trigger}")
        for statement in statements:
            connection.execute(statement, values)
