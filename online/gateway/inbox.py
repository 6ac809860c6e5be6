"""The durable inbox: every order the gateway ever accepted, once, and its fate.

SQLite in WAL mode with ``synchronous=FULL``; what a method wrote is on the disk when it returns.
An order is ``sending`` before the terminal hears of it; from there it goes the ways of
`online.domain.order_state` and no others. One found ``sending`` when the inbox is opened was cut
off by a crash: its fate is unknown.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from online.domain.called_reply import apart
from online.domain.errors import InvalidInput, InvalidSettings, Unavailable
from online.domain.order import Intent, OrderReply, Purpose
from online.domain.order_path import IllegalTransition, follow, restore
from online.domain.order_state import ENDED, RESTING, HandedOff, Sending, Stage, State
from online.domain.terminal_call import TerminalCall
from online.gateway.inbox_entry import COLUMNS, Entry, entry_of, pack, row_of
from online.gateway.inbox_tables import INSERT, INSERT_CALLS, OPEN_STAGES, make_tables
from online.lost_sync import is_sync_lost
from online.prepared_log import prepare_log

_TIDY_AFTER = 900
"""Writes that the log takes before it is brought into the tables, some 15 MiB."""
_IS_ENTRY = msgspec.msgpack.encode("purpose") + msgspec.msgpack.encode(Purpose.ENTRY)
"""Bytes that the stored intent of an entry holds, and no other's."""


