"""The news calendar of a running scorer: asked for again and again, swapped whole."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from online.api.messages import PartState
from online.domain.errors import SextantError
from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.news import NOTHING_TOLD, NewsCalendar
from online.ports import Clock

logger = logging.getLogger(__name__)


class NewsSource(Protocol):
    """Where the calendar comes from."""

    @property
    def keeps_old(self) -> bool:
        """True if what it told before may be believed while it cannot tell."""

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
    """Keeps the calendar, and lets nothing be entered while there is none to be believed.

    A feed's is believed until it is too old; a file's only while the file can be read, too.

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
                what = "the old one stays" if self._source.keeps_old else "nothing is entered"
                logger.warning("no new news calendar, %s: %s: %s", what, error.code, error)
            self._trouble = error
            if not self._source.keeps_old and self._calendar is not NOTHING_TOLD:
                self._put(NOTHING_TOLD)
            return
        self._trouble = None
        if found is not None:
            self._put(found)
            logger.info("the news calendar holds %d events", len(found))

    def _put(self, calendar: NewsCalendar) -> None:
        self._calendar = calendar
        self._swap(calendar)

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
        detail = str(trouble) if trouble is not None else self._what_is_missing()
        return PartState(ready=fresh, code=code, detail=detail)

    def _what_is_missing(self) -> str:
        expired_at_ns = self._calendar.expires_at_ns
        if not expired_at_ns:
            return "no calendar was told yet"
        late_seconds = (self._clock.now_ns() - expired_at_ns) / NANOSECONDS_PER_SECOND
        return f"the calendar is too old by {late_seconds:.0f} s"
