"""The recorder: every tick the terminal saw, and the bars they make."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from online.simulator.bars import BidAskBar

_MILLISECOND_NS = 1_000_000
_FIRST_CAPACITY = 1_024


class Ticks:
    """Ticks of one symbol, oldest first.

    Parameters
    ----------
    at_ns, bid, ask
        Shape ``(n_ticks,)``.
    """

    __slots__ = ("ask", "at_ns", "bid")

    def __init__(
        self, at_ns: NDArray[np.int64], bid: NDArray[np.float64], ask: NDArray[np.float64]
    ) -> None:
        self.at_ns, self.bid, self.ask = at_ns, bid, ask

    def between(self, start_ns: int, end_ns: int) -> Ticks:
        """Return the ticks from `start_ns` up to `end_ns`, both included."""
        first = int(np.searchsorted(self.at_ns, start_ns, side="left"))
        last = int(np.searchsorted(self.at_ns, end_ns, side="right"))
        return self.slice(first, last)

    def slice(self, first: int, last: int) -> Ticks:
        """Return the ticks at places `first` to `last`, the last not included."""
        return Ticks(self.at_ns[first:last], self.bid[first:last], self.ask[first:last])

    def __len__(self) -> int:
        return len(self.at_ns)


class PriceRecorder:
    """Keeps ticks by symbol; appending is cheap, arrays are made when asked for."""

    def __init__(self) -> None:
        self._stores: defaultdict[str, _Store] = defaultdict(_Store)

    def add(self, symbol: str, at_ns: int, bid: float, ask: float) -> None:
        """Append one tick."""
        self._stores[symbol].rows.append((at_ns, bid, ask))

    def add_many(
        self,
        symbol: str,
        at_ns: NDArray[np.int64],
        bid: NDArray[np.float64],
        ask: NDArray[np.float64],
    ) -> None:
        """Append ticks, oldest first."""
        store = self._stores[symbol]
        store.settle()
        store.extend(Ticks(at_ns, bid, ask))

    def add_range(self, symbol: str, bar: BidAskBar) -> None:
        """Append a bar's high, low and close as ticks of its last milliseconds."""
        prices = (
            (bar.bid_high, bar.ask_high),
            (bar.bid_low, bar.ask_low),
            (bar.bid_close, bar.ask_close),
        )
        for back, (bid, ask) in zip((3, 2, 1), prices, strict=True):
            self.add(symbol, bar.closed_at_ns - back * _MILLISECOND_NS, bid, ask)

    def ticks(self, symbol: str) -> Ticks:
        """Return all ticks of a symbol; they do not change as others are added."""
        store = self._stores[symbol]
        store.settle()
        return store.held.slice(0, store.n_held)


class _Store:
    """Ticks of one symbol in arrays with room to spare, which double when they are full."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float, float]] = []
        self.held = _room_for(_FIRST_CAPACITY)
        self.n_held = 0

    def settle(self) -> None:
        """Move the ticks that came one by one into the arrays."""
        if self.rows:
            at_ns, bid, ask = zip(*self.rows, strict=True)
            self.rows.clear()
            self.extend(Ticks(np.array(at_ns, np.int64), np.array(bid), np.array(ask)))

    def extend(self, ticks: Ticks) -> None:
        """Append ticks, oldest first."""
        end = self.n_held + len(ticks)
        if end > len(self.held):
            old, self.held = self.held, _room_for(max(end, 2 * len(self.held)))
            self._write(0, old.slice(0, self.n_held))
        self._write(self.n_held, ticks)
        self.n_held = end

    def _write(self, first: int, ticks: Ticks) -> None:
        place = slice(first, first + len(ticks))
        self.held.at_ns[place] = ticks.at_ns
        self.held.bid[place], self.held.ask[place] = ticks.bid, ticks.ask


def _room_for(n_ticks: int) -> Ticks:
    return Ticks(np.empty(n_ticks, np.int64), np.empty(n_ticks), np.empty(n_ticks))
