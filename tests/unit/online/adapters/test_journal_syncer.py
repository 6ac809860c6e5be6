"""What is committed without waiting for the disk is synced soon, or nothing is taken any more."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from online.adapters import journal_syncer
from online.adapters.journal_syncer import JournalSyncer
from online.adapters.sqlite_journal import iterate, open_journal, verify
from online.domain.errors import JournalUnavailable
from online.domain.record import HaltRecord

pytestmark = pytest.mark.lean
WRITER = """
import asyncio, sys
from pathlib import Path
from online.adapters.sqlite_journal import open_journal
from online.domain.record import HaltRecord
async def main():
    journal, _ = open_journal(Path(sys.argv[1]))
    for number in range(20):
        await journal.append(HaltRecord(number, "why", "test"), durable=number % 2 == 0)
    print("written", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def test_commits_that_did_not_wait_survive_the_death_of_the_process(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    root = str(Path(__file__).resolve().parents[4])
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        writer.send_signal(signal.SIGKILL)
    assert verify(path) == 20
    assert [r.at_ns for r in iterate(path) if isinstance(r, HaltRecord)] == list(range(20))


def test_a_commit_that_did_not_wait_is_synced_before_the_journal_is_closed(tmp_path: Path) -> None:
    syncs: list[int] = []
    syncer = JournalSyncer(tmp_path / "log", threading.Lock())
    syncer._sync = lambda: syncs.append(1)  # type: ignore[method-assign]
    syncer.ask()
    syncer.close()
    assert syncs


def test_a_log_that_was_checkpointed_away_is_no_trouble(tmp_path: Path) -> None:
    syncer = JournalSyncer(tmp_path / "absent", threading.Lock())
    syncer.ask()
    syncer.close()
    assert syncer.trouble == ""


def test_after_a_sync_that_failed_nothing_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal, _ = open_journal(path)
    (tmp_path / "broken-wal").mkdir()  # a folder cannot be synced like a file
    broken = JournalSyncer(tmp_path / "broken", threading.Lock())
    broken.ask()
    broken.close()
    assert broken.trouble
    journal._syncer.close()
    journal._syncer = broken
    with pytest.raises(JournalUnavailable, match="cannot be synced"):
        asyncio.run(journal.append(HaltRecord(1, "why", "test")))
    journal.close()


def test_a_long_log_is_brought_into_the_database_while_the_journal_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_syncer, "CHECKPOINT_BYTES", 1)
    path = tmp_path / "journal.db"
    journal, _ = open_journal(path)
    asyncio.run(journal.append(*(HaltRecord(n, "w" * 2000, "test") for n in range(50))))
    small = path.stat().st_size
    journal._syncer.close()
    assert path.stat().st_size > small
    journal.close()
    assert verify(path) == 50


class _LastWord:
    """A lock before which somebody commits once more."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("INSERT INTO rows VALUES ('late')")

    def __exit__(self, *_: object) -> None:
        pass


def test_a_long_log_begins_anew_though_others_commit_meanwhile(tmp_path: Path) -> None:
    path, words = tmp_path / "log.db", "w" * 2000
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("CREATE TABLE rows (words TEXT)")
        connection.executemany("INSERT INTO rows VALUES (?)", [(words,)] * 100)
        length = path.with_name("log.db-wal").stat().st_size
        syncer = JournalSyncer(path, cast("threading.Lock", _LastWord(connection)))
        syncer._checkpoint()
        syncer.close()
        connection.execute("INSERT INTO rows VALUES ('after')")
        _, frames, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        assert frames < 5, "it is written over from its beginning"
        assert path.with_name("log.db-wal").stat().st_size <= length + 5 * 5000
        (rows,) = connection.execute("SELECT count(*) FROM rows").fetchone()
        assert rows == 102


def test_appends_that_wait_and_that_do_not_keep_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal, _ = open_journal(path)

    async def story() -> None:
        pairs = (
            journal.append(HaltRecord(n, "why", "test"), durable=n % 3 == 0) for n in range(200)
        )
        await asyncio.gather(*pairs)

    asyncio.run(story())
    journal.close()
    assert verify(path) == 200
    assert {r.at_ns for r in iterate(path) if isinstance(r, HaltRecord)} == set(range(200))
