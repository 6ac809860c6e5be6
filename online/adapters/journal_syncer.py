"""The journal's second thread: brings to the disk what was committed without waiting for it."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from online.lost_sync import is_sync_lost
from online.prepared_log import log_of

SYNC_WITHIN_S = 1.0
"""Longest time between a commit that did not wait and its fsync's start."""

CHECKPOINT_BYTES = 2 * 2**20
"""So much of the log is used before its pages are brought into the database and it begins anew,
or half of the length it was prepared with. It keeps its length: it is written over."""
_PAGES_OF_A_COMMIT = 3
_PAGE_BYTES = 4_096 + 24
_sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class JournalSyncer:
    """Syncs a journal's log soon after it is asked to; many asks share one fsync.

    Parameters
    ----------
    journal
        SQLite file in WAL mode: every commit lies in the log beside it until a checkpoint, which
        is made here too, so that hardly a commit has to wait for one.
    commits
        Held by whoever commits.
    log_bytes
        Length the log was prepared with (>= 0).

    Attributes
    ----------
    trouble : str
        Why a sync failed; empty while all is well. It stays: what was not synced may be lost, and
        nothing may be sent on top of it.
    """

    def __init__(self, journal: Path, commits: threading.Lock, log_bytes: int = 0) -> None:
        self.trouble = ""
        self._journal = journal
        self._commits = commits
        self._log = log_of(journal)
        self._enough_bytes = max(CHECKPOINT_BYTES, log_bytes // 2)
        self._used_bytes = 0
        self._is_unsynced = False
        self._asked = threading.Event()
        self._hurry = threading.Event()  # once enough is used, and when closing
        self._has_hurried = False
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="journal sync", daemon=True)
        self._thread.start()

    def ask(self, body_bytes: int = 0, *, is_synced: bool = False) -> None:
        """Have what is written by now synced within `SYNC_WITHIN_S`; `commits` is held.

        Parameters
        ----------
        body_bytes
            Of the records in the commit.
        is_synced
            The commit has waited for the disk itself.
        """
        self._used_bytes += body_bytes + _PAGES_OF_A_COMMIT * _PAGE_BYTES
        self._is_unsynced |= not is_synced
        if self._used_bytes >= self._enough_bytes and not self._has_hurried:
            self._has_hurried = True  # once: while somebody reads it is tried every second
            self._hurry.set()
        if not self._asked.is_set():  # to set it again takes a lock, each time
            self._asked.set()

    def close(self) -> None:
        """Sync what was asked for and end."""
        self._is_closing = True
        self._hurry.set()
        self._asked.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._is_closing:
            self._asked.wait()
            self._hurry.wait(SYNC_WITHIN_S)
            self._hurry.clear()
            self._asked.clear()
            self._sync()
        self._sync()  # what was asked for while the last one ran

    def _sync(self) -> None:
        try:
            if self._is_unsynced:
                self._is_unsynced = False  # before: what is written from here on is synced later
                self._sync_log()
            if self._used_bytes >= self._enough_bytes:
                self._checkpoint()
        except Exception as error:  # noqa: BLE001 - the edge of a thread: nobody else would hear it
            self.trouble = str(error) or type(error).__name__

    def _sync_log(self) -> None:
        """Sync the log; it is there as long as the journal is open, else commits go nowhere."""
        descriptor = os.open(self._log, os.O_RDWR)
        try:
            _sync_data(descriptor)
        finally:
            os.close(descriptor)

    def _checkpoint(self) -> None:
        """Move the log's pages into the database; what cannot be moved now stays in the log.

        Nearly all of it while others commit; then nobody does for the rest, which is little, and
        the log is begun anew.
        """
        try:
            with closing(sqlite3.connect(self._journal, timeout=0.0)) as connection:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                with self._commits:
                    restart = connection.execute("PRAGMA wal_checkpoint(RESTART)")
                    (is_busy, _, _) = restart.fetchone()
                    if not is_busy:
                        self._used_bytes, self._has_hurried = 0, False
        except sqlite3.Error as error:
            if is_sync_lost(error):
                raise
            # No room: the log keeps everything, and the next sync tries again.
