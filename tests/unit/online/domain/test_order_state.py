"""The life of an order: what may follow what, to the type checker and at run time."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online.adapters.sqlite_journal import open_journal
from online.domain import order_state
from online.domain.book import Book
from online.domain.decision import Action, Decision
from online.domain.errors import JournalCorrupt
from online.domain.order import OrderReply, OrderStatus
from online.domain.order_path import IllegalTransition, follow, restore
from online.domain.order_state import (
    ENDED,
    Accepted,
    Filled,
    Intended,
    Logged,
    Proof,
    Sending,
    Stage,
    State,
    Unknown,
)
from online.domain.record import DecisionRecord, ResultRecord
from tests.fakes import BAR_NS, make_intent
from tests.journals import decision, write_journal

pytestmark = pytest.mark.lean

END = {"filled", "partial", "rejected", "expired", "cancelled"}
LEGAL = {
    "intent": {"checked"},
    "checked": {"logged"},
    "logged": {"handed_off", "not_sent"},
    "handed_off": {"sending", "not_sent"},
    "sending": {"accepted", "filling", "filled", "partial", "done", "rejected", "not_sent",
                "unknown"},
    "unknown": END | {"accepted", "filling", "done", "not_sent"},
    "accepted": END | {"filling"},
    "filling": {"filled", "partial"},
    **{stage.value: set() for stage in ENDED},
}  # fmt: skip
"""Which states may follow each; what is told in one word may take several of these steps."""


def methods(kind: type) -> dict[str, Any]:
    """Return a state's transitions and what they lead to, as annotated."""
    found = {}
    for name, value in vars(kind).items():
        if callable(value) and not name.startswith("_"):
            told = get_type_hints(value, vars(order_state))["return"]
            found[name] = told
    return found


def reachable(stage: str) -> set[str]:
    """Return every state that some steps lead to."""
    found: set[str] = set()
    waiting = [stage]
    while waiting:
        for each in LEGAL[waiting.pop()] - found:
            found.add(each)
            waiting.append(each)
    return found


@pytest.mark.parametrize("stage", Stage)
def test_methods_of_a_state_are_its_legal_transitions_and_no_others(stage: Stage) -> None:
    leads_to = set(methods(type(restore(stage))).values())
    if stage is Stage.UNKNOWN:
        (proven,) = leads_to
        leads_to = set(methods(proven).values())
    assert {kind.stage.value for kind in leads_to} == LEGAL[stage]


def test_only_sending_leads_to_unknown() -> None:
    assert [stage for stage, after in LEGAL.items() if "unknown" in after] == ["sending"]


def test_an_illegal_transition_is_no_method_and_a_type_error() -> None:
    with pytest.raises(AttributeError):
        Logged().fill()  # type: ignore[attr-defined]  # mypy would say so if it were allowed
    with pytest.raises(AttributeError):
        Accepted().lose()  # type: ignore[attr-defined]  # only what is being sent can be lost
    with pytest.raises(AttributeError):
        Filled().cancel()  # type: ignore[attr-defined]  # what ended has ended
    with pytest.raises(AttributeError):
        Unknown().fill()  # type: ignore[attr-defined]  # without proof nothing ends the unknown
    with pytest.raises(TypeError):
        Unknown().settle()  # type: ignore[call-arg]  # proof must be named
    assert Unknown().settle(Proof.OPERATOR).withdraw().stage is Stage.NOT_SENT


@given(st.lists(st.sampled_from(OrderStatus)))
def test_no_sequence_of_words_leads_to_an_illegal_state(words: list[OrderStatus]) -> None:
    state: State = Intended().check().log()
    for word in words:
        before = state.stage
        legal = word.value in reachable(before) or word.value == before
        try:
            state = follow(state, word)
        except IllegalTransition:
            assert not legal
            continue
        assert legal
        assert state.stage == word.value
        if before in ENDED:
            assert state.stage is before
        if state.stage is Stage.UNKNOWN:
            assert before in {Stage.LOGGED, Stage.UNKNOWN}


@pytest.mark.parametrize("status", OrderStatus)
def test_unknown_is_entered_by_a_lost_reply_alone_and_left_for_every_proven_fate(
    status: OrderStatus,
) -> None:
    assert follow(Sending(), OrderStatus.UNKNOWN) == Unknown()
    assert follow(Unknown(), status, Proof.OPERATOR).stage == status.value


def decided() -> DecisionRecord:
    """Return a decision with an order that is to be sent."""
    wanted = Decision(Action.BUY)
    return msgspec.structs.replace(decision(1), decision=wanted, intent=make_intent())


def result(status: OrderStatus, intent_id: str = make_intent().intent_id) -> ResultRecord:
    """Return what came back for it."""
    return ResultRecord("d-1", intent_id, BAR_NS, OrderReply(status, 0, 1, 1, 1, 1.1, 0.1, ""))


def test_a_journal_in_which_an_order_goes_an_illegal_way_is_corrupt() -> None:
    book = Book()
    book.apply(decided())
    book.apply(result(OrderStatus.REJECTED))
    with pytest.raises(JournalCorrupt, match=r"entry: an order that is rejected cannot .* filled"):
        book.apply(result(OrderStatus.FILLED))


def test_a_scorer_does_not_start_on_such_a_journal_and_names_the_record(tmp_path: Path) -> None:
    told = (decided(), result(OrderStatus.REJECTED), result(OrderStatus.FILLED))
    path = write_journal(tmp_path / "journal.db", told)
    with pytest.raises(JournalCorrupt, match=r"record 3: .* rejected cannot become") as refused:
        open_journal(path)
    assert refused.value.code == "ILLEGAL_TRANSITION"


def test_a_reply_to_an_order_nobody_journaled_and_an_order_twice_are_corruption() -> None:
    book = Book()
    with pytest.raises(JournalCorrupt, match="never journaled"):
        book.apply(result(OrderStatus.FILLED, "nobody's"))
    book.apply(decided())
    with pytest.raises(JournalCorrupt, match="twice"):
        book.apply(decided())


def test_a_resting_order_has_a_known_fate_and_is_still_followed() -> None:
    book = Book()
    book.apply(decided())
    book.apply(result(OrderStatus.UNKNOWN))
    assert [order.state.stage for order in book.orders.pending] == [Stage.UNKNOWN]
    book.apply(result(OrderStatus.ACCEPTED))
    assert book.pending == ()
    assert [order.state.stage for order in book.orders.resting] == [Stage.ACCEPTED]
    book.apply(result(OrderStatus.FILLED))
    assert book.orders.resting == ()
    assert [order.state.stage for order in book.orders.newest(5)] == [Stage.FILLED]
