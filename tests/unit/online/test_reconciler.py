"""The rounds of reconciliation: what is journaled, what blocks, what halts, and for how long."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from online.domain.account import RestingOrder
from online.domain.book import Book
from online.domain.errors import Unavailable
from online.domain.market import Side, Timeframe
from online.domain.reconciliation import FindingKind
from online.domain.record import DealRecord, HaltRecord, ReconciliationRecord, Request
from online.domain.trading_state import TradingState
from online.reconciler import BY, Reconciler, ReconciliationRules
from online.trade import Desk, consider
from tests.fake_broker import FakeBroker
from tests.fakes import (
    BAR_NS,
    INSTRUMENTS,
    FakeClock,
    FakeFeatures,
    FakeJournal,
    FakeModel,
    make_account,
    make_intent,
    make_limits,
    make_position,
)

pytestmark = pytest.mark.lean
SECOND_NS = 1_000_000_000


class Round:
    """A reconciler on fakes, and what it did."""

    def __init__(self, broker: FakeBroker | None = None) -> None:
        self.broker, self.journal = broker or FakeBroker(), FakeJournal()
        self.clock, self.book = FakeClock(), Book()
        rules = ReconciliationRules()
        self.reconciler = Reconciler(self.broker, self.journal, self.clock, self.book, rules)

    def begin(self) -> None:
        asyncio.run(self.reconciler.begin())

    def due(self, after_seconds: float = 0.0) -> bool:
        self.clock.time_ns += round(after_seconds * SECOND_NS)
        return asyncio.run(self.reconciler.run_due())

    @property
    def kinds(self) -> list[FindingKind]:
        return [finding.kind for finding in self.book.findings]

    @property
    def halts(self) -> list[HaltRecord]:
        return [record for record in self.journal.records if isinstance(record, HaltRecord)]


def test_nothing_is_entered_after_a_start_until_everything_agreed() -> None:
    world = Round(FakeBroker(down=True))
    assert world.book.unreconciled == ""  # a backtest has no broker to compare with
    world.begin()
    assert "since the start" in world.book.unreconciled
    with pytest.raises(Unavailable):
        world.due()
    assert not world.book.compared
    world.broker.down = False
    assert world.due()
    assert (world.book.compared, world.book.unreconciled) == (True, "")
    again = Book()
    for record in world.journal.records:
        again.apply(record)
    assert (again.compared, again.unreconciled) == (True, "")


def test_rounds_go_on_when_the_clock_is_set_back() -> None:
    world = Round()
    world.begin()
    assert world.due()
    assert world.due(-3_600.0)
    assert not world.due(1.9)
    assert world.due(0.1)


def test_an_account_that_is_not_compared_is_told_though_the_clock_was_set_back() -> None:
    world = Round()
    world.begin()
    assert world.due()
    world.broker.down = True
    with pytest.raises(Unavailable):
        world.due(-3_600.0)
    assert world.kinds == [FindingKind.OVERDUE]


def test_rounds_come_when_the_clock_says_so() -> None:
    world = Round()
    world.begin()
    assert world.due()
    assert not world.due(1.9)
    assert world.due(0.1)
    assert world.reconciler.all_at_ns < world.reconciler.positions_at_ns
    assert world.due(30.0)
    assert world.reconciler.all_at_ns == world.reconciler.positions_at_ns
    assert [type(record) for record in world.journal.records] == [ReconciliationRecord] * 2


def test_a_foreign_position_halts_at_once_and_stays_so_until_it_is_accepted() -> None:
    world = Round()
    world.begin()
    world.due()
    world.broker.positions = (make_position(ticket=5, magic=0),)
    world.due(2.0)
    assert world.kinds == [FindingKind.FOREIGN_POSITION]
    assert [halt.by for halt in world.halts] == [BY]
    assert "FOREIGN_POSITION 5" in world.book.halted
    world.broker.positions = ()
    world.due(2.0)
    assert (world.kinds, world.book.unreconciled) == ([], "")
    assert world.book.halted, "somebody else traded: a person must look"


def test_a_foreign_position_halts_what_was_only_reducing() -> None:
    world = Round()
    world.begin()
    world.due()
    world.book.apply(HaltRecord(0, "leave slowly", "operator", TradingState.REDUCING))
    world.broker.positions = (make_position(ticket=5, magic=0),)
    world.due(2.0)
    assert world.book.trading is TradingState.HALTED
    world.due(2.0)
    assert len(world.halts) == 1


def test_what_an_operator_has_accepted_halts_no_more_but_the_next_one_does() -> None:
    world = Round(FakeBroker(positions=(make_position(ticket=5, magic=0),)))
    world.begin()
    world.due()
    assert world.book.halted
    world.book.apply(HaltRecord(0, "", "operator"))
    assert world.book.unreconciled == "journal and broker do not agree since the start"
    world.due(2.0)
    assert (world.book.halted, world.book.unreconciled) == ("", "")
    world.broker.positions = (*(world.broker.positions or ()), make_position(ticket=6, magic=9))
    world.due(2.0)
    assert "FOREIGN_POSITION 6" in world.book.halted


def test_a_fill_by_hand_is_journaled_and_found_in_the_same_round() -> None:
    world = Round()
    world.begin()
    world.due()
    asyncio.run(world.broker.send(make_intent(magic=0)))
    world.due(2.0)
    assert set(world.kinds) == {FindingKind.FOREIGN_DEAL, FindingKind.FOREIGN_POSITION}
    assert any(isinstance(record, DealRecord) for record in world.journal.records)
    assert world.book.halted


@pytest.mark.parametrize("set_back_seconds", [0.0, 3_600.0])
def test_a_missing_position_blocks_when_seen_twice_and_halts_after_its_grace(
    set_back_seconds: float,
) -> None:
    world = Round()
    world.begin()
    world.due()
    asyncio.run(_trade(world))
    world.due(2.0)
    world.broker.positions = ()
    world.due(2.0)
    assert world.book.unreconciled == "", "the deal of its stop may lag behind"
    world.due(2.0)
    assert world.kinds == [FindingKind.MISSING_POSITION]
    assert (bool(world.book.unreconciled), world.book.halted) == (True, "")
    world.due(-set_back_seconds)  # of the clock
    world.due(10.0)
    assert "MISSING_POSITION" in world.book.halted


def test_a_difference_that_goes_away_leaves_no_halt_behind() -> None:
    world = Round()
    world.begin()
    world.due()
    world.broker.money_total = 1.0
    for _ in range(3):
        world.due(30.0)
    assert world.kinds == [FindingKind.BALANCE_DIFFERS]
    world.broker.money_total = None
    world.due(30.0)
    assert (world.kinds, world.book.unreconciled, world.book.halted) == ([], "", "")


def test_findings_of_a_whole_round_stand_through_rounds_over_positions() -> None:
    world = Round()
    world.begin()
    world.due()
    resting = RestingOrder(4, 0, "EURUSD", Side.BUY, "limit", 0.1, 1.0, 0.0, 0.0, "")
    world.broker.resting = (resting,)
    world.due(30.0)
    world.due(2.0)
    assert world.kinds == [FindingKind.FOREIGN_ORDER]


def test_a_broker_that_stays_silent_is_overdue_and_blocks_until_it_speaks() -> None:
    world = Round()
    world.begin()
    world.due()
    world.broker.down = True
    for seconds in (30.0, 121.0, 2.0):
        with pytest.raises(Unavailable):
            world.due(seconds)
    assert world.kinds == [FindingKind.OVERDUE]
    world.broker.down = False
    world.due(2.0)
    assert (world.kinds, world.book.halted) == ([], "")


def test_a_fill_of_ours_that_comes_after_newer_ones_is_journaled_once() -> None:
    world = Round()
    world.begin()
    world.due()
    asyncio.run(_trade(world))
    late = world.broker.deals.pop()
    world.book.last_deal = late.ticket + 1
    world.due(30.0)
    world.broker.deals.append(late)
    for _ in range(3):
        world.due(30.0)
    assert [r.deal for r in world.journal.records if isinstance(r, DealRecord)] == [late]
    assert world.book.unreconciled == ""


def test_an_account_that_is_not_told_is_no_agreement() -> None:
    world = Round()
    world.begin()
    world.due()
    world.broker.account = None
    with pytest.raises(Unavailable):
        world.due(2.0)
    world.broker.account = make_account(equity=float("nan"))
    with pytest.raises(Unavailable, match="equity is nan"):
        world.due(2.0)


async def _trade(world: Round) -> None:
    """Have an entry decided, sent, filled and journaled."""
    desk = Desk(
        features=FakeFeatures(),
        broker=world.broker,
        journal=world.journal,
        clock=FakeClock(),
        model=FakeModel(),
        limits=make_limits(),
        instruments=INSTRUMENTS,
        book=world.book,
    )
    outcome = await consider(Request("EURUSD", Timeframe.H1, BAR_NS, send=True), desk)
    assert outcome.reply is not None, outcome.record.vetoes


def test_a_statement_that_is_not_finite_is_no_statement() -> None:
    world = Round()
    world.begin()
    asyncio.run(world.broker.send(make_intent(magic=0)))
    (filled,) = world.broker.deals
    world.broker.deals = [msgspec.structs.replace(filled, profit=float("nan"))]
    with pytest.raises(Unavailable, match="not finite"):
        world.due()
    assert not world.book.compared
    assert not any(isinstance(record, DealRecord) for record in world.journal.records)
