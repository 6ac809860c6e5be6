"""Journal in SQLite: append-only, hash-chained, durable when a durable `append` returns.

WAL mode. What comes together is committed together: with ``synchronous=FULL`` where anything in it
must be durable, so that concurrent appends share one fsync; else without waiting for the disk,
which `JournalSyncer` then does. While the disk is quick it is waited for right in the event loop:
the way to another thread and back takes longer. Else a writer thread waits. Either way a commit
survives the death of the process. Triggers refuse UPDATE and DELETE, a second database beside the
journal is held locked by its one writer, and the chain shows what got past both. Readers
(`read_decision`, `iterate`) may look on while the scorer runs.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from math import inf
from pathlib import Path
from time import perf_counter

from online.adapters.journal_batch import Batch, Entry, make_entry, settle, tell
from online.adapters.journal_owner import take_ownership
from online.adapters.journal_syncer import JournalSyncer
from online.domain.audit import columns_of
from online.domain.book import Book
from online.domain.errors import InvalidInput, JournalCorrupt, JournalUnavailable, NotFound
from online.domain.record import GENESIS, Record, chain, decode_record
from online.lost_sync import is_sync_lost
from online.prepared_log import prepare_log

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    sequence INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    decision_id TEXT,
    body BLOB NOT NULL,
    previous_hash TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS records_of_decision
    ON records (decision_id) WHERE decision_id IS NOT NULL;
CREATE TRIGGER IF NOT EXISTS records_refuse_update BEFORE UPDATE ON records
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only: no UPDATE'); END;
CREATE TRIGGER IF NOT EXISTS records_refuse_delete BEFORE DELETE ON records
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only: no DELETE'); END;
"""
QUICK_SECONDS = 0.001
"""A disk that takes no longer is waited for in the event loop."""
_RELIEF = 0.75
"""How much of a slow wait is still remembered after the next."""
_INSERT = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)"
_ROWS = """
SELECT sequence, kind, decision_id, body, previous_hash, hash FROM records ORDER BY sequence
"""
_HEAD = "SELECT sequence, hash FROM records ORDER BY sequence DESC LIMIT 1"
_REMEDY = "Name the home of a scorer that has run (--home), or its journal."
_OF_DECISION = "SELECT body FROM records WHERE decision_id = ? ORDER BY sequence"


