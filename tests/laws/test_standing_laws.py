"""Laws of the standing: what a book keeps for the risk rules is what a fresh book would tell."""

from __future__ import annotations

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from online.domain.account import Deal
from online.domain.book import Book
from online.domain.market import Side
from online.domain.order import OrderReply, OrderStatus
from online.domain.reasons import Reason, Veto
from online.domain.record import (
    AccountRecord,
    DealRecord,
    HaltRecord,
    Record,
    ResultRecord,
)
from tests.fakes import (
    BAR_NS,
    HOUR_NS,
    make_account,
    make_decision,
    make_intent,
    make_limits,
    make_position,
    make_quote,
)

pytestmark = pytest.mark.lean
LIMITS = (
    make_limits(order_window_seconds=7_200, repeat_window_seconds=3_600),
    make_limits(order_window_seconds=3_600, duplicate_window_seconds=1_800),
)
HELD = (make_position(magic=1, ticket=21), make_position(magic=3, ticket=23))
POSITIONS = ((), HELD[:1], HELD, tuple(HELD))
STEPS = st.tuples(
    st.sampled_from(("quiet", "quiet", "enter", "fill", "lose", "deal", "halt", "resume", "anew")),
    st.sampled_from((0, 1, HOUR_NS // 4, HOUR_NS, 5 * HOUR_NS, -HOUR_NS)),
    st.sampled_from((9_000.0, 9_999.0, 10_000.0, 10_001.0, 0.0)),
)
LOOKS = st.tuples(
    st.sampled_from(LIMITS),
    st.sampled_from(POSITIONS),
    st.sampled_from((0, 0, 1, HOUR_NS, 13 * HOUR_NS, 25 * HOUR_NS, -13 * HOUR_NS)),
)


def record_of(what: str, number: int, now_ns: int, equity: float) -> Record:
    """Return what happened as a journal tells it."""
    if what == "fill":
        reply = OrderReply(OrderStatus.FILLED, 0, number, 0, 0, 1.1, 0.1, "")
        return ResultRecord("", f"order-{number}", now_ns, reply)
    if what == "deal":
        told = (number, number, number, number, "EURUSD", Side.BUY, number % 2 > 0, "expert")
        return DealRecord(now_ns, Deal(*told, 0.1, 1.1, now_ns, -5.0, -1.0))
    if what in {"halt", "resume"}:
        return HaltRecord(now_ns, "by hand" if what == "halt" else "", "test")
    if what == "anew":
        return AccountRecord(now_ns, f"simulated-{number}", new=True)
    intent = make_intent(intent_id=f"order-{number}", magic=number)
    latched = (Veto(Reason.DAILY_LOSS_LIMIT, "too much"),)
    return make_decision(
        number,
        now_ns,
        quote=make_quote(at_ns=now_ns),
        account=make_account(equity),
        positions=(),
        vetoes=latched if what == "lose" else (),
        intent=intent if what == "enter" else None,
    )


@given(st.lists(st.tuples(STEPS, LOOKS), max_size=30))
def test_what_a_book_keeps_is_what_a_fresh_book_of_the_same_journal_tells(
    steps: list[tuple[tuple[str, int, float], tuple[object, object, int]]],
) -> None:
    book, records, now_ns = Book(), list[Record](), BAR_NS
    pending: list[int] = []
    for number, ((what, later_ns, equity), (limits, positions, ahead_ns)) in enumerate(steps, 1):
        now_ns += later_ns
        told, subject = what, number
        if what == "fill":
            told, subject = (what, pending.pop()) if pending else ("quiet", number)
        record = record_of(told, subject, now_ns, equity)
        if what == "enter":
            pending.append(number)
        elif what == "anew":
            pending.clear()
        book.apply(record)
        records.append(record)
        fresh = Book()
        for each in records:
            fresh.apply(each)
        asked = ("EURUSD", now_ns + ahead_ns, limits, positions, make_quote(), ())
        kept = book.state(*asked)  # type: ignore[arg-type]  # drawn
        assert kept == fresh.state(*asked)  # type: ignore[arg-type]  # drawn
        assert book.state(*asked) == kept  # type: ignore[arg-type]  # drawn


def test_fills_that_are_not_on_record_yet_are_counted_whatever_was_kept() -> None:
    book = Book()
    book.apply(record_of("quiet", 1, BAR_NS, 10_000.0))
    asked = ("EURUSD", BAR_NS, LIMITS[0], (), make_quote())
    assert book.state(*asked, ()).losses_in_a_row == 0
    entry = Deal(5, 5, 5, 1, "EURUSD", Side.BUY, True, "expert", 0.1, 1.1, BAR_NS, 0.0, -1.0)  # noqa: FBT003 - by place
    closing = msgspec.structs.replace(entry, ticket=6, entry=False, profit=-7.0)
    assert book.state(*asked, (entry, closing)).losses_in_a_row == 1
    assert book.state(*asked, ()).losses_in_a_row == 0
