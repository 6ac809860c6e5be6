"""The operator's word: what became of an order that neither reply nor evidence tells of."""

from __future__ import annotations

import msgspec

from online.domain.errors import Conflict, InvalidInput, NotFound, SextantError
from online.domain.order import Intent, OrderReply, OrderStatus
from online.domain.orders import Order
from online.domain.record import ResolutionRecord
from online.sending import Sender, append

_FILLS = frozenset({OrderStatus.FILLED, OrderStatus.PARTIAL})
_OPEN = frozenset({OrderStatus.UNKNOWN, OrderStatus.ACCEPTED, OrderStatus.FILLING})


class Statement(msgspec.Struct, frozen=True):
    """What an operator says became of an order.

    Parameters
    ----------
    status
        Not `UNKNOWN`, and none of an order that rests.
    price, volume_lots, position
        Of the fill; needed where there was one.
    """

    intent_id: str
    status: OrderStatus
    by: str
    note: str
    price: float = 0.0
    volume_lots: float = 0.0
    position: int = 0


async def resolve_by_hand(statement: Statement, desk: Sender) -> Order:
    """Write down what an operator says became of an order of unknown fate; return it then.

    Evidence goes first: it is looked for once more, and where there is any, nothing is stated.

    Raises
    ------
    NotFound
        If this journal holds no such order.
    InvalidInput
        If the outcome cannot be that of such an order.
    Conflict
        With code ``FATE_KNOWN`` if there is nothing to state.
    """
    orders, intent_id = desk.book.orders, statement.intent_id
    order = orders.find(intent_id)
    if order is None:
        raise NotFound(f"the journal holds no order {intent_id!r}", code="UNKNOWN_ORDER")
    check_statement(statement, order.intent)
    _check_unknown(order, desk)
    reply = await _evidence(order.intent, desk)
    if reply is not None and orders.allows(intent_id, reply):
        raise Conflict(
            f"the broker's evidence says {reply.status} ({reply.comment}): it is taken instead",
            code="FATE_KNOWN",
        )
    record = ResolutionRecord(
        decision_id=order.decision_id,
        intent_id=intent_id,
        at_ns=desk.clock.now_ns(),
        by=statement.by,
        note=statement.note,
        reply=OrderReply(
            statement.status,
            *(0, 0, 0),
            statement.position or order.intent.position,
            statement.price,
            statement.volume_lots,
            f"stated by {statement.by}",
        ),
    )
    await append(desk, record)
    return desk.book.orders.find(intent_id) or order


def check_statement(statement: Statement, intent: Intent) -> None:
    """Refuse an outcome that an order cannot have had.

    Raises
    ------
    InvalidInput
        With code ``INVALID_OUTCOME``.
    """
    status, filled = statement.status, statement.status in _FILLS
    faults = (
        (status in _OPEN, f"{status} ends nothing: state what became of the order"),
        (
            filled and not (statement.price > 0.0 and statement.volume_lots > 0.0),
            "a fill needs its price and volume_lots",
        ),
        (filled and not intent.trades, f"a {intent.purpose} trades nothing: it is done or not"),
        (status is OrderStatus.DONE and intent.trades, f"a {intent.purpose} is filled, not done"),
        (
            statement.volume_lots > intent.volume_lots,
            f"{statement.volume_lots} lots exceed the order's {intent.volume_lots}",
        ),
        (not statement.by or not statement.note, "who states it and from what must be named"),
    )
    for wrong, message in faults:
        if wrong:
            raise InvalidInput(message, code="INVALID_OUTCOME")


async def _evidence(intent: Intent, desk: Sender) -> OrderReply | None:
    """Return what the broker tells of an order now; None if it tells nothing."""
    try:
        return await desk.broker.find(intent)
    except SextantError:  # not reached, or not told: then the operator's word is all there is
        return None


def _check_unknown(order: Order, desk: Sender) -> None:
    if order not in desk.book.orders.pending:
        raise Conflict(
            f"order {order.intent.intent_id} is {order.state.stage}: there is nothing to state",
            code="FATE_KNOWN",
        )
