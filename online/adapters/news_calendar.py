"""The news calendar from a file, or from an address that is asked again and again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from online.domain.errors import InvalidSettings, Unavailable
from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.news import NewsCalendar, parse_news

_LARGEST_BYTES = 16_000_000


class NewsFile:
    """A calendar in a file; it is read anew when the file has changed.

    Parameters
    ----------
    path
        CSV or JSON, as `online.domain.news.parse_news` reads it.
    max_age_seconds
        How long it is believed after the file was last changed; 0 for ever.
    """

    keeps_old = False
    """What a broken file told before is not believed: nobody knows what it should say."""

    def __init__(self, path: Path, max_age_seconds: float = 0.0) -> None:
        self._path = path
        self._max_age_ns = round(max_age_seconds * NANOSECONDS_PER_SECOND)
        self._stamp: tuple[int, int] | None = None

    def read(self, now_ns: int | None = None) -> NewsCalendar:
        """Return the calendar.

        Parameters
        ----------
        now_ns
            A file that is stamped later was not changed later; None where it does not age.

        Raises
        ------
        InvalidSettings
            With code ``INVALID_NEWS_CALENDAR`` if the file cannot be read or is none.
        """
        self._stamp = None
        try:
            told = self._path.stat()
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidSettings(
                f"news calendar {self._path} cannot be read: {error}", code="INVALID_NEWS_CALENDAR"
            ) from error
        events = parse_news(text, str(self._path))
        self._stamp = (told.st_mtime_ns, told.st_size)
        expires_at_ns = None
        if self._max_age_ns and now_ns is not None:
            expires_at_ns = min(told.st_mtime_ns, now_ns) + self._max_age_ns
        return NewsCalendar(events, expires_at_ns)

    async def fetch(self, now_ns: int) -> NewsCalendar | None:
        """Return the calendar if the file has changed since it was read well; errors as `read`."""
        try:
            told = self._path.stat()
        except OSError:
            told = None
        if told is not None and (told.st_mtime_ns, told.st_size) == self._stamp:
            return None
        return self.read(now_ns)


class NewsFeed:
    """A calendar behind an address; what it tells is believed for a while.

    Parameters
    ----------
    url
        Answers with CSV or JSON, as `online.domain.news.parse_news` reads it.
    max_age_seconds
        How long an answer is believed (> 0).
    timeout_seconds
        Longest wait for one (> 0).
    """

    keeps_old = True
    """What it told before is believed for its time: an address may be silent for a while."""

    def __init__(self, url: str, max_age_seconds: float, timeout_seconds: float) -> None:
        self._url = url
        self._max_age_ns = round(max_age_seconds * NANOSECONDS_PER_SECOND)
        self._timeout_seconds = timeout_seconds

    async def fetch(self, now_ns: int) -> NewsCalendar | None:
        """Return the calendar as it is now.

        Raises
        ------
        Unavailable
            If the address does not answer.
        InvalidSettings
            With code ``INVALID_NEWS_CALENDAR`` if what it answers is no calendar.
        """
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),  # of the whole, not of each part
                httpx.AsyncClient(timeout=self._timeout_seconds) as client,
                client.stream("GET", self._url, follow_redirects=False) as response,
            ):
                response.raise_for_status()
                text = await _read(response)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            why = str(error) or f"not all within {self._timeout_seconds:g} s"
            raise Unavailable(
                f"the news feed does not answer: {why}", code="NEWS_UNAVAILABLE"
            ) from error
        return NewsCalendar(parse_news(text, "the news feed"), now_ns + self._max_age_ns)


async def _read(response: httpx.Response) -> str:
    """Return what a feed tells, and never hold more of it than may be read."""
    told = bytearray()
    async for part in response.aiter_bytes():
        told += part
        if len(told) > _LARGEST_BYTES:
            raise InvalidSettings(
                f"the news feed tells more than {_LARGEST_BYTES} bytes, which are not read",
                code="INVALID_NEWS_CALENDAR",
            )
    try:
        return told.decode(response.encoding or "utf-8")
    except (UnicodeDecodeError, LookupError) as error:
        raise InvalidSettings(
            f"the news feed cannot be read: {error}", code="INVALID_NEWS_CALENDAR"
        ) from error
