"""The operator's story: an operation → what the broker shows → an intent → journal → sent once.

Closing, changing exits and cancelling need no model and no features. Each is journaled with who
wanted it before it is sent, under an id that its caller chose: asked for again, it is answered
with what is known of it and never sent a second time. As in `online.trade`, nothing here does I/O
or reads a clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import msgspec

from online.domain.errors import Conflict, NotFound, SextantError, Unavailable
from online.domain.market import Instrument
from online.domain.operation import Cancel, Close, Marks, Operation, Sight, plan
from online.domain.order import OrderReply, OrderStatus, make_magic
from online.domain.orders import Order
from online.domain.record import OperationRecord
from online.ports import keep_finite
from online.sending import Sender, append, send


class Floor(Sender, Protocol):
    """What an operation needs; a scorer has it with or without a model."""

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """By symbol."""

    @property
    def strategy(self) -> int:
        """The upper bits of every magic number."""


class Wish(msgspec.Struct, frozen=True):
    """An operation and who wants it.

    Parameters
    ----------
    client_id
        Chosen by who asks; the same id is the same operation, carried out once.
    by, note
        Who, and why.
    """

    client_id: str
    operation: Operation
    by: str
    note: str = ""

    @property
    def decision_id(self) -> str:
        """Of its record and of its order."""
        return f"op-{self.client_id}"


class Refusal(msgspec.Struct, frozen=True):
    """Why one of several operations was not carried out."""

    code: str
    detail: str


class Carried(msgspec.Struct, frozen=True):
    """What became of one operation among several: its reply, or why it was refused.

    What was refused was not sent. A reply of unknown status may have been carried out.
    """

    client_id: str
    operation: Operation
    reply: OrderReply | None
    refusal: Refusal | None = None


class Closing(msgspec.Struct, frozen=True):
    """What became of each cancel and close, and the positions that are not this journal's."""

    operations: tuple[Carried, ...]
    left_alone: tuple[int, ...]


async def operate(wish: Wish, floor: Floor) -> OrderReply:
    """Carry out an operation, once, and return what came back.

    Once its order is journaled it may be sent, and whatever fails from then on is no error but an
    unknown fate: the reply says why.

    Raises
    ------
    NotFound, InvalidInput, Conflict, Unavailable
        As `online.domain.operation.plan`; nothing was sent then.
    JournalUnavailable
        If it cannot be recorded; then nothing is sent.
    """
    known = _repeated(wish, floor)
    if known is not None:
        return known.reply or _unknown("asked for before; nothing is known of it yet")
    sight = await look(wish.operation, floor)
    try:
        return await carry_out(wish, sight, floor)
    except SextantError as error:
        if not floor.book.knows(wish.decision_id):
            raise
        return _unknown(f"it may be carried out: {error}")


async def close_all(client_id: str, symbol: str, by: str, note: str, floor: Floor) -> Closing:
    """Cancel every resting order of this journal, then close every position of it.

    What a person or another program opened is left alone. One that cannot be closed does not keep
    the others open. Asked for again with the same id, it goes on where it was interrupted: what was
    sent before is told and not sent again, and what was entered since is left as it is.

    Parameters
    ----------
    symbol
        Only this one's; empty for all.

    Raises
    ------
    Unavailable
        If the broker does not tell what is open; then nothing was sent. Whatever fails later is
        told of the operation that it befell.
    """
    seen, _ = keep_finite(await floor.broker.observe("", floor.book.last_deal))
    if seen.positions is None or seen.orders is None:
        raise Unavailable("the broker did not tell what is open", code="ACCOUNT_UNAVAILABLE")
    earlier, began_at_ns = _earlier(client_id, floor)
    parts: list[Close | Cancel] = [
        Cancel(order.ticket)
        for order in seen.orders
        if _entered_at_ns(order.magic, floor) <= began_at_ns and symbol in {"", order.symbol}
    ]
    parts += [
        Close(held.ticket)
        for held in seen.positions
        if _entered_at_ns(held.magic, floor) <= began_at_ns and symbol in {"", held.symbol}
    ]
    wanted: dict[str, Operation] = {**earlier, **{_part(client_id, each): each for each in parts}}
    strangers = (p.ticket for p in seen.positions if floor.book.entry(p.magic) is None)
    left_alone = tuple(strangers)
    done = []
    for name, operation in wanted.items():
        try:
            reply = await operate(Wish(name, operation, by, note), floor)
        except SextantError as error:
            done.append(Carried(name, operation, None, Refusal(error.code, str(error))))
        else:
            done.append(Carried(name, operation, reply))
    return Closing(tuple(done), left_alone)


