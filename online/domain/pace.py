"""Pace: how many orders were sent lately, as a fold of the journal."""

from __future__ import annotations

from bisect import bisect_left, insort

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
        self._sent: dict[tuple[str, Side], list[SentEntry]] = {}
        self._open: dict[str, tuple[tuple[str, Side], SentEntry]] = {}

    def send(self, intent: Intent, at_ns: int) -> None:
        """Take notice of an order that is about to be sent."""
        if intent.purpose is not Purpose.ENTRY:
            _insert(self._closes_ns, at_ns)
            return
        _insert(self._entries_ns, at_ns)
        key, entry = (intent.symbol, intent.side), SentEntry(at_ns, intent.side, intent.volume_lots)
        sent = self._sent.setdefault(key, [])
        insort(sent, entry, key=_at)
        if len(sent) > _PRUNED_ABOVE and sent[0].at_ns < at_ns - _KEPT_NS:
            del sent[: bisect_left(sent, at_ns - _KEPT_NS, key=_at)]
        self._open[intent.intent_id] = (key, entry)

    def settle(self, intent_id: str, *, filled: bool) -> None:
        """Take notice of an order's fate: what did not fill is no execution."""
        key, entry = self._open.pop(intent_id, (None, None))
        if key is not None and entry is not None and not filled and entry in self._sent[key]:
            self._sent[key].remove(entry)

    def entries_since(self, at_ns: int) -> int:
        """Return how many entries were sent at or after an instant."""
        return _count(self._entries_ns, at_ns)

    def closes_since(self, at_ns: int) -> int:
        """Return how many closes were sent at or after an instant."""
        return _count(self._closes_ns, at_ns)

    def executions_since(self, symbol: str, side: Side, at_ns: int) -> tuple[SentEntry, ...]:
        """Return a symbol's entries of one side that filled or still may, oldest first."""
        sent = self._sent.get((symbol, side))
        if not sent or sent[-1].at_ns < at_ns:
            return ()
        return tuple(sent[bisect_left(sent, at_ns, key=_at) :])


def _at(entry: SentEntry) -> int:
    return entry.at_ns


def _count(times_ns: list[int], at_ns: int) -> int:
    if not times_ns or times_ns[-1] < at_ns:
        return 0
    return len(times_ns) - bisect_left(times_ns, at_ns)


def _insert(times_ns: list[int], at_ns: int) -> None:
    insort(times_ns, at_ns)
    if len(times_ns) > _PRUNED_ABOVE and times_ns[0] < at_ns - _KEPT_NS:
        del times_ns[: bisect_left(times_ns, at_ns - _KEPT_NS)]
