"""A disk that fills up while an order is on its way, and a journal that somebody has changed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from online.adapters.sqlite_journal import iterate
from online.app import create_app
from online.domain.errors import JournalCorrupt, JournalUnavailable
from online.domain.order import Intent, OrderReply, OrderStatus
from online.domain.record import HaltRecord, ResultRecord
from tests.journals import halts, tamper, write_journal
from tests.scorers import Caller, Store, assert_problem, make_settings, reasons, tell

pytestmark = pytest.mark.integration


def test_a_disk_that_fills_up_after_the_decision_leaves_an_order_to_be_resolved(
    folder: Path, store: Store
) -> None:
    async def story(caller: Caller) -> None:
        parts = caller.app.state.scorer.parts
        journal, broker = parts.journal.inner, parts.broker.inner
        connection, sending = journal._connection, broker.send

        async def fill_the_disk_and_send(intent: Intent) -> OrderReply:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count={pages}")
            with suppress(JournalUnavailable):
                while True:  # until not even a small record fits
                    await journal.append(HaltRecord(0, "", "test"))
            reply: OrderReply = await sending(intent)
            return reply

        broker.send = fill_the_disk_and_send
        answer = await caller.trade()
        assert_problem(answer, 503, "ORDER_IN_DOUBT")
        told = answer.json()
        assert "filled was answered and cannot be recorded" in told["detail"]
        broker.send = sending
        shown = (await caller.http.get(f"/v1/orders/{told['intent_id']}")).json()
        assert (shown["stage"], shown["decision_id"]) == ("logged", told["decision_id"])
        seen = (await caller.http.get("/v1/positions")).json()
        assert (len(seen["positions"]), len(seen["unresolved"])) == (1, 1)
        assert_problem(await caller.trade(), 503, "JOURNAL_UNAVAILABLE")
        connection.execute("PRAGMA max_page_count=1000000")
        assert "POSITION_OPEN" in reasons(await caller.trade())
        seen = (await caller.http.get("/v1/positions")).json()
        assert (len(seen["positions"]), seen["unresolved"]) == (1, [])
        shown = (await caller.http.get(f"/v1/orders/{told['intent_id']}")).json()
        assert shown["stage"] == "filled"

    tell(folder, store, story)
    results = [r for r in iterate(folder / "journal.db") if isinstance(r, ResultRecord)]
    assert [result.reply.status for result in results] == [OrderStatus.FILLED]


def test_a_scorer_does_not_start_on_a_journal_that_was_changed_and_names_the_record(
    folder: Path, store: Store
) -> None:
    path = write_journal(folder / "journal.db", halts(5))
    tamper(path, "UPDATE records SET body = CAST('{}' AS BLOB) WHERE sequence = 3")
    with pytest.raises(JournalCorrupt, match="record 3 is not as it was written"):
        create_app(make_settings(folder, store.socket))