class SqliteJournal:
    """The durable journal; use `open_journal`.

    Parameters
    ----------
    connection
        Of the journal, owned by this object from now on.
    owner
        Connection that holds the lock of the one writer.
    path
        The journal's file.
    log_bytes
        Length its log was prepared with; 0 if it was not.
    """

    def __init__(
        self, connection: sqlite3.Connection, owner: sqlite3.Connection, path: Path, log_bytes: int
    ) -> None:
        self._connection = connection
        self._owner = owner
        self._lock = threading.Lock()  # whoever commits holds it
        self._head: tuple[int, str] = connection.execute(_HEAD).fetchone() or (0, GENESIS)
        self._waiting: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._closed = False
        self._full = True
        self._together: list[Batch] = []
        self._unheard = 0  # callers that wait, or were told and have not gone on yet
        self._fault = ""  # it stays: nothing may be sent on top of it
        self._disk_seconds = inf  # of a commit, by the slowest lately; not known yet
        self._syncer = JournalSyncer(path, self._lock, log_bytes)
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    async def append(self, *records: Record, durable: bool = True) -> None:
        """Append records together; `durable` as the port says. One event loop at a time.

        Callers go on in the order of their records.

        Raises
        ------
        JournalUnavailable
            If they could not be written; none of them was appended.
        """
        if self._closed:
            raise JournalUnavailable("the journal is closed")
        if self._fault:
            raise JournalUnavailable(self._fault)
        if self._syncer.trouble:
            raise JournalUnavailable(f"the journal cannot be synced: {self._syncer.trouble}")
        entries = tuple([make_entry(record) for record in records])
        if not entries:
            return
        loop = asyncio.get_running_loop()
        if self._together and self._together[0].loop is not loop:
            self._leave_to_writer()  # of a loop that has ended
        if not durable and not self._unheard and self._lock.acquire(blocking=False):
            try:  # the disk is not waited for: quicker here than by way of another thread
                error = self._commit([entries], full=False)
            finally:
                self._lock.release()
            if error is not None:
                raise error
            return
        written: asyncio.Future[None] = loop.create_future()
        batch = Batch(entries, durable, loop, written)
        if self._together:
            self._together.append(batch)
        elif self._waiting.empty() and self._disk_seconds <= QUICK_SECONDS:
            self._together.append(batch)
            loop.call_soon(self._write_together)
        else:
            self._waiting.put(batch)
        self._unheard += 1
        try:
            await written
        finally:
            self._unheard -= 1

    def close(self) -> None:
        """Write what waits, end the writer and give up the lock."""
        if self._closed:
            return
        self._closed = True
        self._leave_to_writer()
        self._waiting.put(None)
        self._writer.join()
        self._syncer.close()
        with self._lock:
            self._connection.close()
        self._owner.close()

    def _write_together(self) -> None:
        """Commit what has come in one turn of the event loop, and tell; another may be at it."""
        if not self._together:
            return
        if not self._lock.acquire(blocking=False):
            self._leave_to_writer()
            return
        try:
            full = any(batch.durable for batch in self._together)
            error = self._commit([batch.entries for batch in self._together], full=full)
        finally:
            self._lock.release()
        if error is not None and len(self._together) > 1:
            self._leave_to_writer()  # one too large must not fail the others
        else:
            together, self._together = self._together, []
            if len(together) == self._unheard:
                settle([batch.written for batch in together], error)
            else:  # the writer may have told others, who have not heard it yet
                tell(together, error)

    def _leave_to_writer(self) -> None:
        together, self._together = self._together, []
        for batch in together:
            self._waiting.put(batch)

    def _write(self) -> None:
        """Take everything that waits, commit it together, tell; until closed."""
        open_ = True
        while open_:
            batches = [self._waiting.get()]
            while not self._waiting.empty():
                batches.append(self._waiting.get())
            open_ = None not in batches
            told = [batch for batch in batches if batch is not None]
            if told:
                with self._lock:  # told in the order of their commits
                    self._commit_batches(told)

    def _commit_batches(self, batches: list[Batch]) -> None:
        """Commit what came together and tell; the lock is held."""
        full = any(batch.durable for batch in batches)
        error = self._commit([batch.entries for batch in batches], full=full)
        if error is not None and len(batches) > 1:  # one too large must not fail the others
            for batch in batches:
                tell([batch], self._commit([batch.entries], full=batch.durable))
        else:
            tell(batches, error)

    def _commit(self, groups: list[tuple[Entry, ...]], *, full: bool) -> JournalUnavailable | None:
        """Write groups of entries in one transaction, all or nothing; the lock is held."""
        if self._fault:
            return JournalUnavailable(self._fault)
        connection = self._connection
        try:
            if full is not self._full:
                connection.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
                self._full = full
            sequence, previous = self._head
            rows = []
            for entries in groups:
                for entry in entries:
                    sequence += 1
                    sealed = chain(previous, entry.body)
                    rows.append((sequence, *entry, previous, sealed))
                    previous = sealed
            began = perf_counter()
            if len(rows) == 1:
                connection.execute(_INSERT, rows[0])  # a transaction by itself
            else:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(_INSERT, rows)
                connection.execute("COMMIT")
            if full:
                self._learn(perf_counter() - began)
            self._head = sequence, previous
            self._syncer.ask(sum([len(row[3]) for row in rows]), is_synced=full)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must hear of it
            return self._give_up(error)
        return None

    def _give_up(self, error: Exception) -> JournalUnavailable:
        """Take a commit back; after what a later one does not mend nothing is taken any more."""
        with suppress(sqlite3.Error):  # SQLite has rolled back by itself where it had to
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        told = f"the journal cannot be written: {str(error) or type(error).__name__}"
        if not isinstance(error, sqlite3.Error) or is_sync_lost(error):
            self._fault = f"{told}; it takes nothing until it is opened again"
        return JournalUnavailable(told)

    def _learn(self, seconds: float) -> None:
        """Remember how long the disk takes: a slow wait for a while, a quick one at once."""
        if self._disk_seconds < inf:
            seconds = max(seconds, _RELIEF * self._disk_seconds + (1.0 - _RELIEF) * seconds)
        self._disk_seconds = seconds


