"""The operator's word: what became of an order that neither reply nor evidence tells of.

That is one of unknown fate, or one that rested at the broker and is there no more.
"""

from __future__ import annotations

import msgspec

from online.domain.errors import Conflict, InvalidInput, NotFound, SextantError, Unavailable
from online.domain.order import Intent, OrderReply, OrderStatus
from online.domain.order_path import IllegalTransition, follow
from online.domain.order_state import ENDED, Proof
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
    """Write down what an operator says became of an order; return it then.

    Its fate must be unknown, or it must have rested and the broker must not show it any more.
    Evidence goes first: it is looked for once more, and where there is any, nothing is stated.

    Raises
    ------
    NotFound
        If this journal holds no such order.
    InvalidInput
        If the outcome cannot be that of such an order.
    Conflict
        With code ``FATE_KNOWN`` if there is nothing to state, ``ORDER_RESTS`` while the broker
        shows it.
    Unavailable
        If the order rested and the broker does not tell what rests now.
    """
    orders, intent_id = desk.book.orders, statement.intent_id
    order = orders.find(intent_id)
    if order is None:
        raise NotFound(f"the journal holds no order {intent_id!r}", code="UNKNOWN_ORDER")
    check_statement(statement, order)
    if order in orders.resting:
        await _check_vanished(order, desk)
    else:
        _check_unknown(order, desk)
    reply = await _evidence(order.intent, desk)
    if reply is not None and _tells_more(reply, order) and orders.allows(intent_id, reply):
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


def check_statement(statement: Statement, order: Order) -> None:
    """Refuse an outcome that an order cannot have had.

    Raises
    ------
    InvalidInput
        With code ``INVALID_OUTCOME``.
    """
    intent, status, filled = order.intent, statement.status, statement.status in _FILLS
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
        (
            not _may_become(order, status),
            f"an order that is {order.state.stage} cannot be {status}",
        ),
    )
    for wrong, message in faults:
        if wrong:
            raise InvalidInput(message, code="INVALID_OUTCOME")


def _may_become(order: Order, status: OrderStatus) -> bool:
    """Tell whether an order that is open can end so; of one that has ended another rule tells."""
    if order.state.stage in ENDED:
        return True
    try:
        follow(order.state, status, Proof.OPERATOR)
    except IllegalTransition:
        return False
    return True


async def _check_vanished(order: Order, desk: Sender) -> None:
    """Refuse to end an order that the broker shows, or may show."""
    told = await desk.broker.observe("", desk.book.last_deal)
    if told.orders is None:
        raise Unavailable("the broker does not tell what rests there now")
    ticket = 0 if order.reply is None else order.reply.order
    for each in told.orders:
        if each.ticket == ticket or each.magic == order.intent.magic:
            raise Conflict(
                f"order {order.intent.intent_id} rests at the broker, ticket {each.ticket}",
                code="ORDER_RESTS",
                remedy="Cancel it; its end is then told by the broker.",
            )


def _tells_more(reply: OrderReply, order: Order) -> bool:
    """Tell whether evidence says anything new of an order."""
    return order.reply is None or reply.status is not order.reply.status


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
