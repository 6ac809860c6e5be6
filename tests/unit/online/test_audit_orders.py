"""The audit goes through every order's states and names the record of a step that is not legal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from online.adapters.sqlite_journal import open_journal
from online.domain.audit import RecordCorrupt, audit
from online.domain.errors import JournalCorrupt
from online.domain.operation import Close, Modify
from online.domain.order import OrderReply, OrderStatus
from online.domain.record import (
    AccountRecord,
    DecisionRecord,
    Record,
    ResolutionRecord,
    ResultRecord,
)
from online.resolve import Statement, resolve_by_hand
from online.trade import run_to_completion
from pipelines.cli import run
from tests.fakes import make_intent
from tests.floors import TestFloor
from tests.journals import FIRST_NS, decision, seal, write_journal

pytestmark = pytest.mark.lean
INTENT = make_intent()


def ordered(number: int = 1, *, send: bool = True) -> DecisionRecord:
    made = decision(number)
    request = msgspec.structs.replace(made.request, send=send)
    return msgspec.structs.replace(made, intent=INTENT, vetoes=(), request=request)


def told(status: OrderStatus, intent_id: str = INTENT.intent_id) -> ResultRecord:
    reply = OrderReply(status, 0, 1, 0, 0, 0.0, 0.0, "")
    return ResultRecord("", intent_id, FIRST_NS, reply)


def stated(status: OrderStatus) -> ResolutionRecord:
    reply = told(status).reply
    return ResolutionRecord("d", INTENT.intent_id, FIRST_NS, "ann", "seen", reply)


S = OrderStatus
LEGAL: tuple[tuple[tuple[Record, ...], dict[str, int]], ...] = (
    ((ordered(),), {"logged": 1}),
    ((ordered(send=False),), {}),
    ((ordered(), told(S.FILLED), told(S.FILLED)), {"filled": 1}),
    ((ordered(), told(S.UNKNOWN), told(S.REJECTED)), {"rejected": 1}),
    ((ordered(), told(S.ACCEPTED), told(S.FILLING), told(S.PARTIAL)), {"partial": 1}),
    ((ordered(), told(S.UNKNOWN), stated(S.NOT_SENT)), {"not_sent": 1}),
    ((ordered(), told(S.ACCEPTED), stated(S.CANCELLED)), {"cancelled": 1}),
    ((ordered(), told(S.FILLING), AccountRecord(FIRST_NS, "b", new=True)), {"partial": 1}),
    ((ordered(), told(S.ACCEPTED), AccountRecord(FIRST_NS, "b")), {"accepted": 1}),
)
ILLEGAL: tuple[tuple[tuple[Record, ...], str], ...] = (
    ((ordered(), told(S.FILLED), told(S.REJECTED)), "filled cannot become rejected"),
    ((ordered(), told(S.REJECTED), told(S.FILLED)), "rejected cannot become filled"),
    ((ordered(), told(S.NOT_SENT), told(S.UNKNOWN)), "not_sent cannot become unknown"),
    ((ordered(), told(S.ACCEPTED), told(S.UNKNOWN)), "accepted cannot become unknown"),
    ((ordered(), told(S.FILLING), told(S.CANCELLED)), "filling cannot become cancelled"),
    ((ordered(), told(S.FILLED), stated(S.FILLED)), "no operator states"),
    ((ordered(), told(S.ACCEPTED), stated(S.NOT_SENT)), "accepted cannot become not_sent"),
    ((ordered(), told(S.FILLED, "another")), "never journaled"),
    ((ordered(send=False), told(S.FILLED)), "never journaled"),
    ((ordered(), ordered(2)), "journaled twice"),
    (
        (ordered(), AccountRecord(FIRST_NS, "b", new=True), told(S.FILLED)),
        "cancelled cannot become filled",
    ),
)


@pytest.mark.parametrize(("records", "stages"), LEGAL)
def test_every_legal_way_of_an_order_is_sound_and_its_end_is_reported(
    records: Sequence[Record], stages: dict[str, int]
) -> None:
    assert audit(seal(records)).orders == stages


@pytest.mark.parametrize(("records", "what"), ILLEGAL)
def test_a_step_that_no_order_can_take_is_named_though_the_chain_holds(
    records: Sequence[Record], what: str
) -> None:
    with pytest.raises(RecordCorrupt, match=what) as caught:
        audit(seal(records))
    assert caught.value.sequence == len(records)
    audit(seal(records[:-1]))


def test_what_a_floor_does_with_lost_orders_and_operators_words_is_sound() -> None:
    floor = TestFloor()
    floor.enter()
    floor.operate("a", Modify(1, 1.095, 1.12))
    floor.broker.loses_order = True
    floor.operate("b", Close(1, 0.05))
    words = Statement("op-b", OrderStatus.NOT_SENT, "ann", "no trace at the broker")
    run_to_completion(resolve_by_hand(words, floor))
    report = audit(seal(floor.journal.records()))
    assert report.orders == {"done": 1, "filled": 1, "not_sent": 1}


def test_the_command_names_the_record_and_its_code_and_ends_with_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_journal(tmp_path / "j.db", (ordered(), told(S.FILLED), told(S.EXPIRED)))
    asked = ["audit", "verify", "--journal", str(path)]
    assert run(asked) == 1
    assert "ILLEGAL_TRANSITION: record 3: order" in capsys.readouterr().err
    assert run([*asked, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["record"], found["code"]) == (3, "ILLEGAL_TRANSITION")


def test_a_scorer_does_not_start_on_an_order_that_went_an_illegal_way_and_names_the_record(
    tmp_path: Path,
) -> None:
    path = write_journal(tmp_path / "j.db", (ordered(), told(S.FILLED), told(S.EXPIRED)))
    with pytest.raises(JournalCorrupt, match="record 3: order") as caught:
        open_journal(path)
    assert caught.value.code == "ILLEGAL_TRANSITION"


def test_the_command_tells_how_orders_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_journal(tmp_path / "j.db", (ordered(), told(S.FILLED)))
    assert run(["audit", "verify", "--journal", str(path)]) == 0
    assert "Orders, each by a legal way: 1 filled." in capsys.readouterr().out