def open_journal(path: Path, log_bytes: int = 0) -> tuple[SqliteJournal, Book]:
    """Open a journal for writing, verify its whole chain and fold it into a book.

    Parameters
    ----------
    path
        SQLite file; made with its folder if absent.
    log_bytes
        Length its write-ahead log is given beforehand (>= 0), so that orders wait less for the
        disk; 0 lets it grow.

    Returns
    -------
    tuple
        The journal, and the book its records give.

    Raises
    ------
    JournalUnavailable
        If it cannot be opened, or another process writes it.
    JournalCorrupt
        Naming the first record that is not as it was written.
    """
    owner = connection = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        owner = take_ownership(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_autocheckpoint=0")  # `JournalSyncer` does it, aside
        connection.executescript(_SCHEMA)
        book = _fold(_verified(connection, path), path)
        is_prepared = prepare_log(connection, path, log_bytes)
    except (OSError, sqlite3.Error, JournalCorrupt, JournalUnavailable) as error:
        for opened in (connection, owner):
            if opened is not None:
                opened.close()
        if isinstance(error, sqlite3.DatabaseError) and "malformed" in str(error):
            raise JournalCorrupt(f"journal {path}: {error}") from error
        if isinstance(error, (OSError, sqlite3.Error)):
            raise JournalUnavailable(f"journal {path} cannot be opened: {error}") from error
        raise
    return SqliteJournal(connection, owner, path, log_bytes if is_prepared else 0), book


def _fold(records: Iterator[Record], path: Path) -> Book:
    """Return the book that records give; one that tells what cannot be is named."""
    book = Book()
    for sequence, record in enumerate(records, start=1):
        try:
            book.apply(record)
        except JournalCorrupt as error:
            told = f"journal {path}: record {sequence}: {error}"
            raise JournalCorrupt(told, code=error.code) from error
    return book


def verify(path: Path) -> int:
    """Check a journal's whole chain and return the number of its records.

    Raises
    ------
    NotFound, InvalidInput, JournalUnavailable
        If there is no journal, the file is none, or it cannot be read now.
    JournalCorrupt
        Naming the first record that is not as it was written.
    """
    return sum(1 for _ in iterate(path))


def iterate(path: Path) -> Iterator[Record]:
    """Yield every record of a journal, oldest first, the chain checked on the way.

    Raises
    ------
    NotFound, InvalidInput, JournalUnavailable
        If there is no journal, the file is none, or it cannot be read now.
    JournalCorrupt
        Naming the first record that is not as it was written.
    """
    with _reading(path) as connection:
        yield from _verified(connection, path)


def read_decision(path: Path, decision_id: str) -> tuple[Record, ...]:
    """Return a decision's record and what followed from it, oldest first.

    Raises
    ------
    NotFound
        With code ``UNKNOWN_DECISION`` if the journal holds no such decision.
    InvalidInput, JournalUnavailable, JournalCorrupt
        As `iterate`.
    """
    with _reading(path) as connection:
        rows = connection.execute(_OF_DECISION, (decision_id,)).fetchall()
    if not rows:
        raise NotFound(
            f"the journal holds no decision {decision_id!r}",
            code="UNKNOWN_DECISION",
            remedy="Take the decision_id from an answer of the scorer, or from the journal.",
        )
    return tuple(decode_record(body) for (body,) in rows)


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a journal for reading; what SQLite says of it becomes an error of ours."""
    if not path.is_file():
        raise NotFound(f"there is no journal at {path}", remedy=_REMEDY)
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            yield connection
    except sqlite3.Error as error:
        told = str(error)
        if "not a database" in told or "no such table" in told:
            raise InvalidInput(
                f"{path} is no journal: {told}", code="NOT_A_JOURNAL", remedy=_REMEDY
            ) from error
        if "malformed" in told:
            raise JournalCorrupt(f"journal {path}: {told}") from error
        raise JournalUnavailable(f"journal {path} cannot be read: {told}") from error


def _verified(connection: sqlite3.Connection, path: Path) -> Iterator[Record]:
    previous, expected = GENESIS, 1
    for sequence, kind, decision_id, body, before, sealed in connection.execute(_ROWS):
        if sequence != expected:
            raise JournalCorrupt(f"journal {path}: record {expected} is missing")
        intact = isinstance(body, bytes) and chain(previous, body) == sealed
        if before != previous or not intact:
            raise JournalCorrupt(
                f"journal {path}: record {sequence} is not as it was written: "
                f"its hash does not follow from the one before"
            )
        try:
            record = decode_record(body)
        except JournalCorrupt as error:
            told = f"journal {path}: record {sequence}: {error}"
            raise JournalCorrupt(told, code=error.code, remedy=error.remedy) from error
        if (kind, decision_id) != columns_of(record):
            raise JournalCorrupt(
                f"journal {path}: record {sequence} is not as it was written: it is stored as "
                f"{kind!r} of decision {decision_id!r}, its body says {columns_of(record)}"
            )
        yield record
        previous, expected = sealed, expected + 1