def _part(client_id: str, operation: Close | Cancel) -> str:
    """Return the id of one of the operations that a closing consists of."""
    if isinstance(operation, Cancel):
        return f"{client_id}.order-{operation.order}"
    return f"{client_id}.{operation.position}"


def _entered_at_ns(magic: int, floor: Floor) -> float:
    """Return when an entry of ours was journaled; not a number, so never before, if it is none.

    The journal's own clock: the broker's may be ahead, and an old position would seem newer.
    """
    entry = floor.book.entry(magic)
    order = None if entry is None else floor.book.orders.find(entry.intent_id)
    return math.nan if order is None else order.at_ns


def _earlier(client_id: str, floor: Floor) -> tuple[dict[str, Operation], float]:
    """Return what was asked for under an id before, and when that began; for ever if never."""
    earlier, began_at_ns = dict[str, Operation](), math.inf
    for decision_id, operation in floor.book.operations.items():
        if not isinstance(operation, (Close, Cancel)):
            continue
        name, order = _part(client_id, operation), floor.book.orders.find(decision_id)
        if decision_id == Wish(name, operation, "").decision_id and order is not None:
            earlier[name] = operation
            began_at_ns = min(began_at_ns, order.at_ns)
    return earlier, began_at_ns


async def look(operation: Operation, floor: Floor) -> Sight:
    """Return what the broker shows of what an operation is about, with a quote of its symbol.

    Raises
    ------
    NotFound, Unavailable
        If there is no such position or order, or the broker does not tell.
    """
    told, _ = keep_finite(await floor.broker.observe("", floor.book.last_deal))
    sight = Sight(told.positions, told.orders, None)
    if isinstance(operation, Cancel):
        sight.order(operation.order)
        return sight
    symbol = sight.position(operation.position).symbol
    told, _ = keep_finite(await floor.broker.observe(symbol, floor.book.last_deal))
    return Sight(told.positions, told.orders, told.quote)


async def carry_out(wish: Wish, sight: Sight, floor: Floor) -> OrderReply:
    """Plan a wish on what was seen, journal its order and send it; errors as `operate`."""
    operation, number = wish.operation, floor.book.allocate()
    resting = position = None
    if isinstance(operation, Cancel):
        resting = sight.order(operation.order)
        symbol = resting.symbol
    else:
        position = sight.position(operation.position)
        symbol = position.symbol
    magic = make_magic(floor.strategy, number)
    marks = Marks(wish.decision_id, f"sx-{number}", magic)
    intent = plan(operation, sight, floor.book.orders, find_instrument_of(symbol, floor), marks)
    record = OperationRecord(
        decision_id=wish.decision_id,
        number=number,
        at_ns=floor.clock.now_ns(),
        by=wish.by,
        note=wish.note,
        operation=operation,
        quote=sight.quote,
        position=position,
        resting=resting,
        intent=intent,
    )
    with floor.book.orders.claimed(intent):
        await append(floor, record)
    return await send(intent, record.decision_id, floor)


def _repeated(wish: Wish, floor: Floor) -> Order | None:
    """Return the order of an operation that was asked for before."""
    known = floor.book.orders.find(wish.decision_id)
    if known is not None and floor.book.operations.get(wish.decision_id) != wish.operation:
        raise Conflict(
            f"client_id {wish.client_id!r} was used for another operation",
            code="CLIENT_ID_USED",
            remedy="Choose a new client_id for every operation.",
        )
    return known


def find_instrument_of(symbol: str, floor: Floor) -> Instrument:
    """Return what is known of a symbol.

    Raises
    ------
    NotFound
        With code ``UNKNOWN_SYMBOL``.
    """
    instrument = floor.instruments.get(symbol)
    if instrument is None:
        raise NotFound(f"nothing is known of symbol {symbol!r}", code="UNKNOWN_SYMBOL")
    return instrument


def _unknown(words: str) -> OrderReply:
    return OrderReply(OrderStatus.UNKNOWN, 0, 0, 0, 0, 0.0, 0.0, words)
