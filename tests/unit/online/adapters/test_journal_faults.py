"""Faults that nobody foresaw while the journal is written: who waits hears it, nothing follows."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from online.adapters import journal_syncer, sqlite_journal
from online.adapters.sqlite_journal import SqliteJournal, open_journal, verify
from online.domain.errors import JournalUnavailable
from online.domain.record import HaltRecord
from online.prepared_log import log_of

pytestmark = pytest.mark.lean
QUICK, SLOW = math.inf, -1.0
"""How long a disk may take that is waited for in the event loop: any, or none."""
PATIENCE_SECONDS = 30.0
WAITS, WAITS_NOT = (True,), (False,)
"""One record, durable or not."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def halt(number: int) -> HaltRecord:
    return HaltRecord(number, f"halted {number}", "test")


async def append_all(
    journal: SqliteJournal, durable: tuple[bool, ...]
) -> list[BaseException | None]:
    """Append records at once and return what each caller hears, in time."""
    stories = [journal.append(halt(n), durable=each) for n, each in enumerate(durable)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await asyncio.gather(*stories, return_exceptions=True)


@pytest.mark.parametrize("quick", [QUICK, SLOW])
@pytest.mark.parametrize("durable", [WAITS, (True, True), WAITS_NOT])
def test_a_fault_that_is_not_the_databases_reaches_everybody_and_nothing_is_taken_after_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, quick: float, durable: tuple[bool, ...]
) -> None:
    monkeypatch.setattr(sqlite_journal, "QUICK_SECONDS", quick)
    journal, _ = open_journal(path)
    asyncio.run(append_all(journal, WAITS))
    with monkeypatch.context() as broken:

        def fail(previous: str, body: bytes) -> str:  # noqa: ARG001 - as `chain`
            raise MemoryError("no room")

        broken.setattr(sqlite_journal, "chain", fail)
        heard = asyncio.run(append_all(journal, durable))
    assert [type(each) for each in heard] == [JournalUnavailable] * len(durable)
    for later in (WAITS, WAITS_NOT):
        (refused,) = asyncio.run(append_all(journal, later))
        assert isinstance(refused, JournalUnavailable)
        assert "no room" in str(refused)
    journal.close()
    assert verify(path) == 1


class _Unsynced:
    """A connection whose next durable commit is written and cannot be synced."""

    def __init__(self, inner: sqlite3.Connection) -> None:
        self._inner = inner
        self.in_transaction = False

    def execute(self, statement: str, *values: tuple[Any, ...]) -> sqlite3.Cursor:
        if statement.startswith(("INSERT", "COMMIT")):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error
        return self._inner.execute(statement, *values)


@pytest.mark.parametrize("quick", [QUICK, SLOW])
def test_after_a_commit_that_could_not_be_synced_nothing_is_taken(
    path: Path, monkeypatch: pytest.MonkeyPatch, quick: float
) -> None:
    monkeypatch.setattr(sqlite_journal, "QUICK_SECONDS", quick)
    journal, _ = open_journal(path)
    asyncio.run(append_all(journal, WAITS))
    connection = journal._connection
    journal._connection = _Unsynced(connection)  # type: ignore[assignment]  # stands for it
    (first,) = asyncio.run(append_all(journal, WAITS))
    journal._connection = connection
    assert isinstance(first, JournalUnavailable)
    (second,) = asyncio.run(append_all(journal, WAITS))
    assert isinstance(second, JournalUnavailable), "the disk may have forgotten what it was given"
    journal.close()
    assert verify(path) == 1


def test_after_its_log_was_deleted_nothing_is_taken(path: Path) -> None:
    journal, _ = open_journal(path)
    asyncio.run(append_all(journal, WAITS_NOT))
    log_of(path).unlink()
    asyncio.run(append_all(journal, WAITS_NOT))
    journal._syncer.close()  # syncs what was asked for
    (refused,) = asyncio.run(append_all(journal, WAITS))
    assert isinstance(refused, JournalUnavailable)
    assert log_of(path).name in str(refused)
    journal.close()


def test_a_fault_of_the_second_thread_that_is_not_the_disks_lets_nothing_be_taken(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, _ = open_journal(path)

    def fail(descriptor: int) -> None:  # noqa: ARG001 - as fsync
        raise MemoryError("no room")

    monkeypatch.setattr(journal_syncer, "_sync_data", fail)
    asyncio.run(append_all(journal, WAITS_NOT))
    journal._syncer.close()
    (refused,) = asyncio.run(append_all(journal, WAITS))
    assert isinstance(refused, JournalUnavailable)
    assert "no room" in str(refused)
    journal.close()


def test_who_appended_first_goes_on_first_though_the_second_did_not_wait(path: Path) -> None:
    journal, _ = open_journal(path)
    went_on: list[str] = []

    async def write(name: str, *, durable: bool) -> None:
        await journal.append(HaltRecord(1, name, "test"), durable=durable)
        went_on.append(name)

    async def story() -> None:
        first = asyncio.create_task(write("first", durable=True))
        await asyncio.sleep(0)  # it is in the hands of the writer's thread
        with closing(sqlite3.connect(path)) as reader:
            until = time.monotonic() + PATIENCE_SECONDS
            while not reader.execute("SELECT count(*) FROM records").fetchone()[0]:
                assert time.monotonic() < until
        await write("second", durable=False)
        await first

    asyncio.run(story())
    journal.close()
    assert went_on == ["first", "second"], "the book is folded in the journal's order"
