"""The loop around reconciliation: it outlives what goes wrong, and tells it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from online.api.metrics import Meters
from online.api.reconciling import Reconciling
from online.domain.book import Book
from online.domain.errors import Unavailable
from online.domain.order import OrderKind
from online.domain.order_state import Stage
from online.domain.reconciliation import FindingKind
from online.domain.trading_state import TradingState
from online.reconciler import Reconciler, ReconciliationRules
from online.sending import resolve_pending
from tests.fake_broker import FakeBroker
from tests.fakes import FakeClock, FakeJournal
from tests.floors import TestFloor

pytestmark = pytest.mark.lean


class Troubled(Reconciler):
    """A reconciler whose rounds fail in turn, and then do not."""

    async def run_due(self) -> bool:
        self.rounds += 1
        match self.rounds:
            case 1:
                raise Unavailable("the terminal is down")
            case 2:
                raise RuntimeError("a fault of our own")
            case 3:
                troubled.set()
                await told.wait()
        mended.set()
        return True


troubled, told, mended = asyncio.Event(), asyncio.Event(), asyncio.Event()


def test_rounds_go_on_whatever_one_of_them_ends_with_and_readiness_tells() -> None:
    async def story() -> None:
        book = Book()
        rules = ReconciliationRules(positions_seconds=0.002)
        reconciler = Troubled(FakeBroker(), FakeJournal(), FakeClock(), book, rules)
        meters = Meters()

        async def resolve() -> None:
            """Find nothing: nothing is pending."""

        subject = Reconciling(reconciler, book, asyncio.Lock(), resolve, meters)
        assert subject.state().ready
        keeping = asyncio.create_task(subject.keep())
        await asyncio.wait_for(troubled.wait(), 10.0)
        state = subject.state()
        assert (state.ready, state.code) == (False, "NOT_RECONCILED")
        assert "a fault of our own" in state.detail
        told.set()
        await asyncio.wait_for(mended.wait(), 10.0)
        await asyncio.sleep(0)
        assert subject.state().ready
        metrics = meters.render().decode()
        assert 'sextant_reconciliations_total{outcome="failed"} 1.0' in metrics
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping

    asyncio.run(story())


class Rounds:
    """The rounds of a floor on which one order rests, and nothing else is open."""

    def __init__(self) -> None:
        self.floor = floor = TestFloor()
        self.looks = 0
        floor.enter(kind=OrderKind.LIMIT, price=1.095, quoted=1.095)
        rules = ReconciliationRules()
        reconciler = Reconciler(floor.broker, floor.journal, floor.clock, floor.book, rules)
        self.subject = Reconciling(reconciler, floor.book, asyncio.Lock(), self._resolve, Meters())

    async def _resolve(self) -> None:
        self.looks += 1
        await resolve_pending(self.floor)

    def turn(self) -> None:
        asyncio.run(self.subject.turn())

    def stage(self) -> Stage:
        (order,) = self.floor.book.orders.newest(1)
        return order.state.stage

    def trading(self) -> TradingState:
        return self.floor.book.trading


def test_an_order_that_rests_alone_is_followed_to_its_fill_without_any_decision() -> None:
    rounds = Rounds()
    rounds.turn()
    assert rounds.stage() is Stage.ACCEPTED
    rounds.floor.quote(1.0948, 1.095)
    rounds.floor.clock.time_ns += 2_000_000_000
    rounds.turn()
    assert rounds.stage() is Stage.FILLED
    assert rounds.floor.book.orders.resting == ()


def test_an_order_that_rests_is_looked_for_when_a_round_is_due_not_more_often() -> None:
    rounds = Rounds()
    rounds.turn()
    rounds.turn()
    assert rounds.looks == 1
    rounds.floor.clock.time_ns += 2_000_000_000
    rounds.turn()
    assert rounds.looks == 2


def test_an_order_that_rests_no_more_and_whose_end_is_not_told_halts_after_its_grace() -> None:
    rounds = Rounds()
    rounds.turn()
    server = rounds.floor.terminal.server
    server.pending.resting.clear()
    for _ in range(2):
        rounds.floor.clock.time_ns += 2_000_000_000
        rounds.turn()
    book = rounds.floor.book
    assert [finding.kind for finding in book.findings] == [FindingKind.MISSING_ORDER]
    assert "MISSING_ORDER" in book.unreconciled
    assert rounds.trading() is TradingState.ACTIVE
    rounds.floor.clock.time_ns += 10_000_000_000
    rounds.turn()
    assert rounds.trading() is TradingState.HALTED
