"""Operations: what an operator, or a trailing rule, wants done to a position or an order.

`plan` turns one into the intent that does it, or says why it cannot be done now. It is pure: the
same operation on the same facts gives the same intent.
"""

from __future__ import annotations

from decimal import Decimal
from math import isclose, isfinite

import msgspec

from online.domain.account import Position, RestingOrder
from online.domain.closing import cancel_order, close_position
from online.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from online.domain.market import Instrument, Quote, to_tick
from online.domain.order import Intent, Purpose
from online.domain.orders import Orders


class _Operation(msgspec.Struct, frozen=True, gc=False, tag=str.lower):
    """Base of what can be wanted."""


class Close(_Operation, frozen=True, gc=False):
    """Close a position, or a part of it.

    Parameters
    ----------
    position
        Its ticket.
    volume_lots
        What to close; 0.0 closes all that is held.
    """

    position: int
    volume_lots: float = 0.0


class Modify(_Operation, frozen=True, gc=False):
    """Replace a position's broker-side exits.

    Parameters
    ----------
    position
        Its ticket.
    stop
        Price (> 0): a position is never left without a stop.
    target
        Price; 0.0 for none.
    """

    position: int
    stop: float
    target: float


class Cancel(_Operation, frozen=True, gc=False):
    """Take back a resting order, by the broker's ticket of it."""

    order: int


Operation = Close | Modify | Cancel


class Marks(msgspec.Struct, frozen=True, gc=False):
    """What an operation's order is known by.

    Parameters
    ----------
    intent_id, comment
        Its own.
    magic
        Its own number, for what this journal did not open.
    """

    intent_id: str
    comment: str
    magic: int


class Sight(msgspec.Struct, frozen=True, gc=False):
    """What the broker told; null where it did not."""

    positions: tuple[Position, ...] | None
    orders: tuple[RestingOrder, ...] | None
    quote: Quote | None

    def position(self, ticket: int) -> Position:
        """Return an open position.

        Raises
        ------
        NotFound, Unavailable
            If there is none, or the broker told of none at all.
        """
        if self.positions is None:
            raise Unavailable("the broker did not tell its positions", code="ACCOUNT_UNAVAILABLE")
        for held in self.positions:
            if ticket in {held.ticket, held.number}:
                return held
        known = ", ".join(str(held.ticket) for held in self.positions) or "none"
        raise NotFound(f"no position {ticket} is open; open are {known}", code="UNKNOWN_POSITION")

    def order(self, ticket: int) -> RestingOrder:
        """Return a resting order; errors as `position`."""
        if self.orders is None:
            raise Unavailable("the broker did not tell its orders", code="ACCOUNT_UNAVAILABLE")
        for resting in self.orders:
            if resting.ticket == ticket:
                return resting
        known = ", ".join(str(each.ticket) for each in self.orders) or "none"
        raise NotFound(f"no order {ticket} rests; resting are {known}", code="UNKNOWN_ORDER")


def plan(
    operation: Operation, sight: Sight, orders: Orders, instrument: Instrument, marks: Marks
) -> Intent:
    """Return the intent that carries out an operation.

    Parameters
    ----------
    sight
        Of the account now, with a quote of the symbol.
    orders
        Of the journal: nothing is done to what an order of unknown fate may be changing.
    instrument
        Of the position or order.

    Raises
    ------
    NotFound
        If the broker holds no such position or order.
    InvalidInput
        If a volume or price cannot be.
    Conflict
        With the code of what speaks against it now.
    Unavailable
        If the broker did not tell what is needed.
    """
    match operation:
        case Close():
            return _close(operation, sight, orders, instrument, marks)
        case Modify():
            return _modify(operation, sight, orders, instrument, marks)
        case Cancel():
            resting = sight.order(operation.order)
            _check_in_flight(orders, order=resting.ticket)
            intent = cancel_order(resting, marks.intent_id, marks.comment)
            return _own(intent, orders, marks)


