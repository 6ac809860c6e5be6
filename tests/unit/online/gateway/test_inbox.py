from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from online.domain.errors import InvalidInput, InvalidSettings, Unavailable
from online.domain.order import OrderReply, OrderStatus
from online.gateway.inbox import Inbox, OrderState, open_inbox
from online.gateway.order_desk import not_sent
from tests.gateway_world import entry

pytestmark = pytest.mark.lean

FILLED = OrderReply(OrderStatus.FILLED, 10009, 1, 2, 1, 1.1, 0.1, "done")
UNKNOWN = OrderReply(OrderStatus.UNKNOWN, 0, 0, 0, 0, 0.0, 0.0, "lost")


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = open_inbox(tmp_path / "inbox.db")
    yield opened
    opened.close()


def test_intent_is_accepted_once(inbox: Inbox) -> None:
    inbox.accept(entry(1), 5)
    with pytest.raises(InvalidInput) as refused:
        inbox.accept(entry(1), 6)
    assert refused.value.code == "DUPLICATE_INTENT"


def test_same_id_with_another_content_is_refused(inbox: Inbox) -> None:
    inbox.accept(entry(1), 5)
    with pytest.raises(InvalidInput) as refused:
        inbox.find(entry(1, volume_lots=0.2))
    assert refused.value.code == "INTENT_DIFFERS"


def test_order_cut_off_by_a_crash_is_unknown_when_opened_again(tmp_path: Path) -> None:
    first = open_inbox(tmp_path / "inbox.db")
    first.accept(entry(1), 5)
    first.close()
    again = open_inbox(tmp_path / "inbox.db")
    found = again.find(entry(1))
    assert found is not None
    assert (found.state, found.reply) == (OrderState.UNKNOWN, None)
    assert [e.intent for e in again.unresolved()] == [entry(1)]
    again.close()


def test_unknown_order_ends_by_evidence_and_never_changes_again(inbox: Inbox) -> None:
    inbox.accept(entry(1), 5)
    inbox.record("entry-1", UNKNOWN, 6)
    assert len(inbox.unresolved()) == 1
    inbox.record("entry-1", FILLED, 7)
    assert inbox.unresolved() == ()
    with pytest.raises(Unavailable, match="never changes"):
        inbox.record("entry-1", not_sent("no"), 8)


def test_declined_order_can_no_more_be_accepted(inbox: Inbox) -> None:
    inbox.decline(entry(1), not_sent("never came"), 5)
    with pytest.raises(InvalidInput):
        inbox.accept(entry(1), 6)


def test_second_gateway_of_the_account_does_not_start(inbox: Inbox, tmp_path: Path) -> None:
    inbox.accept(entry(1), 5)
    with pytest.raises(InvalidSettings) as refused:
        open_inbox(tmp_path / "inbox.db")
    assert refused.value.code == "INBOX_IN_USE"


def test_file_that_is_no_inbox_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inbox.db").write_bytes(b"not a database" * 100)
    with pytest.raises(InvalidSettings, match="no inbox"):
        open_inbox(tmp_path / "inbox.db")


def test_full_disk_accepts_nothing_and_keeps_what_was_accepted(inbox: Inbox) -> None:
    inbox.accept(entry(1), 5)
    pages = inbox._connection.execute("PRAGMA page_count").fetchone()[0]
    inbox._connection.execute(f"PRAGMA max_page_count={pages}")

    def fill() -> None:
        for number in range(2, 200):
            inbox.accept(entry(number), 6)

    with pytest.raises(Unavailable) as refused:
        fill()
    assert refused.value.code == "INBOX_UNAVAILABLE"
    assert inbox.find(entry(1)) is not None


def test_accepted_order_cannot_be_deleted(inbox: Inbox) -> None:
    inbox.accept(entry(1), 5)
    with pytest.raises(sqlite3.IntegrityError, match="never forgotten"):
        inbox._connection.execute("DELETE FROM orders")
