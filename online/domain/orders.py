"""The orders of a journal: each with its intent, its state and the last word about it."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager

import msgspec

from online.domain.errors import Conflict, JournalCorrupt
from online.domain.order import ENTRY, Intent, OrderReply, OrderStatus
from online.domain.order_path import IllegalTransition, follow
from online.domain.order_state import ENDED, RESTING, Intended, Proof, Stage, State

_KNOWN = ENDED | RESTING
_LOGGED = Intended().check().log()


class Order(msgspec.Struct, frozen=True, gc=False):
    """An order that was journaled to be sent.

    Parameters
    ----------
    decision_id
        Of the decision or operation that made it.
    at_ns
        When it was journaled.
    state
        How far it is.
    reply
        The last that was told of it; None while nothing was.
    called
        True once the journal holds what was said to the terminal for it.
    """

    intent: Intent
    decision_id: str
    at_ns: int
    state: State
    reply: OrderReply | None = None
    called: bool = False


class Orders:
    """Folds what a journal says of orders; an order that goes an illegal way is refused.

    Attributes
    ----------
    pending
        Orders whose fate is not known, oldest first.
    resting
        Orders that wait at the broker for their price, oldest first.
    """

    def __init__(self) -> None:
        self._all: dict[str, Order] = {}
        self._pending: dict[str, Order] = {}
        self._resting: dict[str, Order] = {}
        self.pending: tuple[Order, ...] = ()
        self.resting: tuple[Order, ...] = ()
        self._entries: dict[int, Intent] = {}
        self._claims: dict[str, Order] = {}

    def __len__(self) -> int:
        return len(self._all)

    @property
    def magics(self) -> AbstractSet[int]:
        """Magic numbers of every entry."""
        return self._entries.keys()

    def newest(self, count: int) -> tuple[Order, ...]:
        """Return at most `count` orders, newest first."""
        every = reversed(self._all.values())
        return tuple(order for order, _ in zip(every, range(count), strict=False))

    def find(self, intent_id: str) -> Order | None:
        """Return an order by its id; None if this journal holds none."""
        return self._all.get(intent_id)

    def entry(self, magic: int) -> Intent | None:
        """Return the entry that carries `magic`; None if this journal sent none."""
        return self._entries.get(magic)

    def in_flight(self, position: int = 0, order: int = 0, *, trades: bool = False) -> Order | None:
        """Return an order of unknown fate that acts on a position or a resting order, if any.

        One that is claimed counts. With `trades` only one that trades: new exits are no reason to
        leave a position open.
        """
        for each in (*self._pending.values(), *self._claims.values()):
            if trades and not each.intent.trades:
                continue
            if (position and each.intent.position == position) or (
                order and each.intent.order == order
            ):
                return each
        return None

    @contextmanager
    def claimed(self, intent: Intent) -> Iterator[None]:
        """Hold what an order acts on while its record becomes durable.

        Two who close one position at once both see it open; the second finds it claimed.

        Raises
        ------
        Conflict
            With code ``CLIENT_ID_USED`` if an order with its id is claimed or journaled.
        """
        intent_id = intent.intent_id
        if intent_id in self._claims or intent_id in self._all:
            raise Conflict(f"order {intent_id} is under way", code="CLIENT_ID_USED")
        self._claims[intent_id] = Order(intent, "", 0, Intended().check())
        try:
            yield
        finally:
            del self._claims[intent_id]

    def log(self, intent: Intent, decision_id: str, at_ns: int) -> None:
        """Take an order that has become durable.

        Raises
        ------
        JournalCorrupt
            If its id was journaled before.
        """
        if intent.intent_id in self._all:
            raise JournalCorrupt(f"order {intent.intent_id} is journaled twice")
        order = Order(intent, decision_id, at_ns, _LOGGED)
        self._all[intent.intent_id] = self._pending[intent.intent_id] = order
        self.pending = tuple(self._pending.values())
        if intent.purpose is ENTRY:
            self._entries[intent.magic] = intent

    def abandon(self, why: str) -> None:
        """End every open order: the account that they were sent to is no more."""
        for order in (*self.pending, *self.resting):
            filling = order.state.stage is Stage.FILLING
            status = OrderStatus.PARTIAL if filling else OrderStatus.CANCELLED
            nothing = OrderReply(status, 0, 0, 0, 0, 0.0, 0.0, why)
            self.hear(order.intent.intent_id, nothing)

    def allows(self, intent_id: str, reply: OrderReply) -> bool:
        """Tell whether `hear` would take a reply."""
        order = self._all.get(intent_id)
        try:
            return order is not None and follow(order.state, reply.status) is not None
        except IllegalTransition:
            return False

    def hear(
        self,
        intent_id: str,
        reply: OrderReply,
        proof: Proof = Proof.EVIDENCE,
        *,
        called: bool = False,
    ) -> None:
        """Take what is told of an order, `called` with the calls of the terminal.

        Raises
        ------
        JournalCorrupt
            If there is no such order, or it cannot have become so.
        """
        order = self._all.get(intent_id)
        if order is None:
            raise JournalCorrupt(f"a reply tells of order {intent_id}, which was never journaled")
        try:
            state = follow(order.state, reply.status, proof)
        except IllegalTransition as error:
            raise IllegalTransition(f"order {intent_id}: {error}") from error
        called = called or order.called
        told = Order(order.intent, order.decision_id, order.at_ns, state, reply, called)
        self._all[intent_id] = told
        for place, stays in (
            (self._pending, state.stage not in _KNOWN),
            (self._resting, state.stage in RESTING),
        ):
            if stays:
                place[intent_id] = told
            else:
                place.pop(intent_id, None)
        self.pending, self.resting = tuple(self._pending.values()), tuple(self._resting.values())
