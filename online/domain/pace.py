"""Pace: how many orders were sent lately, as a fold of the journal."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

from online.domain.market import NANOSECONDS_PER_SECOND, Side
from online.domain.order import Intent, Purpose
from online.domain.risk_facts import SentEntry

_KEPT_NS = 86_400 * NANOSECONDS_PER_SECOND
"""Longer than any window of the limits."""
_PRUNED_ABOVE = 1_024


class Pace:
    """Orders sent within the last day; part of the book, and changed by it alone."""

    def __init__(self) -> None:
        self._entries_ns: list[int] = []
        self._closes_ns: list[int] = []
        self._bought: dict[str, _Sent] = {}
        self._sold: dict[str, _Sent] = {}
        self._open: dict[str, tuple[_Sent, SentEntry]] = {}

    def send(self, intent: Intent, at_ns: int) -> None:
        """Take notice of an order that is about to be sent."""
        if intent.purpose is not Purpose.ENTRY:
            _insert(self._closes_ns, at_ns)
            return
        _insert(self._entries_ns, at_ns)
        entry = SentEntry(at_ns, intent.side, intent.volume_lots)
        sent = self._of(intent.side).setdefault(intent.symbol, _Sent())
        sent.add(entry)
        self._open[intent.intent_id] = (sent, entry)

    def settle(self, intent_id: str, *, filled: bool) -> None:
        """Take notice of an order's fate: what did not fill is no execution."""
        sent, entry = self._open.pop(intent_id, (None, None))
        if sent is not None and entry is not None and not filled:
            sent.remove(entry)

    def entries_since(self, at_ns: int) -> int:
        """Return how many entries were sent at or after an instant."""
        return _count(self._entries_ns, at_ns)

    def closes_since(self, at_ns: int) -> int:
        """Return how many closes were sent at or after an instant."""
        return _count(self._closes_ns, at_ns)

    def executions_since(self, symbol: str, side: Side, at_ns: int) -> tuple[SentEntry, ...]:
        """Return a symbol's entries of one side that filled or still may, oldest first."""
        sent = self._of(side).get(symbol)
        if sent is None or not sent.times_ns or sent.times_ns[-1] < at_ns:
            return ()
        return tuple(sent.entries[bisect_left(sent.times_ns, at_ns) :])

    def count_since(self, symbol: str, side: Side, at_ns: int) -> int:
        """Return how many entries `executions_since` returns."""
        sent = self._of(side).get(symbol)
        return 0 if sent is None else _count(sent.times_ns, at_ns)

    def _of(self, side: Side) -> dict[str, _Sent]:
        return self._bought if side is Side.BUY else self._sold


class _Sent:
    """Entries of one symbol and side in order of time, and their times beside them."""

    __slots__ = ("entries", "times_ns")

    def __init__(self) -> None:
        self.entries: list[SentEntry] = []
        self.times_ns: list[int] = []

    def add(self, entry: SentEntry) -> None:
        place = bisect_right(self.times_ns, entry.at_ns)
        self.times_ns.insert(place, entry.at_ns)
        self.entries.insert(place, entry)
        oldest_ns = entry.at_ns - _KEPT_NS
        if len(self.times_ns) > _PRUNED_ABOVE and self.times_ns[0] < oldest_ns:
            place = bisect_left(self.times_ns, oldest_ns)
            del self.times_ns[:place], self.entries[:place]

    def remove(self, entry: SentEntry) -> None:
        if entry in self.entries:
            place = self.entries.index(entry)
            del self.times_ns[place], self.entries[place]


def _count(times_ns: list[int], at_ns: int) -> int:
    if not times_ns or times_ns[-1] < at_ns:
        return 0
    return len(times_ns) - bisect_left(times_ns, at_ns)


def _insert(times_ns: list[int], at_ns: int) -> None:
    insort(times_ns, at_ns)
    if len(times_ns) > _PRUNED_ABOVE and times_ns[0] < at_ns - _KEPT_NS:
        del times_ns[: bisect_left(times_ns, at_ns - _KEPT_NS)]
