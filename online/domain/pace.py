"""Pace: how many orders were sent lately, as a fold of the journal."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort

import msgspec

from online.domain.limits import Limits
from online.domain.market import BUY, NANOSECONDS_PER_SECOND, Side
from online.domain.order import ENTRY, Intent
from online.domain.risk_facts import SentEntry

_KEPT_NS = 86_400 * NANOSECONDS_PER_SECOND
"""Longer than any window of the limits."""
_PRUNED_ABOVE = 1_024


class Lately(msgspec.Struct, frozen=True, gc=False):
    """What was sent within the limits' windows before an instant, for one symbol.

    Parameters
    ----------
    entries, closes
        Orders of all symbols within the window of rates.
    buys, sells
        The symbol's entries within the window of repetition that filled or still may.
    recent
        Those of them within the window of duplicates: buys, then sells, each oldest first.
    from_ns, until_ns
        The instants, both included, of which all this is true as long as nothing is sent.
    limits
        Whose windows they are.
    """

    entries: int
    closes: int
    buys: int
    sells: int
    recent: tuple[SentEntry, ...]
    from_ns: int
    until_ns: float
    limits: Limits


class Pace:
    """Orders sent within the last day; part of the book, and changed by it alone."""

    def __init__(self) -> None:
        self._entries_ns: list[int] = []
        self._closes_ns: list[int] = []
        self._bought: dict[str, _Sent] = {}
        self._sold: dict[str, _Sent] = {}
        self._open: dict[str, tuple[_Sent, SentEntry]] = {}
        self._lately: dict[str, Lately] = {}

    def send(self, intent: Intent, at_ns: int) -> None:
        """Take notice of an order that is about to be sent."""
        self._lately.clear()
        if intent.purpose is not ENTRY:
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
            self._lately.clear()
            sent.remove(entry)

    def lately(self, symbol: str, now_ns: int, limits: Limits) -> Lately:
        """Return what was sent within the limits' windows before `now_ns`.

        It stays true until the oldest order within a window leaves it, and is kept until then.
        """
        found = self._lately.get(symbol)
        if (
            found is None
            or found.limits is not limits
            or not found.from_ns <= now_ns <= found.until_ns
        ):
            found = self._lately[symbol] = self._look_back(symbol, now_ns, limits)
        return found

    def _look_back(self, symbol: str, now_ns: int, limits: Limits) -> Lately:
        rate_ns = limits.order_window_seconds * NANOSECONDS_PER_SECOND
        repeats_ns = limits.repeat_window_seconds * NANOSECONDS_PER_SECOND
        twins_ns = limits.duplicate_window_seconds * NANOSECONDS_PER_SECOND
        bought, sold = self._bought.get(symbol, _NOTHING), self._sold.get(symbol, _NOTHING)
        entries, first_ns = _within(self._entries_ns, now_ns, rate_ns)
        closes, second_ns = _within(self._closes_ns, now_ns, rate_ns)
        buys, third_ns = _within(bought.times_ns, now_ns, repeats_ns)
        sells, fourth_ns = _within(sold.times_ns, now_ns, repeats_ns)
        twin_buys, fifth_ns = _within(bought.times_ns, now_ns, twins_ns)
        twin_sells, sixth_ns = _within(sold.times_ns, now_ns, twins_ns)
        return Lately(
            entries,
            closes,
            buys,
            sells,
            (*_last(bought.entries, twin_buys), *_last(sold.entries, twin_sells)),
            now_ns,
            min(first_ns, second_ns, third_ns, fourth_ns, fifth_ns, sixth_ns),
            limits,
        )

    def _of(self, side: Side) -> dict[str, _Sent]:
        return self._bought if side is BUY else self._sold


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


_NOTHING = _Sent()
"""Never added to."""


def _within(times_ns: list[int], now_ns: int, span_ns: int) -> tuple[int, float]:
    """Return how many lie within a span before now, and the last instant at which they all do."""
    if not times_ns or times_ns[-1] < now_ns - span_ns:
        return 0, math.inf
    place = bisect_left(times_ns, now_ns - span_ns)
    return len(times_ns) - place, times_ns[place] + span_ns


def _last(entries: list[SentEntry], count: int) -> list[SentEntry]:
    return entries[len(entries) - count :] if count else []


def _insert(times_ns: list[int], at_ns: int) -> None:
    insort(times_ns, at_ns)
    if len(times_ns) > _PRUNED_ABOVE and times_ns[0] < at_ns - _KEPT_NS:
        del times_ns[: bisect_left(times_ns, at_ns - _KEPT_NS)]
