"""The recorder: every tick the terminal saw, and the bars they make."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from online.simulator.bars import BidAskBar

_MILLISECOND_NS = 1_000_000


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
        self._chunks: defaultdict[str, list[Ticks]] = defaultdict(list)
        self._rows: defaultdict[str, list[tuple[int, float, float]]] = defaultdict(list)

    def add(self, symbol: str, at_ns: int, bid: float, ask: float) -> None:
        """Append one tick."""
        self._rows[symbol].append((at_ns, bid, ask))

    def add_many(
        self,
        symbol: str,
        at_ns: NDArray[np.int64],
        bid: NDArray[np.float64],
        ask: NDArray[np.float64],
    ) -> None:
        """Append ticks, oldest first."""
        self._settle(symbol)
        self._chunks[symbol].append(Ticks(at_ns, bid, ask))

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
        """Return all ticks of a symbol."""
        self._settle(symbol)
        chunks = self._chunks[symbol]
        if len(chunks) != 1:
            self._chunks[symbol] = chunks = [_joined(chunks)]
        return chunks[0]

    def _settle(self, symbol: str) -> None:
        """Turn the ticks that came one by one into arrays."""
        rows = self._rows[symbol]
        if not rows:
            return
        at_ns, bid, ask = zip(*rows, strict=True)
        self._chunks[symbol].append(
            Ticks(np.array(at_ns, np.int64), np.array(bid, float), np.array(ask, float))
        )
        rows.clear()


def _joined(chunks: list[Ticks]) -> Ticks:
    if not chunks:
        return Ticks(np.empty(0, np.int64), np.empty(0), np.empty(0))
    return Ticks(
        np.concatenate([chunk.at_ns for chunk in chunks]),
        np.concatenate([chunk.bid for chunk in chunks]),
        np.concatenate([chunk.ask for chunk in chunks]),
    )
