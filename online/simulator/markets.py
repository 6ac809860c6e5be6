"""The markets of the trade server: latest prices and what rests on them."""

from __future__ import annotations

from online.domain.market import Instrument, Quote
from online.simulator.records import HeldPosition, Order


class Market:
    """A symbol's latest prices, its positions and its resting orders.

    Parameters
    ----------
    instrument
        What is traded.
    """

    __slots__ = ("_quote", "ask", "at_ns", "bid", "instrument", "orders", "positions")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.bid = self.ask = 0.0
        self.at_ns = -1
        self.positions: list[HeldPosition] = []
        self.orders: list[Order] = []
        self._quote: Quote | None = None

    @property
    def quote(self) -> Quote | None:
        """Latest quote; None before the first."""
        if self._quote is None and self.at_ns >= 0:
            self._quote = Quote(self.instrument.symbol, self.bid, self.ask, self.at_ns)
        return self._quote

    def set_prices(self, bid: float, ask: float, at_ns: int) -> None:
        """Replace the latest prices."""
        self.bid, self.ask, self.at_ns = bid, ask, at_ns
        self._quote = None
