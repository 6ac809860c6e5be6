"""Who writes a journal: one process, which holds the database beside it locked."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from online.domain.errors import JournalUnavailable


def take_ownership(path: Path) -> sqlite3.Connection:
    """Lock the database beside the journal; the lock ends with the process, however it ends.

    Raises
    ------
    JournalUnavailable
        With code ``JOURNAL_IN_USE`` if another process holds it.
    """
    owner = sqlite3.connect(path.with_name(path.name + ".owner"), isolation_level=None, timeout=0.0)
    try:
        owner.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        owner.close()
        raise JournalUnavailable(
            f"journal {path} has another writer: {error}",
            code="JOURNAL_IN_USE",
            remedy="Stop the other scorer; one account has one journal and one writer.",
        ) from error
    return owner
