"""What every journal does: one suite over the one in memory and the one on disk."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from online.adapters import sqlite_journal
from online.adapters.memory_journal import MemoryJournal
from online.adapters.sqlite_journal import open_journal
from online.domain.errors import JournalCorrupt
from online.domain.record import HaltRecord, LimitsRecord, Record
from online.ports import Journal
from tests.fakes import make_limits

pytestmark = pytest.mark.lean


@dataclass(frozen=True, slots=True)
class Subject:
    """A journal under contract and how to look into it."""

    journal: Journal
    records: Callable[[], list[Record]]
    verify: Callable[[], int]
    tamper: Callable[[int], None]


@pytest.fixture(params=["memory", "sqlite on a quick disk", "sqlite on a slow disk"])
def subject(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Subject]:
    if request.param == "memory":
        yield _memory()
        return
    quick = math.inf if "quick" in request.param else -1.0
    monkeypatch.setattr(sqlite_journal, "QUICK_SECONDS", quick)
    path = tmp_path / "journal.db"
    journal, _ = open_journal(path)
    yield Subject(
        journal,
        lambda: list(sqlite_journal.iterate(path)),
        lambda: sqlite_journal.verify(path),
        lambda number: tamper(path, number),
    )
    journal.close()


def _memory() -> Subject:
    journal = MemoryJournal()

    def change(number: int) -> None:
        body = journal.bodies[number - 1]
        journal._bodies[number - 1] = body.replace(b"halted", b"halved")

    return Subject(journal, lambda: list(journal.records()), journal.verify, change)


def tamper(path: Path, number: int) -> None:
    """Change a record as somebody with the file and SQLite could."""
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER records_refuse_update")
        connection.execute(
            "UPDATE records SET body = replace(body, 'halted', 'halved') WHERE sequence = ?",
            (number,),
        )


def halt(number: int) -> HaltRecord:
    """Return a record that can be told from others."""
    return HaltRecord(number, f"halted {number}", "test")


def test_records_come_back_in_the_order_they_were_appended(subject: Subject) -> None:
    records: list[Record] = [LimitsRecord(1, make_limits()), *(halt(n) for n in range(2, 6))]

    async def story() -> None:
        await subject.journal.append(*records[:2])
        for record in records[2:]:
            await subject.journal.append(record)

    asyncio.run(story())
    assert subject.records() == records
    assert subject.verify() == len(records)


def test_concurrent_appends_are_all_kept_and_each_stays_together(subject: Subject) -> None:
    async def story() -> None:
        pairs = (subject.journal.append(halt(n), halt(n + 1)) for n in range(0, 200, 2))
        await asyncio.gather(*pairs)

    asyncio.run(story())
    stamps = [record.at_ns for record in subject.records()]
    assert sorted(stamps) == list(range(200))
    assert all(b == a + 1 for a, b in zip(stamps[::2], stamps[1::2], strict=True))
    assert subject.verify() == 200


def test_appending_nothing_adds_nothing(subject: Subject) -> None:
    asyncio.run(subject.journal.append())
    assert subject.records() == []
    assert subject.verify() == 0


def test_a_changed_record_is_named_by_the_verification(subject: Subject) -> None:
    asyncio.run(subject.journal.append(*(halt(n) for n in range(5))))
    subject.tamper(3)
    with pytest.raises(JournalCorrupt, match="record 3"):
        subject.verify()
