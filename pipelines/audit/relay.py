"""The relay: the journal's copy in PostgreSQL, in order and exactly once.

One step is one transaction: lock the journal's row, read what comes next from the journal, check
that it follows from what PostgreSQL holds, insert it, move the row. A step that was cut anywhere,
by a kill, a crash or a lost acknowledgement of its commit, is simply taken again: the row says what
arrived. The journal is opened read-only, a page at a time; the scorer never waits for the relay.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from sqlalchemy import Connection, Engine, func, select, update
from sqlalchemy.dialects.postgresql import insert
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    stop_never,
    stop_when_event_set,
    wait_exponential_jitter,
)
from tenacity.nap import sleep_using_event

from online.adapters.journal_reader import read_page, read_sealed
from online.domain.audit import Anchor, SealedRecord, audit, check_body, check_link
from online.domain.breaker import Breaker, BreakerRules
from online.domain.errors import JournalUnavailable, Unavailable
from online.domain.market import NANOSECONDS_PER_SECOND
from pipelines.audit.answers import SILENCE, different, first_line, judged
from pipelines.audit.postgres import JOURNALS, RECORDS

BATCH_RECORDS = 500
PATIENCE_SECONDS = 30.0
T = TypeVar("T")
_log = logging.getLogger(__name__)


class Lag(msgspec.Struct, frozen=True):
    """How far PostgreSQL is behind the journal.

    Parameters
    ----------
    journal_id
        Hash of the journal's first record; empty while it has none.
    journal_sequence, relayed_sequence
        Last record of the journal and of its copy.
    records
        Their difference.
    seconds
        Age of the oldest record that is not in PostgreSQL yet, by this host's clock; 0.0 when
        nothing is waiting.
    """

    journal_id: str
    journal_sequence: int
    relayed_sequence: int
    records: int
    seconds: float


class Relay:
    """Copies one journal into PostgreSQL.

    Parameters
    ----------
    journal
        The scorer's SQLite journal.
    engine
        Connections to a migrated database.
    batch_records
        Most records in one transaction (> 0).
    patience_seconds
        How long an outage of PostgreSQL is borne before giving up; None for ever.
    stopping
        Set by whoever wants the relay to end after the step it is in.

    Attributes
    ----------
    breaker
        How PostgreSQL answers; the relay is its one caller and asks later and later by itself.
    noticed
        Called after every attempt.
    """

    def __init__(
        self,
        journal: Path,
        engine: Engine,
        batch_records: int = BATCH_RECORDS,
        patience_seconds: float | None = PATIENCE_SECONDS,
        stopping: threading.Event | None = None,
    ) -> None:
        self._journal = journal
        self._engine = engine
        self._batch_records = batch_records
        self._patience_seconds = patience_seconds
        self._stopping = stopping or threading.Event()
        self.breaker = Breaker("postgres", BreakerRules())
        self.noticed: Callable[[], None] = lambda: None

    def check(self) -> int:
        """Verify the journal's whole chain; return the number of its records.

        Raises
        ------
        JournalCorrupt
            Naming the first bad record; such a journal is not relayed.
        """
        return audit(read_sealed(self._journal)).records

    def catch_up(self) -> int:
        """Relay until nothing waits; return the number of records relayed.

        Raises
        ------
        JournalCorrupt
            If the journal is not as it was written, or does not continue what PostgreSQL holds.
        Unavailable
            If PostgreSQL did not answer for as long as the relay is patient.
        """
        total = 0
        while not self._stopping.is_set() and (count := self.patiently(self.step)):
            total += count
        return total

    def follow(self, poll_seconds: float, tell: Callable[[int], None] = lambda _: None) -> int:
        """Relay what is there and what comes, until told to stop; errors as `catch_up`.

        Parameters
        ----------
        poll_seconds
            Between two looks at a journal where nothing waited.
        tell
            Called with the number of records after every look that found some.

        Returns
        -------
        int
            Records relayed.
        """
        total = 0
        while True:
            try:
                count = self.catch_up()
                total += count
                if count:
                    tell(count)
            except Unavailable:
                if not self._stopping.is_set():
                    raise
                return total
            if self._stopping.wait(poll_seconds):
                return total

    def step(self) -> int:
        """Relay one batch in one transaction and return its size; 0 if nothing waited."""
        first = read_page(self._journal, 0, 1)
        if not first:
            return 0
        journal_id = first[0].hash
        with judged(), self._engine.begin() as connection:
            held = _lock(connection, journal_id)
            batch = _read_next(self._journal, held, self._batch_records)
            if not batch:
                return 0
            connection.execute(RECORDS.insert(), [_row(journal_id, sealed) for sealed in batch])
            connection.execute(
                update(JOURNALS)
                .where(JOURNALS.c.journal_id == journal_id)
                .values(
                    relayed_sequence=batch[-1].sequence,
                    relayed_hash=batch[-1].hash,
                    relayed_at=func.clock_timestamp(),
                )
            )
        return len(batch)

    def lag(self, now_ns: int | None = None) -> Lag:
        """Return how far PostgreSQL is behind.

        Parameters
        ----------
        now_ns
            The clock, nanoseconds UTC; this host's if None.
        """
        first = read_page(self._journal, 0, 1)
        journal_id = first[0].hash if first else ""
        held = self.patiently(lambda: read_held(self._engine, journal_id))
        waiting, last = 0, held.sequence
        seconds = 0.0
        while page := read_page(self._journal, last, 1000):
            if not waiting:
                now_ns = time.time_ns() if now_ns is None else now_ns
                seconds = (now_ns - check_body(page[0]).at_ns) / NANOSECONDS_PER_SECOND
            waiting += len(page)
            last = page[-1].sequence
        return Lag(journal_id, held.sequence + waiting, held.sequence, waiting, max(seconds, 0.0))

    def patiently(self, step: Callable[[], T]) -> T:
        """Take a step; while PostgreSQL does not answer, take it again, later and later.

        Raises
        ------
        Unavailable
            If it did not answer for as long as the relay is patient.
        """
        patience = self._patience_seconds
        patient = stop_never if patience is None else stop_after_delay(patience)
        attempts = Retrying(
            retry=retry_if_exception_type((*SILENCE, JournalUnavailable)),
            wait=wait_exponential_jitter(initial=0.05, max=5.0, jitter=0.1),
            stop=patient | stop_when_event_set(self._stopping),
            sleep=sleep_using_event(self._stopping),
            before_sleep=_say_retry,
            reraise=True,
        )

        def attempt() -> T:
            try:
                answer = step()
            except SILENCE as error:
                self.breaker.fail(time.time_ns(), first_line(error))
                self.noticed()
                raise
            self.breaker.succeed()
            self.noticed()
            return answer

        try:
            return attempts(attempt)
        except SILENCE as error:
            raise Unavailable(
                f"PostgreSQL did not answer for {patience} s: {first_line(error)}",
                remedy="Check its address and that it runs; the relay resumes where it stopped.",
            ) from error


def read_held(engine: Engine, journal_id: str) -> Anchor:
    """Return how far the copy of a journal reaches."""
    query = select(JOURNALS.c.relayed_sequence, JOURNALS.c.relayed_hash)
    with judged(), engine.connect() as connection:
        row = connection.execute(query.where(JOURNALS.c.journal_id == journal_id)).first()
    return Anchor() if row is None else Anchor(*row)


def _lock(connection: Connection, journal_id: str) -> Anchor:
    """Return how far the copy reaches; no other relay moves it until the transaction ends."""
    connection.execute(insert(JOURNALS).values(journal_id=journal_id).on_conflict_do_nothing())
    query = select(JOURNALS.c.relayed_sequence, JOURNALS.c.relayed_hash)
    locked = query.where(JOURNALS.c.journal_id == journal_id).with_for_update()
    return Anchor(*connection.execute(locked).one())


def _read_next(journal: Path, held: Anchor, count: int) -> list[SealedRecord]:
    """Return what follows what PostgreSQL holds, every record checked."""
    page = read_page(journal, max(held.sequence - 1, 0), count + 1)
    if held.sequence:
        last = page.pop(0) if page else None
        if last is None or last.sequence != held.sequence:
            raise different(held.sequence, "is in PostgreSQL and missing from the journal")
        if last.hash != held.hash:
            raise different(
                held.sequence, f"has hash {last.hash} in the journal, {held.hash} in PostgreSQL"
            )
    place = held
    for sealed in page[:count]:
        place = check_link(place, sealed)
        check_body(sealed)
    return page[:count]


def _row(journal_id: str, sealed: SealedRecord) -> dict[str, object]:
    return {
        "journal_id": journal_id,
        "sequence": sealed.sequence,
        "raw": sealed.body,
        "previous_hash": sealed.previous_hash,
        "hash": sealed.hash,
    }


def _say_retry(state: RetryCallState) -> None:
    failure = state.outcome.exception() if state.outcome is not None else None
    pause = state.next_action.sleep if state.next_action is not None else 0.0
    said = first_line(failure) if failure is not None else "no answer"
    _log.warning("attempt %d: %s; again in %.2f s", state.attempt_number, said, pause)
