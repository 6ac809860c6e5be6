"""A write-ahead log that has its length before it is needed.

A commit that makes SQLite's log longer is news for the file system: it writes the file's length and
map of blocks too, and a journal of its own where it keeps one, with what others have written there.
A commit that is written over what is there waits for its own pages alone. So the log is made long
at the start.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

LOG_BYTES = 16 * 2**20
"""Length of a serving process's log: some thousand orders before it must begin anew."""
MAX_LOG_BYTES = 512 * 2**20
_SPARE = 3
"""As much again as this many logs must be left free on the disk, else nothing is prepared."""
_FRAME_HEADER_BYTES = 24
_OVERFLOW_POINTER_BYTES = 4
_CACHE_PAGES = 10
_log = logging.getLogger(__name__)


def log_of(database: Path) -> Path:
    """Return where SQLite keeps the write-ahead log of a database."""
    return database.with_name(f"{database.name}-wal")


def prepare_log(connection: sqlite3.Connection, database: Path, length_bytes: int) -> bool:
    """Give a database's write-ahead log a length, written and synced; tell whether it has it.

    It only saves time, so what fails leaves the log as it would be without it, and a warning.
    SQLite deletes the log when the database is closed, so whoever opens one prepares it anew.

    Parameters
    ----------
    connection
        The one writer's, in WAL mode, in no transaction, ``isolation_level`` None.
    database
        Its file.
    length_bytes
        Least length of the log (>= 0); 0 leaves it as it is.
    """
    if not length_bytes:
        return False
    log = log_of(database)
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        if _length_bytes(log) < length_bytes:
            free_bytes = shutil.disk_usage(database.parent).free
            if free_bytes < (1 + _SPARE) * length_bytes:
                _warn(log, length_bytes, f"the disk has {free_bytes} bytes left")
                return False
            _write_through(connection, length_bytes)
        _sync(log)
    except (OSError, sqlite3.Error) as error:
        with suppress(sqlite3.Error):  # the room is given back, if nobody reads
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        _warn(log, length_bytes, str(error))
        return False
    return True


def _write_through(connection: sqlite3.Connection, length_bytes: int) -> None:
    """Write so many bytes into the log and take them back: they never were in the database.

    Of a transaction larger than the cache SQLite writes pages into the log before it ends. Rolled
    back, they bear no mark of a commit, so nobody ever reads them, and the next commit is written
    over them.
    """
    (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
    (cache,) = connection.execute("PRAGMA cache_size").fetchone()
    pages = length_bytes // (page_bytes + _FRAME_HEADER_BYTES) + 2 * _CACHE_PAGES
    room_bytes = pages * (page_bytes - _OVERFLOW_POINTER_BYTES)
    connection.execute(f"PRAGMA cache_size={_CACHE_PAGES}")
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute("CREATE TABLE room (content BLOB)")
            connection.execute("INSERT INTO room VALUES (zeroblob(?))", (room_bytes,))
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    finally:
        connection.execute(f"PRAGMA cache_size={cache}")


def _length_bytes(log: Path) -> int:
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0


def _sync(log: Path) -> None:
    descriptor = os.open(log, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _warn(log: Path, length_bytes: int, why: str) -> None:
    _log.warning(
        "%s was not given its %d bytes: %s; orders go on, but take longer until it has grown",
        log,
        length_bytes,
        why,
    )
