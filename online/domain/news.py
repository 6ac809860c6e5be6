"""The news calendar: spans of time in which an event forbids new entries."""

from __future__ import annotations

import csv
import io
from bisect import bisect_right
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

from online.domain.errors import InvalidSettings
from online.domain.market import NANOSECONDS_PER_SECOND, Instrument

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
COLUMNS = ("starts_at", "ends_at", "subject", "impact", "name")


class Impact(StrEnum):
    """How much an event is expected to move the market."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        """0 for low to 2 for high."""
        return _RANKS[self]


_RANKS = {Impact.LOW: 0, Impact.MEDIUM: 1, Impact.HIGH: 2}


class NewsEvent(msgspec.Struct, frozen=True, gc=False):
    """A span in which a symbol, or everything in a currency, is not entered.

    Parameters
    ----------
    starts_at_ns, ends_at_ns
        Start included, end not, nanoseconds UTC.
    subject
        A symbol, or a currency of a symbol's pair.
    impact
        Compared with the limit `news_impact`.
    name
        For the reader.
    """

    starts_at_ns: int
    ends_at_ns: int
    subject: str
    impact: Impact
    name: str


class NewsCalendar:
    """Events in order, and how long they may be believed.

    Parameters
    ----------
    events
        In any order.
    expires_at_ns
        When they are too old to be believed, nanoseconds UTC; None for a calendar that never is.
    """

    def __init__(self, events: Iterable[NewsEvent], expires_at_ns: int | None = None) -> None:
        self._events = sorted(events, key=lambda event: event.starts_at_ns)
        self._starts_ns = [event.starts_at_ns for event in self._events]
        self._longest_ns = max((e.ends_at_ns - e.starts_at_ns for e in self._events), default=0)
        self.expires_at_ns = expires_at_ns

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self._events)

    def in_force(self, instrument: Instrument, now_ns: int) -> tuple[NewsEvent, ...] | None:
        """Return the events that concern an instrument now; None if the calendar is too old."""
        if self.expires_at_ns is not None and not now_ns < self.expires_at_ns:
            return None
        if not self._events:
            return ()
        first = bisect_right(self._starts_ns, now_ns - self._longest_ns - 1)
        last = bisect_right(self._starts_ns, now_ns)
        if first >= last:
            return ()
        subjects = (instrument.symbol, instrument.base_currency, instrument.profit_currency)
        return tuple(
            event
            for event in self._events[first:last]
            if now_ns < event.ends_at_ns and event.subject in subjects
        )


NO_NEWS = NewsCalendar(())
"""The calendar of who keeps none: nothing is ever in force."""
NOTHING_TOLD = NewsCalendar((), expires_at_ns=0)
"""The calendar of who was told none that may be believed: nothing is entered."""


def parse_news(text: str, where: str) -> tuple[NewsEvent, ...]:
    """Return the events of a calendar in CSV, or in JSON if it begins with a bracket.

    Both have the fields `starts_at`, `ends_at` (RFC 3339 with a zone), `subject` (a symbol or a
    currency), `impact` (low, medium, high) and `name`.

    Parameters
    ----------
    text
        The whole calendar.
    where
        Its file or address, for the message.

    Raises
    ------
    InvalidSettings
        With code ``INVALID_NEWS_CALENDAR``, naming the place of the first fault.
    """
    rows = _read_json(text, where) if text.lstrip().startswith("[") else _read_csv(text, where)
    return tuple(_read_event(row, f"{where}, event {place}") for place, row in enumerate(rows, 1))


def _read_json(text: str, where: str) -> list[dict[str, str]]:
    try:
        return msgspec.json.decode(text, type=list[dict[str, str]])
    except msgspec.DecodeError as error:
        raise _invalid(f"{where} is no list of events: {error}") from error


def _read_csv(text: str, where: str) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise _invalid(f"{where} is not CSV: {error}") from error
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise _invalid(f"{where} needs the columns {', '.join(COLUMNS)}: {reader.fieldnames}")
    return rows


def _read_event(row: dict[str, str], place: str) -> NewsEvent:
    if set(row) != set(COLUMNS) or not all(isinstance(value, str) for value in row.values()):
        raise _invalid(f"{place} needs exactly {', '.join(COLUMNS)}")
    starts_at_ns, ends_at_ns = (_read_instant(row[name], place) for name in COLUMNS[:2])
    subject = row["subject"].strip()
    if not subject or starts_at_ns >= ends_at_ns:
        raise _invalid(f"{place} needs a subject and an end behind its start")
    try:
        impact = Impact(row["impact"].strip().lower())
    except ValueError:
        raise _invalid(
            f"{place}: impact must be one of {', '.join(Impact)}, got {row['impact']!r}"
        ) from None
    return NewsEvent(starts_at_ns, ends_at_ns, subject, impact, row["name"].strip())


def _read_instant(text: str, place: str) -> int:
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise _invalid(f"{place}: {text!r} is no instant, like 2026-11-20T13:30:00Z") from None
    if at.tzinfo is None:
        raise _invalid(f"{place}: {text!r} names no zone; add Z for UTC")
    return (at - _EPOCH) // _MICROSECOND * (NANOSECONDS_PER_SECOND // 1_000_000)


def _invalid(message: str) -> InvalidSettings:
    return InvalidSettings(
        message,
        code="INVALID_NEWS_CALENDAR",
        remedy="Correct the calendar; infra/config/news.example.csv shows one.",
    )
