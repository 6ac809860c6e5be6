"""Reconciliation while the scorer runs: its rounds, when they are due, and what is told of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import perf_counter

from online.api.messages import PartState, ReconciliationAnswer
from online.api.metrics import Meters
from online.domain.book import Book
from online.domain.errors import SextantError
from online.domain.reasons import Reason
from online.reconciler import Reconciler

logger = logging.getLogger(__name__)


class Reconciling:
    """Keeps journal and broker compared.

    Parameters
    ----------
    reconciler
        Does the rounds.
    book
        Which they change.
    trading
        Held during a round: no order is sent meanwhile.
    resolve
        Looks for the fates of orders left unresolved.
    meters
        Told of every round.
    """

    def __init__(
        self,
        reconciler: Reconciler,
        book: Book,
        trading: asyncio.Lock,
        resolve: Callable[[], Awaitable[None]],
        meters: Meters,
    ) -> None:
        self._reconciler = reconciler
        self._book = book
        self._trading = trading
        self._resolve = resolve
        self._meters = meters
        self._trouble = ""

    async def begin(self) -> None:
        """Let no entry be sent until a first round has agreed, and try that round.

        Raises
        ------
        JournalUnavailable
            If that cannot be recorded.
        """
        await self._reconciler.begin()
        async with self._trading:
            await self.turn()

    async def keep(self) -> None:
        """Do what is due, again and again, until cancelled."""
        pause_seconds = min(self._reconciler.rules.positions_seconds / 2, 1.0)
        while True:
            await asyncio.sleep(pause_seconds)
            try:
                async with self._trading:
                    await self.turn()
            except Exception as error:  # the edge of a task nobody awaits: readiness tells it
                logger.exception("reconciliation failed")
                self._trouble = f"it failed: {error}"

    async def turn(self) -> None:
        """Do the round that is due; whoever calls holds the lock."""
        started = perf_counter()
        try:
            orders = self._book.orders
            if orders.pending or (orders.resting and self._reconciler.is_due):
                await self._resolve()
            done = await self._reconciler.run_due()
        except SextantError as error:
            self._meters.count_round("failed", 0.0)
            if str(error) != self._trouble:
                logger.warning("journal and broker could not be compared: %s", error)
            self._trouble = str(error)
        else:
            if done:
                self._trouble = ""
                self._meters.count_round("compared", perf_counter() - started)
        self._meters.tell_findings(self._book.findings, agreed=not self._book.unreconciled)
        self._meters.tell_trading(self._book.trading)

    def state(self) -> PartState:
        """Return it as a part of the readiness."""
        why = "; ".join(text for text in (self._book.unreconciled, self._trouble) if text)
        if why:
            return PartState(ready=False, code=Reason.NOT_RECONCILED, detail=why)
        return PartState(ready=True, code="", detail="journal and broker agree")

    def answer(self) -> ReconciliationAnswer:
        """Return what is known of it."""
        book, reconciler = self._book, self._reconciler
        return ReconciliationAnswer(
            agreed=not book.unreconciled,
            detail=book.unreconciled,
            trouble=self._trouble,
            findings=book.findings,
            accepted=tuple(sorted(book.accepted, key=str)),
            positions_compared_at_ns=reconciler.positions_at_ns,
            all_compared_at_ns=reconciler.all_at_ns,
            rounds=reconciler.rounds,
        )