def _close(
    operation: Close, sight: Sight, orders: Orders, instrument: Instrument, marks: Marks
) -> Intent:
    held = sight.position(operation.position)
    _check_in_flight(orders, position=held.ticket, closes=True)
    volume_lots = operation.volume_lots or held.volume_lots
    if operation.volume_lots:
        _check_volume(volume_lots, held, instrument)
    quote = _quoted(sight, held.symbol)
    ids = marks.intent_id, marks.comment
    intent = close_position(held, quote, *ids, volume_lots=volume_lots)
    return _own(intent, orders, marks)


def _modify(
    operation: Modify, sight: Sight, orders: Orders, instrument: Instrument, marks: Marks
) -> Intent:
    held = sight.position(operation.position)
    _check_in_flight(orders, position=held.ticket)
    if not (isfinite(operation.stop) and operation.stop > 0.0):
        raise InvalidInput("a position is not left without a stop", code="STOP_MISSING")
    if not (isfinite(operation.target) and operation.target >= 0.0):
        raise InvalidInput(f"a target is a price or 0, got {operation.target}")
    scale, quote = instrument.scale, _quoted(sight, held.symbol)
    stop, target = to_tick(operation.stop, scale), to_tick(operation.target, scale)
    if isclose(stop, held.stop) and isclose(target, held.target):
        raise Conflict(
            f"position {held.ticket} has stop {stop} and target {target} already", code="NO_CHANGE"
        )
    closing, sign = quote.price_to_close(held.side), held.side.sign
    least = max(instrument.stops_level_points, 1) - 1e-6
    away = {"stop": sign * (closing - stop) * scale}
    if target:
        away["target"] = sign * (target - closing) * scale
    for name, points in away.items():
        if not points >= least:
            raise Conflict(
                f"the {name} would lie {points:.1f} points from {closing}, least {least:.0f}",
                code="STOP_TOO_CLOSE",
            )
    intent = Intent(
        intent_id=marks.intent_id,
        magic=held.magic,
        comment=marks.comment,
        purpose=Purpose.MODIFY,
        symbol=held.symbol,
        side=held.side,
        volume_lots=held.volume_lots,
        stop=stop,
        target=target,
        position=held.ticket,
        expires_at_ns=0,
        quoted=closing,
    )
    return _own(intent, orders, marks)


def _own(intent: Intent, orders: Orders, marks: Marks) -> Intent:
    """Give an order on what this journal did not open a number of its own.

    With a stranger's number it would make the stranger's positions look like ours.
    """
    if orders.entry(intent.magic) is not None:
        return intent
    return msgspec.structs.replace(intent, magic=marks.magic)


def _check_in_flight(
    orders: Orders, position: int = 0, order: int = 0, *, closes: bool = False
) -> None:
    under_way = orders.in_flight(position, order, trades=closes)
    if under_way is not None:
        raise Conflict(
            f"order {under_way.intent.intent_id} ({under_way.intent.purpose}) of unknown fate may "
            "be changing it",
            code="ORDER_IN_FLIGHT",
            remedy="Wait for evidence of that order, or resolve it: `sextant orders resolve`.",
        )


def _check_volume(volume_lots: float, held: Position, instrument: Instrument) -> None:
    if not isfinite(volume_lots) or instrument.floor_volume(volume_lots) != volume_lots:
        raise InvalidInput(
            f"{volume_lots} lots cannot be traded: the least is {instrument.volume_min}, in steps "
            f"of {instrument.volume_step}",
            code="INVALID_VOLUME",
        )
    left = Decimal(str(held.volume_lots)) - Decimal(str(volume_lots))
    if left < 0:
        raise Conflict(
            f"position {held.ticket} holds {held.volume_lots} lots, not {volume_lots}",
            code="VOLUME_ABOVE_POSITION",
        )
    if 0 < left < Decimal(str(instrument.volume_min)):
        raise Conflict(
            f"{left} lots would be left, less than the {instrument.volume_min} that can be closed",
            code="VOLUME_LEFT_TOO_SMALL",
        )


def _quoted(sight: Sight, symbol: str) -> Quote:
    quote = sight.quote
    if quote is None or quote.symbol != symbol or not 0.0 < quote.bid <= quote.ask:
        raise Unavailable(f"the broker gave no quote of {symbol}", code="NO_QUOTE")
    return quote