class Inbox:
    """The orders of one account; use `open_inbox`.

    Parameters
    ----------
    connection
        Owned by this object from now on.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._written = self._seen = 0
        self._fault = ""  # it stays: what was written before may be lost with the power
        rows = connection.execute(
            f"SELECT intent_id, state FROM orders WHERE state IN ({OPEN_STAGES})"  # noqa: S608 - constants
        )
        self._open: dict[str, State] = {name: restore(Stage(stage)) for name, stage in rows}

    def accept(self, intents: Sequence[Intent], at_ns: int) -> None:
        """Write orders as ``sending``, all or none; a nanosecond apart, so that they keep order.

        Raises
        ------
        InvalidInput
            With code ``DUPLICATE_INTENT`` if the id of one was accepted before.
        Unavailable
            With code ``INBOX_UNAVAILABLE`` if they are not durable; none must be sent.
        """
        state = HandedOff().begin_sending()
        self._insert([row_of(intent, state, None, at) for at, intent in enumerate(intents, at_ns)])
        for intent in intents:
            self._keep(intent.intent_id, state)

    def decline(self, intent: Intent, reply: OrderReply, at_ns: int) -> None:
        """Write the fate of an order that never came, so that a late copy of it is not sent.

        Raises
        ------
        InvalidInput, Unavailable
            As `accept`.
        """
        state = follow(HandedOff(), reply.status)
        self._insert([row_of(intent, state, reply, at_ns)])
        self._keep(intent.intent_id, state)

    def record(self, intent_id: str, reply: OrderReply, at_ns: int) -> None:
        """Write what came back for an order that has not ended; calls that are known stay.

        It outlives this process, and the host once the next order is accepted: should power fail
        before, the order is found ``sending`` again, and looked for.

        Raises
        ------
        IllegalTransition
            If the order has ended, or cannot become so.
        Unavailable
            With code ``INBOX_UNAVAILABLE``; the order then stays without a known fate.
        """
        before = self._open.get(intent_id)
        if before is None:
            raise IllegalTransition(f"order {intent_id} has ended or was never accepted")
        state = follow(before, reply.status)
        ended_at_ns = at_ns if state.stage in ENDED else None
        alone, calls = apart(reply)
        self._run("PRAGMA synchronous=NORMAL")
        try:
            self._write(
                "UPDATE orders SET calls = coalesce(?, calls), state = ?, reply = ?, position = ?, "
                "ended_at_ns = ? WHERE intent_id = ?",
                calls,
                (state.stage, pack(alone), reply.position or None, ended_at_ns, intent_id),
            )
        finally:
            self._run("PRAGMA synchronous=FULL")
        self._keep(intent_id, state)

    def keep_calls(self, intent_id: str, calls: tuple[TerminalCall, ...]) -> None:
        """Write what is known of an order that a crash cut off, unless its calls are known.

        Raises
        ------
        Unavailable
            With code ``INBOX_UNAVAILABLE``.
        """
        self._write(
            "UPDATE orders SET calls = ? WHERE intent_id = ? AND state = ? AND calls IS NULL",
            calls,
            (intent_id, Stage.UNKNOWN),
        )

    @property
    def is_untidy(self) -> bool:
        """True once so much lies in the log that it should be brought into the tables."""
        return self._written >= _TIDY_AFTER

    def tidy(self) -> None:
        """Bring the log into the tables and begin it anew; it takes a while, so between orders.

        What cannot be brought there now stays in the log, which loses nothing.
        """
        self._written = self._seen = 0
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:  # no room: it is tried again
            self._note(error)

    def tidy_if_quiet(self) -> None:
        """Tidy if something was written, and nothing since this was last called."""
        quiet, self._seen = self._written == self._seen, self._written
        if quiet and self._written:
            self.tidy()

    def find(self, intent: Intent) -> Entry | None:
        """Return what is recorded of an order; None if it was never accepted.

        Raises
        ------
        InvalidInput
            With code ``INTENT_DIFFERS`` if another order has its id.
        """
        query = f"SELECT {COLUMNS} FROM orders WHERE intent_id = ?"  # noqa: S608 - constants
        rows = self._run(query, (intent.intent_id,))
        if not rows:
            return None
        entry = entry_of(rows[0])
        if entry.intent != intent:
            raise InvalidInput(
                f"intent {intent.intent_id} was accepted as {entry.intent}, not as {intent}",
                code="INTENT_DIFFERS",
            )
        return entry

    def open_orders(self) -> tuple[Entry, ...]:
        """Return the orders that have not ended, oldest first."""
        query = (
            f"SELECT {COLUMNS} FROM orders "  # noqa: S608 - constants
            f"WHERE state IN ({OPEN_STAGES}) ORDER BY accepted_at_ns"
        )
        return tuple(entry_of(row) for row in self._run(query))

    def unresolved(self) -> tuple[Entry, ...]:
        """Return the orders without a known fate, oldest first."""
        return tuple(entry for entry in self.open_orders() if entry.stage not in RESTING)

    def orders_of(self, position: int, except_for: str) -> tuple[int, ...]:
        """Return the broker's tickets of the orders on a position, one intent's left out."""
        query = "SELECT reply FROM orders WHERE position = ? AND intent_id != ?"
        replies = (
            msgspec.msgpack.decode(raw, type=OrderReply)
            for (raw,) in self._run(query, (position, except_for))
        )
        return tuple(sorted({reply.order for reply in replies if reply.order}))

    def entry_magics(self) -> frozenset[int]:
        """Return the magic numbers of all accepted orders: the positions that are ours."""
        return frozenset(row[0] for row in self._run("SELECT DISTINCT magic FROM orders"))

    def magic_of(self, position: int) -> int:
        """Return the magic number of the entry that opened a position; 0 if none of ours did.

        What was done to a stranger's position later makes it none of ours.
        """
        query = "SELECT magic FROM orders WHERE position = ? AND instr(intent, ?) > 0 LIMIT 1"
        rows = self._run(query, (position, _IS_ENTRY))
        return int(rows[0][0]) if rows else 0

    def fact(self, name: str) -> str:
        """Return a fact by its name; empty if it was never written."""
        rows = self._run("SELECT value FROM facts WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else ""

    def write_fact(self, name: str, value: str) -> None:
        """Write a fact over what it was; errors as `write_facts`."""
        self.write_facts({name: value})

    def write_facts(self, facts: Mapping[str, str]) -> None:
        """Write facts over what they were, all or none.

        Raises
        ------
        Unavailable
            With code ``INBOX_UNAVAILABLE``.
        """
        rows = ", ".join(["(?, ?)"] * len(facts))
        values = tuple(chain.from_iterable(facts.items()))
        self._run(f"INSERT OR REPLACE INTO facts VALUES {rows}", values)  # noqa: S608 - marks alone
        self._written += 1

    def count_up(self, name: str) -> int:
        """Raise a counted fact by one and return it."""
        value = int(self.fact(name) or "0") + 1
        self.write_fact(name, str(value))
        return value

    def close(self) -> None:
        """Let another gateway open the inbox."""
        self._connection.close()

    def _keep(self, intent_id: str, state: State) -> None:
        self._written += 1
        if state.stage in ENDED:
            self._open.pop(intent_id, None)
        else:
            self._open[intent_id] = state

    def _insert(self, rows: Sequence[tuple[object, ...]]) -> None:
        """Write new orders, all or none; the disk is waited for once."""
        if self._fault:
            raise _unavailable(self._fault)
        connection = self._connection
        try:
            if len(rows) == 1:
                connection.execute(INSERT, rows[0])
                return
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(INSERT, rows)
            connection.execute("COMMIT")
        except Exception as error:
            self._take_back()
            if isinstance(error, sqlite3.IntegrityError):
                names = ", ".join(str(row[0]) for row in rows)
                raise InvalidInput(
                    f"intent {names} was accepted before", code="DUPLICATE_INTENT"
                ) from error
            raise self._note(error) from error

    def _write(
        self, statement: str, calls: tuple[TerminalCall, ...], values: tuple[object, ...]
    ) -> None:
        """Write what became of an order with its calls, both or neither."""
        if not calls:
            self._run(statement, (None, *values))
            return
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute(INSERT_CALLS, (pack(calls),)).lastrowid
            connection.execute(statement, (row, *values))
            connection.execute("COMMIT")
        except Exception as error:
            self._take_back()
            raise self._note(error) from error

    def _take_back(self) -> None:
        """Undo what is half written: the next orders would be part of it, not durable."""
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    def _run(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except (sqlite3.Error, OverflowError) as error:  # the latter of a ticket beyond 63 bits
            raise self._note(error) from error

    def _note(self, error: Exception) -> Unavailable:
        """Return what is told of a failure; after a sync that failed no order is accepted."""
        told = str(error) or type(error).__name__
        if is_sync_lost(error):
            self._fault = f"{told}: nothing is accepted until the gateway is started again"
        return _unavailable(told)


def open_inbox(path: Path, log_bytes: int = 0) -> Inbox:
    """Open the inbox, alone; orders that a crash cut off become ``unknown``.

    Parameters
    ----------
    path
        SQLite file; made with its folder if absent.
    log_bytes
        Length its write-ahead log is given beforehand (>= 0), so that orders wait less for the
        disk; 0 lets it grow.

    Raises
    ------
    InvalidSettings
        With code ``INBOX_IN_USE`` if another gateway has it open, or if the file is no inbox.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=0.0, isolation_level=None)
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA fullfsync=ON")
            connection.execute("PRAGMA wal_autocheckpoint=0")  # `tidy` does it, between orders
            make_tables(connection)
            cut_off, found = Sending().stage, Sending().lose().stage
            connection.execute("UPDATE orders SET state = ? WHERE state = ?", (found, cut_off))
            with closing(connection.cursor()) as cursor:
                fresh = (uuid.uuid4().hex,)
                cursor.execute("INSERT OR IGNORE INTO facts VALUES ('inbox', ?)", fresh)
            prepare_log(connection, path, log_bytes)
        except sqlite3.Error:
            connection.close()
            raise
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise InvalidSettings(
                f"another gateway has {path} open: one gateway an account", code="INBOX_IN_USE"
            ) from error
        raise InvalidSettings(f"{path} cannot be opened: {error}") from error
    except (OSError, sqlite3.Error) as error:
        raise InvalidSettings(f"{path} is no inbox of a gateway: {error}") from error
    return Inbox(connection)


def _unavailable(told: str) -> Unavailable:
    return Unavailable(
        f"the gateway's inbox cannot be written: {told}",
        code="INBOX_UNAVAILABLE",
        remedy="Free space on the gateway's disk; no order is sent until it can be written.",
    )
