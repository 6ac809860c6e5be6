"""Why was my position touched? What operators and trailing rules did is told with who and why."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from online.domain.market import Side
from online.domain.operation import Close, Modify
from online.domain.order import CLOSE, OrderStatus
from online.domain.record import DealRecord, TrailRecord
from online.domain.trailing import TrailingRule
from online.resolve import Statement, resolve_by_hand
from online.trade import run_to_completion
from online.trail import put_under_trail
from pipelines.cli import run
from tests.floors import TestFloor
from tests.gateway_world import entry
from tests.journals import write_journal

pytestmark = pytest.mark.lean


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Return a journal of an entry that was modified, trailed and closed in part."""
    floor = TestFloor()
    floor.enter()
    floor.operate("a", Modify(1, 1.095, 1.12))
    rule = TrailRecord(floor.clock.time_ns, 1, "EURUSD", TrailingRule(0.005), "bob", "the news")
    run_to_completion(put_under_trail(rule, floor))
    floor.broker.loses_order = True
    floor.operate("b", Close(1, 0.05))
    stated = Statement("op-b", OrderStatus.NOT_SENT, "eve", "no trace at the broker")
    run_to_completion(resolve_by_hand(stated, floor))
    floor.enter()  # another one, of no concern to the first
    return write_journal(tmp_path / "journal.db", floor.journal.records())


def explain(journal: Path, name: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert run(["explain", name, "--journal", str(journal)]) == 0
    return " ".join(capsys.readouterr().out.split())


def test_a_decision_is_told_with_what_was_done_to_its_position(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = explain(journal, "EURUSD-H1-20171004T0000Z-1", capsys)
    assert "ann wanted position 1 to have stop 1.095 and target 1.12: a test (op-a)." in told
    assert "order op-a: done" in told
    assert "position 1 is trailed at 0.005, in steps of 0, by bob: the news." in told
    assert "eve states that order op-b is not_sent (stated by eve): no trace at the" in told
    later = explain(journal, "EURUSD-H1-20171004T0000Z-4", capsys)
    assert "Afterwards" not in later


def test_an_operation_is_told_with_what_it_rested_on_and_what_came_of_it(
    journal: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = explain(journal, "op-b", capsys)
    assert told.startswith("op-b: to close 0.05 lots of position 1")
    assert "Position 1: buy 0.1 lots EURUSD, opened at 1.1002, stop 1.095, target 1.12." in told
    assert "unknown (the order was lost on its way)" in told
    assert run(["explain", "op-none", "--journal", str(journal)]) == 2
    assert "UNKNOWN_DECISION" in capsys.readouterr().err


def test_a_closing_that_the_gateway_did_by_itself_is_told_to_be_in_no_reply_of_the_journal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    floor = TestFloor()
    for _ in range(2):
        floor.enter()
    floor.operate("a", Close(1, 0.1))
    (left,) = floor.terminal.positions()
    own = msgspec.structs.replace(entry(2), purpose=CLOSE, side=Side.SELL, position=left.ticket)
    run_to_completion(floor.broker.inner.send(own))  # nothing of it is journaled
    deals = run_to_completion(floor.broker.statement(0)).deals
    records = [DealRecord(floor.clock.time_ns, deal) for deal in deals]
    journal = write_journal(tmp_path / "journal.db", [*floor.journal.records(), *records])
    first = explain(journal, "EURUSD-H1-20171004T0000Z-1", capsys)
    assert "sextant gateway orders" not in first
    second = explain(journal, "EURUSD-H1-20171004T0000Z-2", capsys)
    assert f"Deal {deals[-1].ticket}: closed by a program, and no reply in this journal" in second
