"""A log that is long before it is needed: the database is the same, whatever happens."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections import namedtuple
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from online import prepared_log
from online.prepared_log import log_of, prepare_log

pytestmark = pytest.mark.lean
REPOSITORY = Path(__file__).resolve().parents[3]
LENGTH_BYTES = 500_000


def opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=0.0)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("CREATE TABLE IF NOT EXISTS rows (number INTEGER)")
    return connection


def rows_of(path: Path) -> list[int]:
    """Return what another reader finds; the database must be whole."""
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = reader.execute("SELECT name FROM sqlite_master").fetchall()
        assert tables == [("rows",)]
        return [number for (number,) in reader.execute("SELECT number FROM rows ORDER BY number")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(opened(path)) as connection:
        yield connection


def test_log_has_its_length_on_the_disk_and_the_database_is_as_it_was(
    connection: sqlite3.Connection, path: Path
) -> None:
    connection.execute("INSERT INTO rows VALUES (1)")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes()
    assert prepare_log(connection, path, LENGTH_BYTES)
    log = log_of(path).stat()
    assert LENGTH_BYTES <= log.st_size < 1.2 * LENGTH_BYTES
    assert log.st_blocks * 512 >= log.st_size, "no holes: every block is written"
    assert path.read_bytes() == before
    assert rows_of(path) == [1]


def test_commits_are_written_over_what_is_there(connection: sqlite3.Connection, path: Path) -> None:
    prepare_log(connection, path, LENGTH_BYTES)
    length = log_of(path).stat().st_size
    for number in range(50):
        connection.execute("INSERT INTO rows VALUES (?)", (number,))
    assert log_of(path).stat().st_size == length
    _, frames, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    assert frames < 60, "they begin at the log's beginning"
    assert rows_of(path) == list(range(50))


def test_a_log_that_is_not_wanted_is_left_alone(connection: sqlite3.Connection, path: Path) -> None:
    length = log_of(path).stat().st_size
    assert not prepare_log(connection, path, 0)
    assert log_of(path).stat().st_size == length


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX'")
@pytest.mark.parametrize("commits", [0, 1, 30])
def test_after_a_crash_only_what_was_committed_is_found_and_the_length_is_kept(
    path: Path, commits: int
) -> None:
    done = run(
        path,
        """
        connection = opened(path)
        connection.execute("INSERT INTO rows VALUES (0)")
        assert prepare_log(connection, path, LENGTH_BYTES)
        for number in range(1, int(sys.argv[2]) + 1):
            connection.execute("INSERT INTO rows VALUES (?)", (number,))
        os.kill(os.getpid(), signal.SIGKILL)
    """,
        commits,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    length = log_of(path).stat().st_size
    assert length >= LENGTH_BYTES
    with closing(opened(path)) as connection:
        assert rows_of(path) == list(range(commits + 1))
        assert prepare_log(connection, path, LENGTH_BYTES)
        assert log_of(path).stat().st_size == length, "it has its length already"
        connection.execute("INSERT INTO rows VALUES (99)")
    assert rows_of(path) == [*range(commits + 1), 99]
    assert not log_of(path).exists(), "who opens it next prepares it anew"


def test_somebody_who_reads_meanwhile_goes_on_reading_what_was(
    connection: sqlite3.Connection, path: Path
) -> None:
    connection.execute("INSERT INTO rows VALUES (1)")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT * FROM rows").fetchall() == [(1,)]
        connection.execute("INSERT INTO rows VALUES (2)")
        assert prepare_log(connection, path, LENGTH_BYTES)
        connection.execute("INSERT INTO rows VALUES (3)")
        assert reader.execute("SELECT * FROM rows").fetchall() == [(1,)]
    assert rows_of(path) == [1, 2, 3]


def test_a_disk_with_little_room_is_left_to_the_orders(
    connection: sqlite3.Connection,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    usage = namedtuple("usage", "free")  # noqa: PYI024 - as shutil's, of which one field is read
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(4 * LENGTH_BYTES - 1))
    length = log_of(path).stat().st_size
    with caplog.at_level(logging.WARNING, prepared_log.__name__):
        assert not prepare_log(connection, path, LENGTH_BYTES)
    assert "some.db-wal was not given its 500000 bytes: the disk has 1999999" in caplog.text
    assert log_of(path).stat().st_size == length
    connection.execute("INSERT INTO rows VALUES (1)")
    monkeypatch.undo()
    assert rows_of(path) == [1]


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX'")
def test_a_disk_that_fills_up_meanwhile_gets_its_room_back_and_commits_go_on(path: Path) -> None:
    done = run(
        path,
        """
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        connection = opened(path)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        assert not prepare_log(connection, path, LENGTH_BYTES)
        assert not connection.in_transaction
        assert log_of(path).stat().st_size == 0
        for number in range(10):
            connection.execute("INSERT INTO rows VALUES (?)", (number,))
        os._exit(7)
    """,
    )
    assert done.returncode == 7, done.stderr
    assert "orders go on, but take longer" in done.stderr
    assert rows_of(path) == list(range(10))


@pytest.mark.skipif(os.name != "posix", reason="file size limits are POSIX'")
def test_on_a_disk_that_is_full_later_the_log_takes_what_fits_in_it(path: Path) -> None:
    done = run(
        path,
        """
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        connection = opened(path)
        assert prepare_log(connection, path, LENGTH_BYTES)
        length = log_of(path).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (length, length))
        number = 0
        try:
            while True:
                connection.execute("INSERT INTO rows VALUES (?)", (number,))
                number += 1
        except sqlite3.OperationalError:
            print(number, length == log_of(path).stat().st_size, flush=True)
        os._exit(7)
    """,
    )
    assert done.returncode == 7, done.stderr
    taken, kept = done.stdout.split()
    assert int(taken) > 100
    assert kept == "True"
    assert rows_of(path) == list(range(int(taken)))


def run(path: Path, story: str, number: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a story about the database in a process of its own."""
    head = """
        import os, resource, signal, sqlite3, sys
        from pathlib import Path
        from online.prepared_log import log_of, prepare_log
        from tests.unit.online.test_prepared_log import LENGTH_BYTES, opened
        path = Path(sys.argv[1])
    """
    return subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(head) + textwrap.dedent(story),
            str(path),
            str(number),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
