"""Account, position and deal, as the broker tells them."""

from __future__ import annotations

import msgspec

from online.domain.market import Side


class Account(msgspec.Struct, frozen=True, gc=False):
    """Money of the account.

    Parameters
    ----------
    currency
        Of all amounts here.
    balance
        Closed profit and deposits.
    equity
        Balance and open profit.
    """

    currency: str
    balance: float
    equity: float


class Position(msgspec.Struct, frozen=True, gc=False):
    """An open position at the broker.

    Parameters
    ----------
    ticket
        The broker's number.
    magic
        Number of the intent that opened it; 0 if a person did.
    volume_lots
        Size (> 0).
    stop, target
        Broker-side exits, prices; 0.0 where there is none.
    """

    ticket: int
    magic: int
    symbol: str
    side: Side
    volume_lots: float
    opened_price: float
    opened_at_ns: int
    stop: float
    target: float


class Deal(msgspec.Struct, frozen=True, gc=False):
    """A fill at the broker.

    Parameters
    ----------
    ticket
        The broker's number, increasing.
    order, position
        Tickets of the order that caused it and of the position it changed.
    magic
        Number of the intent; exits by stop or target carry the entry's.
    entry
        True if it opened volume, False if it closed volume.
    reason
        ``expert`` for an order of ours, ``stop`` or ``target`` for a broker-side exit.
    price
        Fill price.
    profit, commission
        In the account's currency; commission is negative.
    """

    ticket: int
    order: int
    position: int
    magic: int
    symbol: str
    side: Side
    entry: bool
    reason: str
    volume_lots: float
    price: float
    at_ns: int
    profit: float
    commission: float
