"""Orders that take back: the one place where the close of a position and a cancel are made."""

from __future__ import annotations

from online.domain.account import Position, RestingOrder
from online.domain.market import Quote
from online.domain.order import CANCEL, CLOSE, Intent


def close_position(
    position: Position,
    quote: Quote,
    intent_id: str,
    comment: str,
    *,
    volume_lots: float | None = None,
    magic: int | None = None,
) -> Intent:
    """Return the market order that closes a position, or a part of it.

    It names the position's ticket, always: without it a hedging account would open the other side.

    Parameters
    ----------
    quote
        Of its symbol.
    intent_id, comment
        The order's own marks.
    volume_lots
        What to close (> 0, at most what is held); None closes all of it.
    magic
        Of the order; None takes the position's.
    """
    side = position.side.opposite
    return Intent(
        intent_id=intent_id,
        magic=position.magic if magic is None else magic,
        comment=comment,
        purpose=CLOSE,
        symbol=position.symbol,
        side=side,
        volume_lots=position.volume_lots if volume_lots is None else volume_lots,
        stop=0.0,
        target=0.0,
        position=position.ticket,
        expires_at_ns=0,
        quoted=quote.price_to_open(side),
    )


def cancel_order(resting: RestingOrder, intent_id: str, comment: str) -> Intent:
    """Return the request that takes a resting order back."""
    return Intent(
        intent_id=intent_id,
        magic=resting.magic,
        comment=comment,
        purpose=CANCEL,
        symbol=resting.symbol,
        side=resting.side,
        volume_lots=resting.volume_lots,
        stop=0.0,
        target=0.0,
        position=0,
        expires_at_ns=0,
        quoted=0.0,
        order=resting.ticket,
    )
