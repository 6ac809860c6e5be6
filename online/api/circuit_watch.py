"""Journals every circuit that opens or closes, beside the work that makes it do so."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable

from online.domain.breaker import Breaker
from online.domain.circuit_record import CircuitRecord
from online.domain.errors import JournalUnavailable
from online.sending import Sender, append

AGAIN_SECONDS = 1.0
"""Between two tries where the journal cannot be written."""
logger = logging.getLogger(__name__)


class CircuitWatch:
    """Takes note of every change of the breakers and writes it down as soon as it can.

    Nobody who asks an outside system waits for that, and no change is left out: what the journal
    cannot take now it is given later, with the time at which it was.

    Parameters
    ----------
    breakers
        Of the scorer's outside systems; each tells of its changes here from now on.
    parts
        The journal, its fold and the clock.
    """

    def __init__(self, breakers: Iterable[Breaker], parts: Sender) -> None:
        self._parts = parts
        self._untold: deque[CircuitRecord] = deque()
        self._changed = asyncio.Event()
        for breaker in breakers:
            breaker.on_change = self._take

    def _take(self, breaker: Breaker) -> None:
        now_ns = self._parts.clock.now_ns()
        record = CircuitRecord(now_ns, breaker.name, breaker.state, breaker.trouble)
        logger.warning("circuit %s is %s: %s", record.system, record.state, record.trouble)
        self._untold.append(record)
        self._changed.set()

    async def keep(self) -> None:
        """Write changes down, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if not await self.flush():
                await asyncio.sleep(AGAIN_SECONDS)
                self._changed.set()

    async def flush(self) -> bool:
        """Write down what was not yet; return False where the journal does not take it."""
        while self._untold:
            record = self._untold.popleft()  # before: who is cancelled has given it to the journal
            try:
                await append(self._parts, record, durable=False)
            except JournalUnavailable:  # told by readiness already
                self._untold.appendleft(record)
                return False
        return True
