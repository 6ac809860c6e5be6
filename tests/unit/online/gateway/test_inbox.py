from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from online.domain.errors import InvalidInput, InvalidSettings, Unavailable
from online.domain.order import OrderReply, OrderStatus
from online.domain.order_path import IllegalTransition
from online.domain.order_state import Stage
from online.gateway.inbox import Inbox, open_inbox
from online.gateway.order_desk import not_sent
from tests.gateway_world import closing, entry

pytestmark = pytest.mark.lean

FILLED = OrderReply(OrderStatus.FILLED, 10009, 1, 2, 1, 1.1, 0.1, "done")
UNKNOWN = OrderReply(OrderStatus.UNKNOWN, 0, 0, 0, 0, 0.0, 0.0, "lost")


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = open_inbox(tmp_path / "inbox.db")
    yield opened
    opened.close()


def test_intent_is_accepted_once(inbox: Inbox) -> None:
    inbox.accept((entry(1),), 5)
    with pytest.raises(InvalidInput) as refused:
        inbox.accept((entry(1),), 6)
    assert refused.value.code == "DUPLICATE_INTENT"


def test_same_id_with_another_content_is_refused(inbox: Inbox) -> None:
    inbox.accept((entry(1),), 5)
    with pytest.raises(InvalidInput) as refused:
        inbox.find(entry(1, volume_lots=0.2))
    assert refused.value.code == "INTENT_DIFFERS"


def test_order_cut_off_by_a_crash_is_unknown_when_opened_again(tmp_path: Path) -> None:
    first = open_inbox(tmp_path / "inbox.db")
    first.accept((entry(1),), 5)
    first.close()
    again = open_inbox(tmp_path / "inbox.db")
    found = again.find(entry(1))
    assert found is not None
    assert (found.stage, found.reply) == (Stage.UNKNOWN, None)
    assert [e.intent for e in again.unresolved()] == [entry(1)]
    again.close()


def test_unknown_order_ends_by_evidence_and_never_changes_again(inbox: Inbox) -> None:
    inbox.accept((entry(1),), 5)
    inbox.record("entry-1", UNKNOWN, 6)
    assert len(inbox.unresolved()) == 1
    inbox.record("entry-1", FILLED, 7)
    assert inbox.unresolved() == ()
    with pytest.raises(IllegalTransition, match="has ended"):
        inbox.record("entry-1", not_sent("no"), 8)
    with pytest.raises(sqlite3.IntegrityError, match="never changes"):
        inbox._connection.execute("UPDATE orders SET state = 'rejected'")


def test_declined_order_can_no_more_be_accepted(inbox: Inbox) -> None:
    inbox.decline(entry(1), not_sent("never came"), 5)
    with pytest.raises(InvalidInput):
        inbox.accept((entry(1),), 6)


def test_second_gateway_of_the_account_does_not_start(inbox: Inbox, tmp_path: Path) -> None:
    inbox.accept((entry(1),), 5)
    with pytest.raises(InvalidSettings) as refused:
        open_inbox(tmp_path / "inbox.db")
    assert refused.value.code == "INBOX_IN_USE"


def test_file_that_is_no_inbox_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inbox.db").write_bytes(b"not a database" * 100)
    with pytest.raises(InvalidSettings, match="no inbox"):
        open_inbox(tmp_path / "inbox.db")


def test_full_disk_accepts_nothing_and_keeps_what_was_accepted(inbox: Inbox) -> None:
    inbox.accept((entry(1),), 5)
    pages = inbox._connection.execute("PRAGMA page_count").fetchone()[0]
    inbox._connection.execute(f"PRAGMA max_page_count={pages}")

    def fill() -> None:
        for number in range(2, 200):
            inbox.accept((entry(number),), 6)

    with pytest.raises(Unavailable) as refused:
        fill()
    assert refused.value.code == "INBOX_UNAVAILABLE"
    assert inbox.find(entry(1)) is not None


def test_accepted_order_cannot_be_deleted(inbox: Inbox) -> None:
    inbox.accept((entry(1),), 5)
    with pytest.raises(sqlite3.IntegrityError, match="never forgotten"):
        inbox._connection.execute("DELETE FROM orders")


