"""The journal's second thread: brings to the disk what was committed without waiting for it."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

SYNC_WITHIN_S = 1.0
"""Longest time between a commit that did not wait and its fsync's start."""

CHECKPOINT_BYTES = 2 * 2**20
"""Length of the log from which its pages are brought into the database and it begins anew.

A log that is written over costs a commit half the wait of one that grows: its length is no news
for the file system. So it is kept short."""


class JournalSyncer:
    """Syncs a journal's log soon after it is asked to; many asks share one fsync.

    Parameters
    ----------
    journal
        SQLite file in WAL mode: every commit lies in the log beside it until a checkpoint, which
        is made here too, so that hardly a commit has to wait for one.
    commits
        Held by whoever commits.

    Attributes
    ----------
    trouble : str
        Why the last fsync failed; empty while all is well. It stays: what was not synced may be
        lost, and nothing may be sent on top of it.
    """

    def __init__(self, journal: Path, commits: threading.Lock) -> None:
        self.trouble = ""
        self._journal = journal
        self._commits = commits
        self._wal = journal.with_name(f"{journal.name}-wal")
        self._asked = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="journal sync", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Have what is written by now synced within `SYNC_WITHIN_S`."""
        self._asked.set()

    def close(self) -> None:
        """Sync what was asked for and end."""
        self._closing.set()
        self._asked.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._asked.wait()
            self._closing.wait(SYNC_WITHIN_S)
            self._asked.clear()
            self._sync()

    def _sync(self) -> None:
        try:
            descriptor = os.open(self._wal, os.O_RDWR)
            try:
                os.fsync(descriptor)
                length = os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return  # checkpointed and removed: it is in the database, synced
        except OSError as error:
            self.trouble = str(error)
            return
        if length >= CHECKPOINT_BYTES:
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Move the log's pages into the database; what cannot be moved now stays in the log.

        Nearly all of it while others commit; then nobody does for the rest, which is little, and
        the log is begun anew.
        """
        try:
            with closing(sqlite3.connect(self._journal, timeout=0.0)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                with self._commits:
                    connection.execute("PRAGMA wal_checkpoint(RESTART)")
        except sqlite3.Error:
            return  # busy, or no room: the log keeps everything, and the next sync tries again
