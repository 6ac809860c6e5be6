"""The book's part in risk: windows, losses in a row, last prices and latches."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from online.domain.account import Account, Deal
from online.domain.book import Book
from online.domain.decision import Action, Decision
from online.domain.market import Quote, Side
from online.domain.order import Intent, OrderReply, OrderStatus, Purpose
from online.domain.reasons import Reason, Veto
from online.domain.record import (
    AccountRecord,
    DealRecord,
    DecisionRecord,
    HaltRecord,
    LimitsRecord,
    Record,
    ResultRecord,
)
from online.domain.risk_facts import RiskState
from online.domain.trading_state import TradingState
from tests.fakes import (
    BAR_NS,
    HOUR_NS,
    SECOND_NS,
    make_decision,
    make_intent,
    make_limits,
    make_quote,
)
from tests.journals import refold

pytestmark = pytest.mark.lean
LIMITS = make_limits(
    order_window_seconds=3600, repeat_window_seconds=1800, duplicate_window_seconds=60
)


def decision(number: int, at_ns: int = BAR_NS, **changes: Any) -> DecisionRecord:  # noqa: ANN401
    """Return a decision to send an entry, with some fields changed."""
    fields = {"quote": make_quote(at_ns=at_ns), "decision": Decision(Action.BUY)}
    return make_decision(number, at_ns, **{**fields, "intent": order(number), **changes})


def order(number: int, **changes: Any) -> Intent:  # noqa: ANN401 - any field of an intent
    """Return an entry of its own number."""
    return make_intent(intent_id=f"order-{number}", magic=number, **changes)


def result(number: int, status: OrderStatus, volume_lots: float = 0.0) -> ResultRecord:
    """Return what came back for an order."""
    reply = OrderReply(status, 0, number, 0, 0, 0.0, volume_lots, "")
    return ResultRecord(f"decision-{number}", f"order-{number}", BAR_NS, reply)


def deal(ticket: int, *, entry: bool, profit: float, volume: float = 0.1) -> DealRecord:
    """Return a fill of position 7, whose commission is one a deal."""
    side = Side.BUY if entry else Side.SELL
    told = (ticket, ticket, 7, 1, "EURUSD", side, entry, "expert", volume, 1.1, BAR_NS, profit)
    return DealRecord(BAR_NS, Deal(*told, -1.0))


def fold(*records: Record) -> Book:
    """Return the book of a journal, read back from its bytes."""
    return refold(records)


def state(book: Book, now_ns: int = BAR_NS, deals: tuple[Deal, ...] = ()) -> RiskState:
    """Return what the rules need of a book."""
    return book.state("EURUSD", now_ns, LIMITS, (), make_quote(), deals)


def test_entries_fall_out_of_each_window_in_its_time() -> None:
    book = fold(decision(1), result(1, OrderStatus.FILLED, 0.1))
    now = state(book, BAR_NS + 60 * SECOND_NS)
    assert (now.entries_in_window, now.buys_in_window, now.sells_in_window) == (1, 1, 0)
    assert [entry.volume_lots for entry in now.recent] == [0.1]
    assert state(book, BAR_NS + 61 * SECOND_NS).recent == ()
    later = state(book, BAR_NS + 1801 * SECOND_NS)
    assert (later.entries_in_window, later.buys_in_window) == (1, 0)
    assert state(book, BAR_NS + 3601 * SECOND_NS).entries_in_window == 0


@pytest.mark.parametrize(
    ("status", "executions"),
    [
        (OrderStatus.UNKNOWN, 1),
        (OrderStatus.ACCEPTED, 1),
        (OrderStatus.FILLED, 1),
        (OrderStatus.PARTIAL, 1),
        (OrderStatus.REJECTED, 0),
        (OrderStatus.NOT_SENT, 0),
    ],
)
def test_what_may_still_fill_is_an_execution_and_what_cannot_is_none(
    status: OrderStatus, executions: int
) -> None:
    now = state(fold(decision(1), result(1, status)))
    assert (now.entries_in_window, now.buys_in_window, len(now.recent)) == (
        1,
        executions,
        executions,
    )


def test_closes_are_counted_apart_from_entries() -> None:
    close = order(2, purpose=Purpose.CLOSE, position=7, stop=0.0, target=0.0)
    now = state(fold(decision(1, intent=close)))
    assert (now.entries_in_window, now.closes_in_window, now.under_way) == (0, 1, ())


def test_an_entry_of_unknown_fate_is_under_way_until_it_has_one() -> None:
    before = state(fold(decision(1), result(1, OrderStatus.UNKNOWN)))
    assert [(o.magic, o.volume_lots, o.price) for o in before.under_way] == [(1, 0.1, 1.1001)]
    assert state(fold(decision(1), result(1, OrderStatus.FILLED, 0.1))).under_way == ()


def test_losses_in_a_row_are_counted_by_trade_with_their_costs() -> None:
    lost = (deal(1, entry=True, profit=0.0), deal(2, entry=False, profit=1.5))
    again = (deal(3, entry=True, profit=0.0), deal(4, entry=False, profit=-5.0))
    assert state(fold(*lost)).losses_in_a_row == 1  # 1.5 earned, 2 paid
    assert state(fold(*lost, *again)).losses_in_a_row == 2
    won = (deal(5, entry=True, profit=0.0), deal(6, entry=False, profit=2.0))
    assert state(fold(*lost, *again, *won)).losses_in_a_row == 0


def test_a_trade_closed_in_parts_is_one_trade() -> None:
    parts = (
        deal(1, entry=True, profit=0.0, volume=0.2),
        deal(2, entry=False, profit=-9.0),
        deal(3, entry=False, profit=20.0),
    )
    assert state(fold(*parts[:2])).losses_in_a_row == 0
    assert state(fold(*parts)).losses_in_a_row == 0


def test_a_loss_that_is_told_but_not_on_record_yet_counts_at_once() -> None:
    book = fold(deal(1, entry=True, profit=0.0))
    fresh = (deal(2, entry=False, profit=-5.0).deal,)
    assert state(book, deals=fresh).losses_in_a_row == 1
    assert state(book).losses_in_a_row == 0
    book.apply(deal(2, entry=False, profit=-5.0))
    assert state(book, deals=fresh).losses_in_a_row == 1


@pytest.mark.parametrize("reason", [Reason.DRAWDOWN_LIMIT, Reason.CONSECUTIVE_LOSSES])
def test_a_limit_that_latches_reduces_until_somebody_resumes(reason: Reason) -> None:
    refused = decision(1, intent=None, vetoes=(Veto(reason, "too much"),))
    lost = (deal(1, entry=True, profit=0.0), deal(2, entry=False, profit=-5.0))
    book = fold(*lost, refused)
    assert state(book).trading is TradingState.REDUCING
    assert "too much" in state(book).halted
    book = fold(*lost, refused, HaltRecord(BAR_NS, "", "operator"))
    assert (state(book).trading, state(book).halted) == (TradingState.ACTIVE, "")
    assert state(book).losses_in_a_row == 0


def test_a_latch_never_loosens_a_stricter_state() -> None:
    halt = HaltRecord(BAR_NS, "by hand", "operator")
    refused = decision(1, intent=None, vetoes=(Veto(Reason.DRAWDOWN_LIMIT, "deep"),))
    assert state(fold(halt, refused)).trading is TradingState.HALTED


def test_the_state_somebody_asked_for_is_kept() -> None:
    reduce = HaltRecord(BAR_NS, "leave slowly", "operator", TradingState.REDUCING)
    assert state(fold(reduce)).trading is TradingState.REDUCING
    assert state(fold(HaltRecord(BAR_NS, "stop", "operator"))).trading is TradingState.HALTED


def test_the_last_price_on_record_is_the_reference_and_the_first_quote_its_own() -> None:
    assert state(Book()).reference_price == pytest.approx(1.10005)
    old = Quote("EURUSD", 1.2, 1.2002, BAR_NS)
    assert state(fold(decision(1, quote=old))).reference_price == pytest.approx(1.2001)
    broken = Quote("EURUSD", 1.3, 1.2, BAR_NS)
    found = fold(decision(1, quote=old), decision(2, quote=broken))
    assert state(found).reference_price == pytest.approx(1.2001)


def test_the_book_knows_the_limits_that_were_in_force() -> None:
    assert Book().limits is None
    assert fold(LimitsRecord(BAR_NS, LIMITS, "start")).limits == LIMITS


def test_old_entries_are_forgotten_and_recent_ones_never() -> None:
    book, count = Book(), 1_500
    for number in range(1, count + 1):
        at_ns = BAR_NS + number * 60 * SECOND_NS
        book.apply(decision(number, at_ns))
        book.apply(result(number, OrderStatus.FILLED, 0.1))
    now = state(book, BAR_NS + count * 60 * SECOND_NS)
    assert (now.entries_in_window, now.buys_in_window) == (61, 31)
    assert state(book, BAR_NS + count * 60 * SECOND_NS + 25 * HOUR_NS).entries_in_window == 0


def test_swap_is_a_cost_of_the_trade_that_paid_it() -> None:
    opened, closed = deal(1, entry=True, profit=0.0), deal(2, entry=False, profit=5.0)
    paid = msgspec.structs.replace(closed.deal, swap=-9.0)
    assert state(fold(opened, DealRecord(BAR_NS, paid))).losses_in_a_row == 1  # 5 earned, 11 paid


def test_a_fill_that_is_journaled_twice_counts_once() -> None:
    opened, lost = deal(1, entry=True, profit=0.0), deal(2, entry=False, profit=-5.0)
    assert state(fold(opened, opened, lost, lost)).losses_in_a_row == 1


def seen(number: int, equity: float) -> DecisionRecord:
    """Return a decision that saw an account and entered nothing."""
    account = Account("USD", equity, equity)
    return decision(number, intent=None, account=account)


@pytest.mark.parametrize("equity", [0.0, -1.0])
def test_a_terminal_that_knows_no_money_yet_begins_no_day(equity: float) -> None:
    book = fold(seen(1, equity), seen(2, 10_000.0))
    assert state(book).day_start_equity == 10_000.0
    book = fold(seen(1, 10_000.0), seen(2, equity), HaltRecord(BAR_NS, "", "operator"))
    assert state(book).peak_equity == 10_000.0


def test_a_new_account_begins_without_the_money_of_the_old() -> None:
    book = fold(seen(1, 50_000.0), AccountRecord(BAR_NS, "simulated", new=True))
    book.apply(HaltRecord(BAR_NS, "", "operator"))
    assert (book.equity, book.peak_equity) == (0.0, 0.0)
