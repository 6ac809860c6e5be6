"""The comparison: PostgreSQL holds what the journal holds, byte by byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Row, select, text

from online.adapters.journal_reader import read_page, read_sealed
from online.domain.audit import SealedRecord
from pipelines.audit.answers import different, judged
from pipelines.audit.postgres import RECORDS
from pipelines.audit.relay import read_held

_BODY_DIFFERS = text("""
SELECT min(sequence) FROM audit.records WHERE journal_id = :journal_id
AND body <> replace(convert_from(raw, 'UTF8'), '\\u0000', '\\ufffd')::jsonb
""")


def compare_copy(journal: Path, engine: Engine) -> int:
    """Compare PostgreSQL with the journal; return the number of records, all of them equal.

    What was not relayed yet is not compared: `pipelines.audit.relay.Relay.lag` tells of it.

    Raises
    ------
    JournalCorrupt
        Naming the first record that differs, or that one side alone holds.
    """
    first = read_page(journal, 0, 1)
    if not first:
        return 0
    journal_id = first[0].hash
    query = select(RECORDS).where(RECORDS.c.journal_id == journal_id)
    in_order = query.order_by(RECORDS.c.sequence).execution_options(yield_per=1000)
    held, ours, count = read_held(engine, journal_id), read_sealed(journal), 0
    with judged(), engine.connect() as connection:
        for row in connection.execute(in_order):
            count += 1
            _compare(count, next(ours, None), row)
        differs = connection.execute(_BODY_DIFFERS, {"journal_id": journal_id}).scalar()
    if differs is not None:
        raise different(differs, "shows in PostgreSQL another body than its bytes")
    if held.sequence > count:
        raise different(count + 1, f"is missing from PostgreSQL, which counts {held.sequence}")
    return count


def _compare(sequence: int, ours: SealedRecord | None, row: Row[Any]) -> None:
    """Compare a row of PostgreSQL with the record that belongs in its place."""
    if row.sequence != sequence:
        raise different(sequence, "is missing from PostgreSQL")
    if ours is None or ours.sequence != sequence:
        raise different(sequence, "is in PostgreSQL and missing from the journal")
    theirs = (row.kind, row.decision_id, row.raw, row.previous_hash, row.hash)
    decision_id = ours.decision_id and ours.decision_id.replace("\0", "\ufffd")  # as jsonb shows it
    if theirs != (ours.kind, decision_id, ours.body, ours.previous_hash, ours.hash):
        raise different(sequence, "is not the same in the journal and in PostgreSQL")
