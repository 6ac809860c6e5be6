"""Messages about orders: what an operator asks for and what is answered."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from online.domain.account import RestingOrder
from online.domain.order import Intent, OrderReply, OrderStatus
from online.domain.order_state import Stage
from online.domain.orders import Order
from online.domain.record import TrailRecord

ClientId = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="Chosen by the caller; the same id is the same operation, carried out once.",
    ),
]
Ticket = Annotated[int, msgspec.Meta(gt=0, description="The broker's number.")]
Who = Annotated[str, msgspec.Meta(max_length=100, description="Who wants it; journaled.")]
Note = Annotated[str, msgspec.Meta(max_length=500, description="Why; journaled.")]


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of what is asked."""


class CloseRequest(_Asked, frozen=True):
    """Close a position, or `volume_lots` of it."""

    client_id: ClientId
    position: Ticket
    volume_lots: Annotated[float, msgspec.Meta(gt=0)] | None = None
    by: Who = ""
    note: Note = ""


class CloseAllRequest(_Asked, frozen=True):
    """Cancel every resting order and close every position of this journal; of one symbol, or all.

    `confirm` must be true.
    """

    client_id: ClientId
    confirm: bool
    symbol: Annotated[str, msgspec.Meta(max_length=32)] = ""
    by: Who = ""
    note: Note = ""


class ModifyRequest(_Asked, frozen=True):
    """Give a position a stop and a target (0 for none); both are prices."""

    client_id: ClientId
    position: Ticket
    stop: float
    target: float
    by: Who = ""
    note: Note = ""


class CancelRequest(_Asked, frozen=True):
    """Take back a resting order."""

    client_id: ClientId
    order: Ticket
    by: Who = ""
    note: Note = ""


class DistanceUnit(StrEnum):
    """What a trailing distance is counted in: price, or the model's unit of volatility now."""

    PRICE = "price"
    ATR = "atr"


class TrailRequest(_Asked, frozen=True):
    """Let a position's stop follow the market at `distance`; null ends that."""

    position: Ticket
    distance: float | None
    step: float = 0.0
    unit: DistanceUnit = DistanceUnit.PRICE
    by: Who = ""
    note: Note = ""


class ResolveRequest(_Asked, frozen=True):
    """State what became of an order of unknown fate, or of one that rested and vanished.

    A fill needs its price and volume.
    """

    intent_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    status: OrderStatus
    by: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    note: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    price: float = 0.0
    volume_lots: float = 0.0
    position: Annotated[int, msgspec.Meta(ge=0)] = 0


class OrderAnswer(msgspec.Struct, frozen=True):
    """An order of this journal, how far it is and the last that was told of it."""

    intent_id: str
    decision_id: str
    at_ns: int
    stage: Stage
    intent: Intent
    reply: OrderReply | None


class OrdersAnswer(msgspec.Struct, frozen=True):
    """Orders of unknown fate, those that rest, the newest of all, and trailed positions.

    `at_broker` is what the broker says rests, whoever placed it; null where it did not tell.
    """

    unresolved: tuple[OrderAnswer, ...]
    resting: tuple[OrderAnswer, ...]
    newest: tuple[OrderAnswer, ...]
    trails: tuple[TrailRecord, ...]
    at_broker: tuple[RestingOrder, ...] | None


class TrailAnswer(msgspec.Struct, frozen=True):
    """Every position under a trailing rule."""

    trails: tuple[TrailRecord, ...]


def answer_order(order: Order) -> OrderAnswer:
    """Return what is told of an order."""
    return OrderAnswer(
        order.intent.intent_id,
        order.decision_id,
        order.at_ns,
        order.state.stage,
        order.intent,
        order.reply,
    )
