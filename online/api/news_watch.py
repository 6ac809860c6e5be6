"""The news calendar of a running scorer: asked for again and again, swapped whole."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from online.api.messages import PartState
from online.domain.errors import SextantError
from online.domain.news import NewsCalendar
from online.ports import Clock

logger = logging.getLogger(__name__)


class NewsSource(Protocol):
    """Where the calendar comes from."""

    async def fetch(self, now_ns: int) -> NewsCalendar | None:
        """Return the calendar as it is told now; None if it is the one told before.

        Raises
        ------
        Unavailable
            If it is not told.
        InvalidSettings
            If what is told is no calendar.
        """


class NewsWatch:
    """Keeps the calendar; a wrong or missing one leaves the old in force until it is too old.

    Parameters
    ----------
    source
        Tells it.
    clock
        Tells when it was told.
    calendar
        The first.
    every_seconds
        Between two questions (> 0).
    swap
        Called with each new one.
    """

    def __init__(
        self,
        source: NewsSource,
        clock: Clock,
        calendar: NewsCalendar,
        every_seconds: float,
        swap: Callable[[NewsCalendar], None],
    ) -> None:
        self._source = source
        self._clock = clock
        self._calendar = calendar
        self._every_seconds = every_seconds
        self._swap = swap
        self._trouble: SextantError | None = None

    async def look(self) -> None:
        """Ask once."""
        try:
            found = await self._source.fetch(self._clock.now_ns())
        except SextantError as error:
            if str(error) != str(self._trouble):
                logger.warning("the old news calendar stays: %s: %s", error.code, error)
            self._trouble = error
            return
        if found is not None:
            self._calendar = found
            self._swap(found)
            logger.info("the news calendar holds %d events", len(found))
        if found is not None or self._calendar.expires_at_ns is not None:
            self._trouble = None

    async def keep(self) -> None:
        """Ask for ever."""
        while True:
            await self.look()
            await asyncio.sleep(self._every_seconds)

    def state(self) -> PartState:
        """Tell how the calendar is; entries wait once it is too old to be believed."""
        expires = self._calendar.expires_at_ns
        fresh = expires is None or self._clock.now_ns() < expires
        trouble = self._trouble
        if trouble is None and fresh:
            return PartState(ready=True, code="", detail=f"{len(self._calendar)} events")
        code = "NEWS_UNAVAILABLE" if trouble is None else trouble.code
        detail = str(trouble) if trouble is not None else "no calendar was told yet"
        return PartState(ready=fresh, code=code, detail=detail)
