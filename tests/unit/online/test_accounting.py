"""Whose account a journal is of."""

from __future__ import annotations

import pytest

from online.adapters.simulated_broker import SimulatedBroker
from online.api.accounting import OtherAccount, RealAccount, check_money, judge_account
from online.domain.account import AccountIdentity
from online.domain.book import Book
from online.domain.market import Quote
from online.domain.order import OrderKind
from online.domain.order_state import Stage
from online.domain.record import AccountRecord
from online.sending import append
from online.simulator.terminal import SimulatedTerminal
from online.trade import run_to_completion
from tests.fakes import EURUSD
from tests.floors import FailingBroker, TestFloor

pytestmark = pytest.mark.lean
LIVE = AccountIdentity("1@Broker", lasting=True, real=True)
OTHER = AccountIdentity("2@Broker", lasting=True, real=True)
SIMULATED = AccountIdentity("simulated", lasting=False, real=False)


def test_the_first_account_is_recorded_and_the_same_one_is_no_news() -> None:
    book = Book()
    record = judge_account(LIVE, book, 5)
    assert record == AccountRecord(5, "1@Broker")
    book.apply(record)
    assert judge_account(LIVE, book, 6) is None


@pytest.mark.parametrize("other", [OTHER, SIMULATED])
def test_another_account_than_the_journals_is_refused(other: AccountIdentity) -> None:
    book = Book()
    book.apply(AccountRecord(5, LIVE.name))
    with pytest.raises(OtherAccount, match="1@Broker") as refused:
        judge_account(other, book, 6)
    assert refused.value.code == "OTHER_ACCOUNT"


@pytest.mark.parametrize("mode", ["paper", "replay"])
def test_real_money_is_for_mode_live_alone(mode: str) -> None:
    with pytest.raises(RealAccount, match="1@Broker holds real money") as refused:
        check_money(LIVE, mode)
    assert refused.value.code == "REAL_ACCOUNT"
    check_money(LIVE, "live")
    check_money(SIMULATED, mode)
    check_money(SIMULATED, "live")  # a rehearsal


def test_a_journal_of_a_simulation_is_not_gone_on_with_on_a_real_account() -> None:
    book = Book()
    book.apply(AccountRecord(5, SIMULATED.name))
    with pytest.raises(OtherAccount, match="simulated"):
        judge_account(LIVE, book, 6)


def test_a_simulation_that_never_traded_goes_on_as_it_was() -> None:
    book = Book()
    book.apply(AccountRecord(5, SIMULATED.name))
    assert judge_account(SIMULATED, book, 6) is None


def test_a_new_simulation_ends_what_was_open_in_the_old_one_and_counts_deals_from_the_first() -> (
    None
):
    floor = TestFloor()
    floor.enter()
    floor.enter(kind=OrderKind.LIMIT, price=1.095, quoted=1.095)
    floor.broker.loses_order = True
    floor.enter()
    floor.book.last_deal = 7
    floor.terminal = SimulatedTerminal([EURUSD])
    floor.terminal.on_quote(Quote("EURUSD", 1.1, 1.1002, floor.clock.time_ns))
    floor.broker = FailingBroker(SimulatedBroker(floor.terminal, floor.clock))
    record = judge_account(SIMULATED, floor.book, floor.clock.time_ns)
    assert record is not None
    assert record.new
    run_to_completion(append(floor, record))
    for _ in range(2):
        book = floor.book
        assert (book.pending, book.orders.resting, book.last_deal) == ((), (), 0)
        stages = [order.state.stage for order in book.orders.newest(9)]
        assert stages == [Stage.CANCELLED, Stage.CANCELLED, Stage.FILLED]
        assert book.knows("entry-1")
        floor.restart()
