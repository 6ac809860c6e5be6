"""The lock of the one order worker: an older one that still lives is ended, never doubled.

A gateway that was killed may leave an order worker inside a call that does not return. While that
process lives its order may still go out, so a new worker ends it before it touches the terminal.
"""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import time
from contextlib import suppress
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
        With code ``WORKER_LINGERS`` if an older worker cannot be ended.
    """
    until = time.monotonic() + _PATIENCE_SECONDS
    connection = sqlite3.connect(path, timeout=0.05, isolation_level=None)
    while True:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            holder = _holder(path)
            if time.monotonic() >= until:
                connection.close()
                raise Unavailable(
                    f"an older order worker (process {holder}) still holds {path}: {error}",
                    code="WORKER_LINGERS",
                    remedy="End that process by hand, then start the gateway again.",
                ) from error
            _end(holder)
        else:
            _pid_file(path).write_text(str(os.getpid()), encoding="ascii")
            return connection


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
