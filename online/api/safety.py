"""Safety of a running scorer: the kill ladder, and limits that change while it runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from online.api.messages import PartState
from online.api.metrics import Meters
from online.api.operating import Operating
from online.domain.book import Book
from online.domain.errors import Conflict, InvalidSettings, SextantError
from online.domain.limits import Limits
from online.domain.record import HaltRecord, LimitsRecord
from online.domain.trading_state import TradingState
from online.operate import Closing
from online.ports import Clock, Journal

LOOK_EVERY_SECONDS = 2.0
"""How often the files of the limits are looked at."""
logger = logging.getLogger(__name__)


class LimitsSource(Protocol):
    """Where limits are read anew."""

    def read(self) -> Limits:
        """Return the limits as they are stated now.

        Raises
        ------
        InvalidSettings
            If anything of the settings is wrong.
        """

    def stamp(self) -> tuple[object, ...]:
        """Return what changes when their files do."""


class Guarded(Protocol):
    """What safety needs of a scorer's parts."""

    book: Book
    limits: Limits

    @property
    def journal(self) -> Journal:
        """Where every change is recorded."""

    @property
    def clock(self) -> Clock:
        """Tells the time."""


class Safety:
    """Climbs the kill ladder and swaps the limits; every change is journaled first.

    Parameters
    ----------
    parts
        Of the scorer; their limits are those in force.
    meters
        Told of every change.
    turn
        Held by whoever trades.
    operating
        Closes what is open.
    source
        Of limits; None where they do not change while it runs.
    swap
        Called with new limits once they are journaled.
    """

    def __init__(
        self,
        parts: Guarded,
        meters: Meters,
        turn: asyncio.Lock,
        operating: Operating,
        source: LimitsSource | None,
        swap: Callable[[Limits], None],
    ) -> None:
        self._parts = parts
        self._meters = meters
        self._turn, self._reading = turn, asyncio.Lock()
        self._operating = operating
        self._source = source
        self._swap = swap
        self._trouble: SextantError | None = None
        self._unwritten: list[HaltRecord] = []
        self._stamp = () if source is None else source.stamp()

    async def begin(self) -> None:
        """Journal the limits that are in force from the start."""
        parts = self._parts
        self._meters.tell_trading(parts.book.trading)
        previous = parts.book.limits
        await self._record(LimitsRecord(parts.clock.now_ns(), parts.limits, "start", previous))

    async def change(self, state: TradingState, reason: str, by: str) -> None:
        """Change the trading state; durable when this returns.

        A stricter state is in force at once, even if it cannot be journaled: what is decided while
        it is being written must not be sent behind it.

        Parameters
        ----------
        state
            Active resumes, whatever the state was.
        reason
            Why; empty for active.
        by
            Who.

        Raises
        ------
        Conflict
            With code ``STATE_IS_STRICTER`` if less is let through already.
        JournalUnavailable
            If it cannot be recorded.
        """
        book = self._parts.book
        if state is not TradingState.ACTIVE and book.trading.is_stricter_than(state):
            raise Conflict(
                f"trading is {book.trading} already: {book.halted}",
                code="STATE_IS_STRICTER",
                remedy="Resume first, if more shall be let through.",
            )
        record = HaltRecord(self._parts.clock.now_ns(), reason, by, state)
        if state is TradingState.ACTIVE:
            await self._record(record)
        else:
            await self._tighten(record)
        for each in self._unwritten:  # asked for meanwhile: what was written before ends it not
            if each.trading.is_stricter_than(book.trading):
                book.apply(each)
        logger.warning("trading is %s by %s: %s", book.trading, by, reason or "resumed")
        self._meters.tell_trading(book.trading)

    async def flatten(self, reason: str, by: str, client_id: str | None = None) -> Closing:
        """Halt, then cancel and close all that is this journal's; what failed is told.

        Parameters
        ----------
        client_id
            Asked for again with the same, it halts and goes on where it was interrupted: what was
            sent before is told and not sent again. Without one it is a new flatten each time.

        Raises
        ------
        Unavailable
            If the broker does not tell what is open, or nothing can be recorded: then nothing was
            sent, and trading is halted in this process.
        """
        await self.change(TradingState.HALTED, f"flatten: {reason}", by)
        number = f"flatten-{self._parts.clock.now_ns()}-{self._parts.book.last_number}"
        return await self._operating.close_all(client_id or number, "", by, reason)

    async def reload(self, by: str) -> LimitsRecord:
        """Read the limits anew and put them in force; the last record tells what changed.

        Raises
        ------
        InvalidSettings
            If they, or any other setting, are wrong; the old ones stay in force.
        JournalUnavailable
            If the change cannot be recorded; the old ones stay in force.
        """
        if self._source is None:
            raise InvalidSettings("this scorer was not told where its limits are read from")
        async with self._reading:  # whoever trades does not wait for their file
            try:
                fresh = await asyncio.to_thread(self._source.read)
                async with self._turn:
                    parts = self._parts
                    record = LimitsRecord(parts.clock.now_ns(), fresh, by, parts.limits)
                    if record.changes:
                        await self._record(record)
                        self._swap(fresh)
            except SextantError as error:
                self._refuse(error)
                raise
        self._refuse(None)
        for name, (before, after) in record.changes.items():
            logger.warning("limit %s is %s instead of %s, by %s", name, after, before, by)
        return record

    async def watch(self) -> None:
        """Look for changed files for ever and put what they say in force."""
        if self._source is None:
            return
        seen = self._stamp
        while True:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            now = await asyncio.to_thread(self._source.stamp)
            if now != seen:
                seen = now
                await self.try_reload("file")

    async def try_reload(self, by: str) -> None:
        """As `reload`, for whoever can answer nobody: a failure is told by log and readiness."""
        try:
            await self.reload(by)
        except SextantError as error:
            logger.error("limits are refused, the old ones stay: %s: %s", error.code, error)  # noqa: TRY400 - the message says it all

    def state(self) -> PartState:
        """Tell whether the limits in force are those that are stated."""
        if self._trouble is None:
            return PartState(ready=True, code="", detail="as they are stated")
        detail = f"the stated ones are refused, the old ones stay: {self._trouble}"
        return PartState(ready=True, code=self._trouble.code, detail=detail)

    def _refuse(self, error: SextantError | None) -> None:
        self._trouble = error
        self._meters.tell_limits(refused=error is not None)

    async def _tighten(self, record: HaltRecord) -> None:
        """Put a stricter state in force, then journal it."""
        self._parts.book.apply(record)
        self._meters.tell_trading(self._parts.book.trading)
        self._unwritten.append(record)
        try:
            await self._record(record)
        finally:
            self._unwritten.remove(record)

    async def _record(self, record: HaltRecord | LimitsRecord) -> None:
        await self._parts.journal.append(record)
        self._parts.book.apply(record)
