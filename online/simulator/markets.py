"""The markets of the trade server: latest prices and what rests on them."""

from __future__ import annotations

import math

from online.domain.market import BUY, Instrument, Quote, Side
from online.simulator.records import HeldPosition, Order
from online.simulator.rules import TradingRules


class Pulse:
    """Counts the quotes of all markets of an account."""

    __slots__ = ("quotes",)

    def __init__(self) -> None:
        self.quotes = 0


class Market:
    """A symbol's latest prices, its positions and its resting orders.

    A quote strictly within the bounds ends no position and triggers no order, so the terminal
    need not look closer. Whoever changes what rests calls `disturb`, which empties the bounds.

    Parameters
    ----------
    instrument
        What is traded.
    rules
        How.

    Attributes
    ----------
    ask_floor, ask_ceiling, bid_floor, bid_ceiling
        The bounds, prices.
    pulse
        Counts the quotes so far; the account's markets share one.
    bought, sold
        Volume taken from the latest quote's ask and bid, lots.
    """

    __slots__ = (
        "_disturbed",
        "_price_bounds",
        "_quote",
        "_symbol",
        "ask",
        "ask_ceiling",
        "ask_floor",
        "at_ns",
        "bid",
        "bid_ceiling",
        "bid_floor",
        "bought",
        "instrument",
        "orders",
        "positions",
        "pulse",
        "rules",
        "sold",
    )

    def __init__(self, instrument: Instrument, rules: TradingRules) -> None:
        self.instrument = instrument
        self._symbol = instrument.symbol
        self.rules = rules
        self.bid = self.ask = 0.0
        self.at_ns = -1
        self.pulse = Pulse()
        self.bought = self.sold = 0.0
        self.positions: list[HeldPosition] = []
        self.orders: list[Order] = []
        self._quote: Quote | None = None
        self._disturbed = True
        self._price_bounds = (-math.inf, math.inf, -math.inf, math.inf)
        self.disturb()

    def as_told(self) -> Quote | None:
        """Return the latest quote; None before the first."""
        quote = self._quote
        if quote is None and self.at_ns >= 0:
            quote = self._quote = Quote(self._symbol, self.bid, self.ask, self.at_ns)
        return quote

    def set_prices(self, bid: float, ask: float, at_ns: int) -> None:
        """Replace the latest prices."""
        self.bid, self.ask, self.at_ns = bid, ask, at_ns
        self.pulse.quotes += 1
        self.bought = self.sold = 0.0
        self._quote = None

    def opening_price(self, side: Side) -> float:
        """Return the price at which an order of `side` fills now."""
        return self.ask if side is BUY else self.bid

    def closing_price(self, side: Side) -> float:
        """Return the price at which a position of `side` closes now."""
        return self.bid if side is BUY else self.ask

    def offered(self, side: Side, volume: float) -> float:
        """Return how much of a volume the latest quote still offers an order of `side`, lots."""
        if self.rules.depth_lots == math.inf:
            return volume
        left = self.rules.depth_lots - (self.bought if side is BUY else self.sold)
        return min(volume, self.instrument.floor_volume(left))

    def take(self, side: Side, volume: float) -> None:
        """Take volume from the latest quote."""
        if side is BUY:
            self.bought += volume
        else:
            self.sold += volume

    @property
    def busy(self) -> bool:
        """True if anything rests here."""
        return bool(self.positions or self.orders)

    def disturb(self) -> None:
        """Take notice that what rests here has changed: the next quote is looked at closely."""
        self._disturbed = True
        self.alert()

    def alert(self) -> None:
        """Take notice that the account has changed: the next quote is looked at closely."""
        self.bid_floor = self.ask_floor = math.inf
        self.bid_ceiling = self.ask_ceiling = -math.inf

    def rebound(self, falls: float = -math.inf, rises: float = math.inf) -> None:
        """Work out the bounds again.

        Parameters
        ----------
        falls
            Bid at or below which the account must be looked at.
        rises
            Ask at or above which it must.
        """
        if self._disturbed:
            self._price_bounds = self._bounds_of_what_rests()
            self._disturbed = False
        bid_floor, self.bid_ceiling, self.ask_floor, ask_ceiling = self._price_bounds
        self.bid_floor, self.ask_ceiling = max(bid_floor, falls), min(ask_ceiling, rises)

    def _bounds_of_what_rests(self) -> tuple[float, float, float, float]:
        bid_falls, ask_falls = [-math.inf], [-math.inf]
        bid_rises, ask_rises = [math.inf], [math.inf]
        for held in self.positions:
            if held.side is BUY:
                bid_falls.append(held.stop_level)
                bid_rises.append(held.target_level)
            else:
                ask_rises.append(held.stop_level)
                ask_falls.append(held.target_level)
        for order in self.orders:
            falls, rises = (ask_falls, ask_rises) if order.side is BUY else (bid_falls, bid_rises)
            (falls if order.waits_for_fall else rises).append(order.price)
        return max(bid_falls), min(bid_rises), max(ask_falls), min(ask_rises)
