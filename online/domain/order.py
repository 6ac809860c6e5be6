"""Orders: the intent before it is sent, and the broker's reply."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from online.domain.errors import InvalidInput
from online.domain.market import Side

STRATEGY_BITS, SEQUENCE_BITS = 16, 47
COMMENT_LIMIT = 24


class Purpose(StrEnum):
    """What an order is for."""

    ENTRY = "entry"
    CLOSE = "close"
    MODIFY = "modify"
    CANCEL = "cancel"


ENTRY, CLOSE, MODIFY, CANCEL = Purpose.ENTRY, Purpose.CLOSE, Purpose.MODIFY, Purpose.CANCEL
"""The purposes by names of their own, as the sides have them (`online.domain.market.BUY`)."""


class OrderKind(StrEnum):
    """How an entry is filled: now, or when the market reaches its price."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"


_MARKET = OrderKind.MARKET


class Intent(msgspec.Struct, frozen=True, gc=False):
    """An order as decided, journaled before it is sent.

    Parameters
    ----------
    intent_id
        Unique; the same bar, symbol and purpose give the same id, so it is sent at most once.
    magic
        16 bits of strategy and 47 bits of sequence; the broker keeps it on order and position.
    comment
        At most 24 ASCII characters; the second thread back to the intent.
    side, volume_lots
        What to trade; of the position or order that is changed where nothing is traded.
    stop, target
        Broker-side exits, prices; 0.0 on a close. A modify's are the position's from then on.
    position
        Ticket of the position to close or to modify; 0 on an entry.
    expires_at_ns
        When the position times out; 0 if it never does, and on everything but an entry.
    quoted
        Price of the deciding quote on the order's side.
    order
        Ticket of the resting order to cancel; 0 on everything else.
    kind, price
        A limit or stop entry rests at the broker until the market reaches `price`.
    rests_until_ns
        When a resting entry expires at the broker; 0 if it does not.
    """

    intent_id: str
    magic: int
    comment: str
    purpose: Purpose
    symbol: str
    side: Side
    volume_lots: float
    stop: float
    target: float
    position: int
    expires_at_ns: int
    quoted: float
    order: int = 0
    kind: OrderKind = OrderKind.MARKET
    price: float = 0.0
    rests_until_ns: int = 0

    @property
    def rests(self) -> bool:
        """True if the order waits at the broker for its price."""
        return self.kind is not _MARKET

    @property
    def trades(self) -> bool:
        """True if deals prove the order; a modify or cancel leaves none."""
        return self.purpose in _TRADING


_TRADING = frozenset({Purpose.ENTRY, Purpose.CLOSE})


class OrderStatus(StrEnum):
    """Fate of an order, as far as it is known; `online.domain.order_state` says what may follow.

    `ACCEPTED` and `FILLING` rest at the broker. `DONE` is a modify or a cancel that was carried
    out. `NOT_SENT` never reached the trade server.
    """

    ACCEPTED = "accepted"
    FILLING = "filling"
    FILLED = "filled"
    PARTIAL = "partial"
    DONE = "done"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


class OrderReply(msgspec.Struct, frozen=True, gc=False):
    """What came back for an order.

    Parameters
    ----------
    status
        `UNKNOWN` whenever the order may live at the broker without our knowing.
    retcode
        MetaTrader's return code, 0 where there was none.
    order, deal, position
        Tickets, 0 where there is none.
    price, volume_lots
        Of the fill, 0.0 where there was none.
    comment
        The broker's words.
    """

    status: OrderStatus
    retcode: int
    order: int
    deal: int
    position: int
    price: float
    volume_lots: float
    comment: str


def make_magic(strategy: int, sequence: int) -> int:
    """Return the magic number of a strategy's n-th order.

    Parameters
    ----------
    strategy
        0 to 65535.
    sequence
        1 to 2**47 - 1.

    Raises
    ------
    InvalidInput
        If either is out of range.

    Examples
    --------
    >>> make_magic(7, 42) == 7 * 2**47 + 42
    True
    """
    if not 0 <= strategy < 1 << STRATEGY_BITS:
        raise InvalidInput(f"strategy must be within 0..65535, got {strategy}")
    if not 1 <= sequence < 1 << SEQUENCE_BITS:
        raise InvalidInput(f"sequence must be within 1..2**47-1, got {sequence}")
    return strategy << SEQUENCE_BITS | sequence