@pytest.mark.parametrize("status", [OrderStatus.ACCEPTED, OrderStatus.FILLING])
def test_resting_order_is_open_until_it_ends_and_is_never_lost_again(
    inbox: Inbox, status: OrderStatus
) -> None:
    inbox.accept((entry(1),), 5)
    inbox.record("entry-1", resting(status), 6)
    assert [e.stage for e in inbox.open_orders()] == [Stage(status)]
    assert inbox.unresolved() == ()
    with pytest.raises(IllegalTransition, match=f"{status} cannot become unknown"):
        inbox.record("entry-1", UNKNOWN, 7)
    inbox.record("entry-1", resting(OrderStatus.PARTIAL), 8)
    assert inbox.open_orders() == ()


def test_every_order_is_accepted_with_the_disk_waited_for(inbox: Inbox) -> None:
    def waits() -> bool:
        return bool(inbox._connection.execute("PRAGMA synchronous").fetchone() == (2,))

    assert waits()
    inbox.accept((entry(1),), 5)
    inbox.record("entry-1", UNKNOWN, 6)
    assert waits()
    inbox._connection.execute("DROP TABLE orders")
    with pytest.raises(Unavailable):
        inbox.record("entry-1", FILLED, 7)
    assert waits()


def resting(status: OrderStatus) -> OrderReply:
    """Return what is told of an order that waits for its price."""
    return OrderReply(status, 10009, 7, 0, 0, 0.0, 0.0, "")


def test_orders_on_a_position_are_told_apart_by_their_tickets(inbox: Inbox) -> None:
    for number, order in ((1, 11), (2, 12)):
        inbox.accept((entry(number),), 5)
        told = OrderReply(OrderStatus.FILLED, 10009, order, 20, 7, 1.1, 0.1, "")
        inbox.record(f"entry-{number}", told, 6)
    assert inbox.orders_of(7, "entry-1") == (12,)
    assert inbox.orders_of(8, "") == ()


def test_a_position_is_of_the_entry_that_opened_it_and_of_nothing_done_to_it_later(
    inbox: Inbox,
) -> None:
    strangers, ours = 7, 8
    told = OrderReply(OrderStatus.FILLED, 10009, 11, 20, strangers, 1.1, 0.1, "")
    inbox.accept((closing(1, entry(1), strangers),), 5)
    inbox.record("close-1", told, 6)
    assert inbox.magic_of(strangers) == 0
    inbox.accept((entry(2),), 7)
    inbox.record("entry-2", msgspec.structs.replace(told, position=ours), 8)
    assert inbox.magic_of(ours) == entry(2).magic


FORMER = """
CREATE TABLE orders (intent_id TEXT PRIMARY KEY, magic INTEGER NOT NULL, position INTEGER,
    state TEXT NOT NULL CHECK (state IN ('sending', 'unknown', 'ended')), intent BLOB NOT NULL,
    reply BLOB, accepted_at_ns INTEGER NOT NULL, ended_at_ns INTEGER) WITHOUT ROWID;
CREATE INDEX orders_unresolved ON orders (state) WHERE state != 'ended';
CREATE INDEX orders_of_position ON orders (position) WHERE position IS NOT NULL;
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TRIGGER ended_orders_stay BEFORE UPDATE ON orders WHEN OLD.state = 'ended'
    BEGIN SELECT RAISE(ABORT, 'an order that ended never changes'); END;
CREATE TRIGGER orders_stay BEFORE DELETE ON orders
    BEGIN SELECT RAISE(ABORT, 'an accepted order is never forgotten'); END;
INSERT INTO facts VALUES ('inbox', 'the old one');
"""


def test_inbox_of_the_first_version_keeps_its_orders_and_their_fates(tmp_path: Path) -> None:
    path = tmp_path / "inbox.db"
    with sqlite3.connect(path) as former:
        former.executescript(FORMER)
        pack = msgspec.msgpack.encode
        for number, state, reply in ((1, "ended", pack(FILLED)), (2, "sending", None)):
            row = (f"entry-{number}", number, None, state, pack(entry(number)), reply, number, None)
            former.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    former.close()
    for _ in range(2):
        opened = open_inbox(path)
        ended, cut_off = opened.find(entry(1)), opened.find(entry(2))
        assert ended is not None
        assert cut_off is not None
        assert (ended.stage, ended.reply, cut_off.stage) == (Stage.FILLED, FILLED, Stage.UNKNOWN)
        assert opened.fact("inbox") == "the old one"
        opened.close()


