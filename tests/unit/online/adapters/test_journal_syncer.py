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
from online.adapters.journal_reader import read_sealed
from online.adapters.journal_syncer import JournalSyncer
from online.adapters.sqlite_journal import SqliteJournal, iterate, open_journal, verify
from online.domain.errors import JournalUnavailable
from online.domain.record import HaltRecord
from online.prepared_log import log_of

pytestmark = pytest.mark.lean
LOG_BYTES = 500_000
PATIENCE_SECONDS = 30.0
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
    before = path.stat().st_size
    asyncio.run(journal.append(*(HaltRecord(n, "w" * 2000, "test") for n in range(50))))
    journal._syncer.close()
    assert path.stat().st_size > before + 50 * 2000
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


def used_frames(journal: SqliteJournal) -> int:
    """Return how much of the log is used; nobody reads, so all of it is brought into the tables."""
    row = journal._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    return int(row[1])


def test_a_prepared_log_is_begun_anew_at_once_when_half_of_it_is_used_and_keeps_its_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_syncer, "CHECKPOINT_BYTES", 1)
    monkeypatch.setattr(journal_syncer, "SYNC_WITHIN_S", 60.0)
    path = tmp_path / "journal.db"
    journal, _ = open_journal(path, LOG_BYTES)
    syncer, length = journal._syncer, log_of(path).stat().st_size
    used, begun, checkpoint = [], threading.Event(), syncer._checkpoint

    def note() -> None:
        used.append(syncer._used_bytes)
        checkpoint()
        begun.set()

    monkeypatch.setattr(syncer, "_checkpoint", note)
    written = 0
    for _ in range(3):
        while not (syncer._has_hurried or begun.is_set()):
            written += 1
            asyncio.run(journal.append(HaltRecord(written, "w" * 2000, "test")))
        assert begun.wait(PATIENCE_SECONDS)
        begun.clear()
    assert all(LOG_BYTES // 2 <= bytes_ < LOG_BYTES for bytes_ in used)
    assert log_of(path).stat().st_size == length, "its length alone is no reason"
    journal.close()
    assert verify(path) == written


def test_a_log_that_somebody_reads_is_begun_anew_once_they_have_left(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal, _ = open_journal(path, LOG_BYTES)
    asyncio.run(journal.append(HaltRecord(1, "why", "test")))
    journal._syncer.close()  # its thread: here it is told when
    journal._syncer._used_bytes = journal_syncer.CHECKPOINT_BYTES
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM records").fetchall()
        asyncio.run(journal.append(HaltRecord(2, "why", "test")))
        journal._syncer._sync()
        assert journal._syncer._used_bytes > journal_syncer.CHECKPOINT_BYTES
    journal._syncer._sync()
    assert journal._syncer._used_bytes == 0
    asyncio.run(journal.append(HaltRecord(3, "why", "test")))
    assert used_frames(journal) < 5
    journal.close()
    assert verify(path) == 3


def test_only_what_did_not_wait_for_the_disk_is_synced_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs: list[int] = []
    monkeypatch.setattr(journal_syncer, "_sync_data", syncs.append)
    journal, _ = open_journal(tmp_path / "journal.db")
    journal._syncer.close()  # its thread: here it is told when
    for durable, expected in ((True, 0), (False, 1), (True, 1)):
        asyncio.run(journal.append(HaltRecord(1, "why", "test"), durable=durable))
        journal._syncer._sync()
        assert len(syncs) == expected
    journal.close()


@pytest.mark.parametrize("log_bytes", [0, LOG_BYTES])
def test_a_journal_that_died_with_a_prepared_log_opens_with_every_record(
    tmp_path: Path, log_bytes: int
) -> None:
    path = tmp_path / "journal.db"
    root = str(Path(__file__).resolve().parents[4])
    program = WRITER.replace("sys.argv[1])", f"sys.argv[1]), {log_bytes}")
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        writer.send_signal(signal.SIGKILL)
    assert log_of(path).stat().st_size >= log_bytes
    journal, _ = open_journal(path, LOG_BYTES)
    assert log_of(path).stat().st_size >= LOG_BYTES
    asyncio.run(journal.append(HaltRecord(20, "why", "test")))
    assert [record.sequence for record in read_sealed(path)] == list(range(1, 22))
    journal.close()
    assert not log_of(path).exists()
    assert verify(path) == 21
    again, _ = open_journal(path, LOG_BYTES)
    assert log_of(path).stat().st_size >= LOG_BYTES
    again.close()


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
