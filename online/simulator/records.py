"""What the trade server keeps: orders, deals and positions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import msgspec

from online.domain.account import Position
from online.domain.market import BUY, SELL, Side
from online.simulator import constants as mt5

_LIMITS = frozenset({mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_SELL_LIMIT})


@dataclass(slots=True, eq=False)
class Order:
    """An order at the trade server, resting or done.

    Parameters
    ----------
    ticket
        The server's number, increasing.
    type, state, filling, lifetime, reason
        ``ORDER_TYPE_*``, ``ORDER_STATE_*``, ``ORDER_FILLING_*``, ``ORDER_TIME_*`` and
        ``ORDER_REASON_*`` constants.
    volume, remaining
        Asked for and not yet filled, lots.
    price, stop_limit
        Trigger or limit, and the limit of a stop-limit order; 0.0 where there is none.
    stop, target
        Exits of the position it will open; 0.0 where there is none.
    position, position_by
        Identifiers of the position it changes and of the one it is closed by; 0 if none.
    expires_at_ns
        UTC; 0 if it lives until it is cancelled.

    Attributes
    ----------
    side
        What the order does when it fills; even types buy.
    """

    ticket: int
    symbol: str
    type: int
    state: int
    volume: float
    remaining: float
    price: float
    stop: float
    target: float
    magic: int
    comment: str
    placed_at_ns: int
    reason: int
    filling: int = 0
    lifetime: int = 0
    stop_limit: float = 0.0
    position: int = 0
    position_by: int = 0
    expires_at_ns: int = 0
    done_at_ns: int = 0
    side: Side = field(init=False)

    def __post_init__(self) -> None:
        self.side = SELL if self.type % 2 else BUY

    @property
    def waits_for_fall(self) -> bool:
        """True if a fall of its side's price triggers the order, False if a rise does."""
        return (self.type in _LIMITS) is (self.side is BUY)

    def reached(self, high: float, low: float) -> bool:
        """Tell whether prices trigger the order.

        Parameters
        ----------
        high, low
            Of the side it fills at: the ask for a buy, the bid for a sell.
        """
        return low <= self.price if self.waits_for_fall else high >= self.price


class DealRow(msgspec.Struct, frozen=True, gc=False):
    """A change of the balance.

    Parameters
    ----------
    ticket
        The server's number, increasing by one.
    order, position
        Ticket of the order that caused it, identifier of the position it changed.
    type, entry, reason
        ``DEAL_TYPE_*``, ``DEAL_ENTRY_*`` and ``DEAL_REASON_*`` constants.
    profit, commission, swap
        Account currency.
    """

    ticket: int
    order: int
    position: int
    at_ns: int
    type: int
    entry: int
    reason: int
    magic: int
    symbol: str
    volume: float
    price: float
    profit: float
    commission: float
    swap: float
    comment: str

    @property
    def money(self) -> float:
        """What it adds to the balance, account currency."""
        return self.profit + self.commission + self.swap


@dataclass(slots=True, eq=False)
class HeldPosition:
    """An open position.

    Parameters
    ----------
    ticket
        Of the order that opened it, or last turned it around.
    identifier
        Of the order that opened it first; never changes.
    stop, target
        Exits as told by the client; 0.0 where there is none.
    margin
        Account currency, as of its price.
    swap
        Accrued and not yet realised, account currency.
    """

    ticket: int
    identifier: int
    magic: int
    symbol: str
    side: Side
    volume: float
    price: float
    opened_at_ns: int
    updated_at_ns: int
    reason: int
    comment: str
    stop: float = 0.0
    target: float = 0.0
    margin: float = 0.0
    swap: float = 0.0

    @property
    def stop_level(self) -> float:
        """Stop, or a price that is never reached."""
        return self.stop or -self.side.sign * math.inf

    @property
    def target_level(self) -> float:
        """Target, or a price that is never reached."""
        return self.target or self.side.sign * math.inf

    def as_told(self) -> Position:
        """Return the position in the words of the domain."""
        return Position(
            ticket=self.ticket,
            magic=self.magic,
            symbol=self.symbol,
            side=self.side,
            volume_lots=self.volume,
            opened_price=self.price,
            opened_at_ns=self.opened_at_ns,
            stop=self.stop,
            target=self.target,
            identifier=self.identifier,
            swap=self.swap,
        )
