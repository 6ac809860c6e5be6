"""The journal's second thread: brings to the disk what was committed without waiting for it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

SYNC_WITHIN_S = 0.05
"""Longest time between a commit that did not wait and its fsync's start."""


class JournalSyncer:
    """Syncs a file soon after it is asked to; many asks share one fsync.

    Parameters
    ----------
    wal
        SQLite's write-ahead log: every commit lies in it until a checkpoint, which syncs by itself.

    Attributes
    ----------
    trouble : str
        Why the last fsync failed; empty while all is well. It stays: what was not synced may be
        lost, and nothing may be sent on top of it.
    """

    def __init__(self, wal: Path) -> None:
        self.trouble = ""
        self._wal = wal
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
            finally:
                os.close(descriptor)
        except FileNotFoundError:
            return  # checkpointed and removed: it is in the database, synced
        except OSError as error:
            self.trouble = str(error)
