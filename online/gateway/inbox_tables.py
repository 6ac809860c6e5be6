"""The inbox's tables, and how those of an older Sextant become them."""

from __future__ import annotations

import sqlite3

import msgspec

from online.domain.order import OrderReply
from online.domain.order_state import ENDED, RESTING, Stage

VERSION = 3
"""Of the tables; raised by every change of them."""
_WITH_FATES = 2
"""The version that told an order's fate from its state."""
_OPEN = (Stage.SENDING, Stage.UNKNOWN, *sorted(RESTING))
OPEN_STAGES = ", ".join(f"'{stage}'" for stage in _OPEN)
_STAGES = ", ".join(f"'{stage}'" for stage in (*_OPEN, *sorted(ENDED)))
_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS orders (
    intent_id TEXT PRIMARY KEY,
    magic INTEGER NOT NULL,
    position INTEGER,
    state TEXT NOT NULL CHECK (state IN ({_STAGES})),
    intent BLOB NOT NULL,
    reply BLOB,
    accepted_at_ns INTEGER NOT NULL,
    ended_at_ns INTEGER,
    calls INTEGER
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS calls (id INTEGER PRIMARY KEY, calls BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS orders_open ON orders (state) WHERE state IN ({OPEN_STAGES});
CREATE INDEX IF NOT EXISTS orders_of_position ON orders (position) WHERE position IS NOT NULL;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS ended_orders_stay BEFORE UPDATE ON orders
    WHEN OLD.state NOT IN ({OPEN_STAGES})
    BEGIN SELECT RAISE(ABORT, 'an order that ended never changes'); END;
CREATE TRIGGER IF NOT EXISTS orders_stay BEFORE DELETE ON orders
    BEGIN SELECT RAISE(ABORT, 'an accepted order is never forgotten'); END;
CREATE TRIGGER IF NOT EXISTS calls_stay BEFORE DELETE ON calls
    BEGIN SELECT RAISE(ABORT, 'what was said to the terminal is never forgotten'); END;
"""
_FORMER = """
DROP TRIGGER ended_orders_stay;
DROP TRIGGER orders_stay;
DROP INDEX orders_unresolved;
DROP INDEX orders_of_position;
ALTER TABLE orders RENAME TO former_orders;
"""
INSERT = "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
INSERT_CALLS = "INSERT INTO calls (calls) VALUES (?)"
"""In a table of their own: beside the order a row would not fit its page, and take a whole one."""


def make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables, or bring those of an older Sextant up to date, all at once."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'orders'").fetchone()
    is_former = known is not None and version < _WITH_FATES
    connection.executescript(f"BEGIN IMMEDIATE; {_FORMER if is_former else ''} {_SCHEMA}")
    if version == _WITH_FATES:  # it kept no calls of the terminal
        connection.execute("ALTER TABLE orders ADD COLUMN calls INTEGER")
    if is_former:  # it knew no other end than ``ended``; the reply tells which
        for row in connection.execute("SELECT * FROM former_orders").fetchall():
            intent_id, magic, position, state, intent, reply, accepted_at_ns, ended_at_ns = row
            if state == "ended":
                state = msgspec.msgpack.decode(reply, type=OrderReply).status.value
            at_ns = (accepted_at_ns, ended_at_ns)
            connection.execute(
                INSERT, (intent_id, magic, position, state, intent, reply, *at_ns, None)
            )
        connection.execute("DROP TABLE former_orders")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")
