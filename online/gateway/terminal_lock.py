"""The lock of the one order worker: an older one that still lives is ended, never doubled.

A gateway that was killed may leave an order worker inside a call that does not return. While that
process lives its order may still go out, so a new worker ends it before it touches the terminal.

Two databases are locked: one for as long as the worker lives, the other, the door, only until the
worker has written its process number down. Who has the door and finds the first one locked reads
the number of the very process that locks it, never one that the system has given to somebody else.
"""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from online.domain.errors import Unavailable

_PATIENCE_SECONDS = 5.0
_log = logging.getLogger(__name__)


def hold_lock(path: Path) -> sqlite3.Connection:
    """Take the lock and return what holds it, for as long as this process lives.

    Parameters
    ----------
    path
        A file beside the inbox; the holder's process id is in ``<path>.pid``.

    Raises
    ------
    Unavailable
        With code ``WORKER_LINGERS`` if an older worker cannot be ended, ``LOCK_UNUSABLE`` if the
        files cannot be used; then nobody is ended.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    try:
        with closing(_open(path.with_name(f"{path.name}.door"))) as door:
            while not _is_taken(door):
                _check_patience(path, until, "another order worker is being started")
            connection = _open(path)
            try:
                while not _is_taken(connection):
                    holder = _holder(path)
                    _check_patience(path, until, f"an older order worker (process {holder}) lives")
                    _end(holder)
                _pid_file(path).write_text(str(os.getpid()), encoding="ascii")
            except BaseException:
                connection.close()
                raise
            return connection
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(
            f"the order worker's lock {path} cannot be used: {error}",
            code="LOCK_UNUSABLE",
            remedy="See that the gateway may write its folder and that its disk has room.",
        ) from error


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=0.05, isolation_level=None)


def _is_taken(connection: sqlite3.Connection) -> bool:
    """Lock a database against all who would lock it, not who reads it; tell whether it is done."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True


def _check_patience(path: Path, until: float, why: str) -> None:
    if time.monotonic() >= until:
        raise Unavailable(
            f"{path} is locked: {why}",
            code="WORKER_LINGERS",
            remedy="End that process by hand, then start the gateway again.",
        )


def _end(process_id: int) -> None:
    """End the holder: the lock is held, so the process that wrote its id lives."""
    if process_id in {0, os.getpid()}:
        return
    _log.warning("ending the order worker that an older gateway left: process %d", process_id)
    with suppress(OSError):  # it has just ended, which Windows calls a wrong parameter
        os.kill(process_id, getattr(signal, "SIGKILL", signal.SIGTERM))


def _holder(path: Path) -> int:
    try:
        return int(_pid_file(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _pid_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.pid")
