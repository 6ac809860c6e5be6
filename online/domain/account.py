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
    margin
        Used by what is open; None where it was not told.
    leverage
        Value that a unit of margin carries (> 0); None where it was not told.
    """

    currency: str
    balance: float
    equity: float
    margin: float | None = None
    leverage: float | None = None


class AccountIdentity(msgspec.Struct, frozen=True, gc=False):
    """Which account a broker trades.

    Parameters
    ----------
    name
        For example ``12345@Broker-Live``.
    lasting
        False if the account begins and ends with this process: a simulated one.
    real
        True if its money is real, and where nobody says that it is not.
    """

    name: str
    lasting: bool
    real: bool


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
    identifier
        Number that its deals carry and that never changes; 0 where it is the ticket.
    swap
        Accrued and not yet realised, account currency.
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
    identifier: int = 0
    swap: float = 0.0

    @property
    def number(self) -> int:
        """What its deals call it."""
        return self.identifier or self.ticket


class RestingOrder(msgspec.Struct, frozen=True, gc=False):
    """An order that waits at the broker for its price.

    Parameters
    ----------
    ticket
        The broker's number.
    magic, comment
        Of the intent; 0 and a person's words if a person placed it.
    kind
        ``limit``, ``stop`` or ``stop_limit``; ``market`` while one is being executed.
    volume_lots
        Not filled yet.
    price
        That triggers it.
    stop, target
        Exits of the position it will open; 0.0 where there is none.
    """

    ticket: int
    magic: int
    symbol: str
    side: Side
    kind: str
    volume_lots: float
    price: float
    stop: float
    target: float
    comment: str


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
    profit, commission, swap
        In the account's currency; commission is negative. Profit is without the other two.
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
    swap: float = 0.0

    @property
    def money(self) -> float:
        """What it adds to the balance, account currency."""
        return self.profit + self.commission + self.swap
