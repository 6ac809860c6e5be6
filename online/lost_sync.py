"""A sync that failed: what was written before it may be lost, and no later sync tells."""

from __future__ import annotations

import sqlite3


def is_sync_lost(error: BaseException) -> bool:
    """Tell whether SQLite could not have written pages brought to the disk.

    The system forgets which pages it could not write, so the next sync succeeds without them, and
    a log with a hole ends there when power fails. Only a start reads it anew.

    Examples
    --------
    >>> is_sync_lost(sqlite3.OperationalError("database or disk is full"))
    False
    """
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR_FSYNC