def test_log_is_brought_into_the_tables_between_orders_and_written_over(tmp_path: Path) -> None:
    inbox, log = open_inbox(tmp_path / "inbox.db"), tmp_path / "inbox.db-wal"
    sizes: list[int] = []
    for first in range(1, 2_000, 500):
        assert not inbox.is_untidy
        inbox.accept([entry(number) for number in range(first, first + 500)], 5)
        for number in range(first, first + 500):
            inbox.record(f"entry-{number}", FILLED, 6)
        assert inbox.is_untidy
        sizes.append(log.stat().st_size)
        inbox.tidy()
    assert max(sizes) < 1.5 * sizes[0]
    assert len(inbox.entry_magics()) == 2_000
    inbox.close()


def test_a_few_writes_are_brought_into_the_tables_once_it_is_quiet(
    inbox: Inbox, tmp_path: Path
) -> None:
    tables = tmp_path / "inbox.db"
    before = tables.stat().st_size
    for number in (1, 2):
        inbox.accept([entry(number)], 5)
        inbox.tidy_if_quiet()
        assert tables.stat().st_size == before, "something was written a moment ago"
    inbox.tidy_if_quiet()
    assert tables.stat().st_size > before


def test_a_prepared_log_keeps_its_length_however_often_it_is_brought_into_the_tables(
    tmp_path: Path,
) -> None:
    path = tmp_path / "inbox.db"
    inbox, log = open_inbox(path, 500_000), tmp_path / "inbox.db-wal"
    length = log.stat().st_size
    assert length >= 500_000
    for number in range(1, 150):
        inbox.accept([entry(number)], 5)
        inbox.record(f"entry-{number}", FILLED, 6)
        if not number % 10:
            inbox.tidy()
    assert log.stat().st_size == length
    inbox.close()
    assert not log.exists()
    again = open_inbox(path, 500_000)
    assert len(again.entry_magics()) == 149
    assert log.stat().st_size >= 500_000
    again.close()


class _Unsynced:
    """A connection whose writes come to the log and cannot be brought to the disk."""

    in_transaction = False

    def __init__(self, inner: sqlite3.Connection) -> None:
        self._inner = inner

    def execute(self, statement: str, *values: tuple[Any, ...]) -> sqlite3.Cursor:
        if statement.startswith(("INSERT", "COMMIT", "PRAGMA wal_checkpoint")):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error
        return self._inner.execute(statement, *values)


@pytest.mark.parametrize("by", ["an order", "a fact", "tidying"])
def test_after_a_sync_that_failed_no_order_is_accepted_and_fates_are_recorded_all_the_same(
    inbox: Inbox, by: str
) -> None:
    inbox.accept((entry(1),), 5)
    connection = inbox._connection
    inbox._connection = _Unsynced(connection)  # type: ignore[assignment]  # stands for it
    if by == "tidying":
        inbox.tidy()
    else:
        with pytest.raises(Unavailable):
            inbox.accept((entry(2),), 6) if by == "an order" else inbox.count_up("epoch")
    inbox._connection = connection
    with pytest.raises(Unavailable, match="started again") as refused:
        inbox.accept((entry(3),), 7)
    assert refused.value.code == "INBOX_UNAVAILABLE"
    inbox.record("entry-1", FILLED, 8)
    assert inbox.unresolved() == ()


def test_an_order_that_cannot_be_written_leaves_no_transaction_open(inbox: Inbox) -> None:
    with pytest.raises(Unavailable):
        inbox.accept((entry(1), entry(2, magic=1 << 63)), 5)
    assert not inbox._connection.in_transaction, "what is accepted next would not be durable"
    assert inbox.find(entry(1)) is None


def test_an_order_that_cannot_be_read_is_told_and_not_taken_for_none(inbox: Inbox) -> None:
    inbox.accept((entry(1),), 5)
    inbox._connection.execute("UPDATE orders SET intent = x'c1'")
    for ask in (lambda: inbox.find(entry(1)), inbox.unresolved):
        with pytest.raises(Unavailable) as told:
            ask()
        assert told.value.code == "INBOX_UNREADABLE"


def test_a_ticket_that_no_column_holds_leaves_the_order_without_a_known_fate(inbox: Inbox) -> None:
    inbox.accept((entry(1),), 5)
    with pytest.raises(Unavailable):
        inbox.record("entry-1", msgspec.structs.replace(FILLED, position=1 << 63), 6)
    assert [each.intent for each in inbox.unresolved()] == [entry(1)]
    assert not inbox._connection.in_transaction
