"""Who waits for the disk when the journal is written: the event loop, or a thread aside."""

from __future__ import annotations

import asyncio
import math
import threading
from pathlib import Path

import pytest

from online.adapters import sqlite_journal
from online.adapters.journal_batch import Entry
from online.adapters.sqlite_journal import SqliteJournal, open_journal, verify
from online.domain.errors import JournalUnavailable
from online.domain.record import HaltRecord

pytestmark = pytest.mark.lean


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def halt(number: int) -> HaltRecord:
    return HaltRecord(number, f"halted {number}", "test")


def commits_of(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that will name the thread of every commit."""
    threads: list[str] = []
    commit = journal._commit

    def note(groups: list[tuple[Entry, ...]], *, full: bool) -> JournalUnavailable | None:
        threads.append(threading.current_thread().name)
        return commit(groups, full=full)

    monkeypatch.setattr(journal, "_commit", note)
    return threads


@pytest.mark.parametrize("quick", [True, False])
def test_what_comes_together_is_committed_together_whoever_waits_for_the_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, quick: bool
) -> None:
    monkeypatch.setattr(sqlite_journal, "QUICK_SECONDS", math.inf if quick else -1.0)
    journal, _ = open_journal(path)
    threads = commits_of(journal, monkeypatch)

    async def together() -> None:
        await asyncio.gather(*(journal.append(halt(n)) for n in range(10)))

    asyncio.run(together())
    journal.close()
    assert verify(path) == 10
    if quick:
        assert threads == [threading.current_thread().name]
    else:
        assert set(threads) == {"journal"}
        assert len(threads) < 10


def test_a_disk_that_was_slow_is_waited_for_aside_until_it_is_quick_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(
        [at for wait in (9.0, *[0.0001] * 60) for at in (0.0, wait)]  # before and after a commit
    )
    monkeypatch.setattr(sqlite_journal, "perf_counter", lambda: next(clock))
    journal, _ = open_journal(path)
    threads = commits_of(journal, monkeypatch)
    for number in range(1, 60):
        asyncio.run(journal.append(halt(number)))
    journal.close()
    here = threading.current_thread().name
    aside = threads.index(here)
    assert 20 < aside < 50
    assert set(threads[:aside]) == {"journal"}
    assert set(threads[aside:]) == {here}


def test_what_came_as_the_journal_was_closed_is_written(path: Path) -> None:
    journal, _ = open_journal(path)
    journal._disk_seconds = 0.0

    async def story() -> None:
        waiting = asyncio.ensure_future(journal.append(halt(1)))
        await asyncio.sleep(0)
        journal.close()
        await waiting

    asyncio.run(story())
    assert verify(path) == 1
