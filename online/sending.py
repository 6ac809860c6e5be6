"""An order's way out: sent once, written down before and after, its fate looked for."""

from __future__ import annotations

from math import isfinite
from typing import Protocol

from online.domain.book import Book
from online.domain.called_reply import apart
from online.domain.errors import InvalidInput, JournalUnavailable, OrderInDoubt, Unavailable
from online.domain.order import Intent, OrderReply, OrderStatus
from online.domain.orders import Order
from online.domain.record import Record, ResultRecord
from online.ports import Broker, Clock, Journal


class Sender(Protocol):
    """What it takes to send an order and to write down what comes of it; a desk has more."""

    @property
    def broker(self) -> Broker:
        """Where orders go."""

    @property
    def journal(self) -> Journal:
        """Where everything is written first."""

    @property
    def clock(self) -> Clock:
        """The time."""

    @property
    def book(self) -> Book:
        """The fold of the journal."""


async def send(intent: Intent, decision_id: str, desk: Sender) -> OrderReply:
    """Send a journaled intent and journal what came back; no reply is an unknown fate.

    Raises
    ------
    OrderInDoubt
        If the reply cannot be recorded; the order then counts as unresolved.
    """
    try:
        reply, calls = apart(await desk.broker.send(intent))
    except Unavailable as error:
        reply, calls = _lost(str(error)), ()
    if not _is_finite(reply):
        reply = _lost(f"the reply is not finite: {reply}")
    now_ns = desk.clock.now_ns()
    try:
        await append(desk, ResultRecord(decision_id, intent.intent_id, now_ns, reply, calls))
    except JournalUnavailable as error:
        raise OrderInDoubt(
            f"order {intent.intent_id} was sent and is in doubt: {reply.status} was answered and "
            f"cannot be recorded ({error}). It is not sent again, and is resolved by what the "
            "broker tells once the journal can be written",
            intent.intent_id,
            decision_id,
        ) from error
    return reply


async def resolve_pending(desk: Sender) -> tuple[Intent, ...]:
    """Look for evidence of every order without a known fate; return those still unresolved.

    Raises
    ------
    Unavailable
        If the broker does not answer; or if it tells of one order alone why it cannot, once all
        others were looked for.
    """
    untold: InvalidInput | None = None
    for order in (*desk.book.orders.pending, *desk.book.orders.resting):
        try:
            found = await desk.broker.find(order.intent)
        except InvalidInput as error:
            untold = untold or error
            continue
        if found is not None:
            await _take_evidence(order, found, desk)
    if untold is not None:
        raise Unavailable(str(untold), code=untold.code, remedy=untold.remedy) from untold
    return desk.book.pending


async def _take_evidence(order: Order, found: OrderReply, desk: Sender) -> None:
    """Journal what was found of an order, if it is news."""
    reply, calls = apart(found)
    name = order.intent.intent_id
    if _is_finite(reply) and reply != order.reply and desk.book.orders.allows(name, reply):
        decision_id = desk.book.decision_of(name)
        told = () if order.called else calls  # else the journal holds them already
        await append(desk, ResultRecord(decision_id, name, desk.clock.now_ns(), reply, told))


async def append(desk: Sender, *records: Record, durable: bool = True) -> None:
    """Journal records, then fold them into the book; before an order is sent, `durable`."""
    if len(records) == 1:  # mostly; to spread one record takes longer than all the rest of this
        await desk.journal.append(records[0], durable=durable)
        desk.book.apply(records[0])
        return
    await desk.journal.append(*records, durable=durable)
    apply = desk.book.apply
    for record in records:
        apply(record)


def _is_finite(reply: OrderReply) -> bool:
    return isfinite(reply.price) and isfinite(reply.volume_lots)


def _lost(why: str) -> OrderReply:
    return OrderReply(OrderStatus.UNKNOWN, 0, 0, 0, 0, 0.0, 0.0, why)
