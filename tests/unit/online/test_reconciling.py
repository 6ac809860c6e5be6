"""The loop around reconciliation: it outlives what goes wrong, and tells it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from online.api.metrics import Meters
from online.api.reconciling import Reconciling
from online.domain.book import Book
from online.domain.errors import Unavailable
from online.reconciler import Reconciler, ReconciliationRules
from tests.fake_broker import FakeBroker
from tests.fakes import FakeClock, FakeJournal

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
