"""What the risk rules need of the book and what does not change from bar to bar."""

from __future__ import annotations

import msgspec

from online.domain.account import Position
from online.domain.exposure import OrderUnderWay
from online.domain.limits import Limits
from online.domain.order import ENTRY
from online.domain.orders import Order
from online.domain.risk_facts import SentEntry

_Told = tuple[
    bool,
    float,
    float,
    int,
    int,
    int,
    int,
    int,
    tuple[SentEntry, ...],
    tuple[OrderUnderWay, ...],
    tuple[str, ...],
    tuple[int, ...],
]


class Standing(msgspec.Struct, frozen=True, gc=False):
    """What only an order, a fill, a new peak, a day or the edge of a window changes.

    Parameters
    ----------
    told
        The values of `RiskState` from `loss_latched` to `foreign_tickets`, in their order.
    from_ns, until_ns
        The instants, both included, at which it stands as long as the book does not change.
    limits, positions
        By which it was told.
    """

    told: _Told
    from_ns: int
    until_ns: float
    limits: Limits
    positions: tuple[Position, ...]


def all_symbols(orders: tuple[Order, ...]) -> tuple[str, ...]:
    """Return the symbols of orders, each once, sorted."""
    return tuple(sorted({order.intent.symbol for order in orders}))


def all_entries(orders: tuple[Order, ...]) -> tuple[OrderUnderWay, ...]:
    """Return those of the orders that enter, as exposure is counted: each at its price."""
    intents = [order.intent for order in orders if order.intent.purpose is ENTRY]
    return tuple(
        OrderUnderWay(i.magic, i.symbol, i.side, i.volume_lots, i.price if i.rests else i.quoted)
        for i in intents
    )
