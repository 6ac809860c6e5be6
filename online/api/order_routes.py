"""Routes about orders: look at them, change positions, take orders back, state a fate."""

from __future__ import annotations

import msgspec

from online.api.endpoint import Call, Reply
from online.api.messages import decode
from online.api.order_messages import (
    CancelRequest,
    CloseAllRequest,
    CloseRequest,
    ModifyRequest,
    OrderAnswer,
    OrdersAnswer,
    ResolveRequest,
    TrailAnswer,
    TrailRequest,
    answer_order,
)
from online.api.problem import HttpError
from online.api.route import Route
from online.api.scorer import Scorer
from online.domain.errors import NotFound, Unavailable
from online.domain.operation import Cancel, Close, Modify, Operation
from online.domain.profit import ProfitStatement
from online.operate import Closing, Wish
from online.resolve import Statement

NEWEST = 100
"""Orders that the list holds besides those that are open."""
_PROBLEMS = (400, 404, 409, 413, 422, 503)
_CLOSE = msgspec.json.Decoder(CloseRequest)
_CLOSE_ALL = msgspec.json.Decoder(CloseAllRequest)
_MODIFY = msgspec.json.Decoder(ModifyRequest)
_CANCEL = msgspec.json.Decoder(CancelRequest)
_TRAIL = msgspec.json.Decoder(TrailRequest)
_RESOLVE = msgspec.json.Decoder(ResolveRequest)


class OrderHandlers:
    """The handlers about orders of one scorer.

    Parameters
    ----------
    scorer
        Answers for all of them.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    async def list_orders(self, call: Call) -> Reply:  # noqa: ARG002 - a handler's signature
        """Tell what is open, and the newest orders."""
        book = self._scorer.parts.book
        try:
            at_broker = (await self._scorer.observe()).orders
        except Unavailable:
            at_broker = None  # what the journal knows is told all the same
        answer = OrdersAnswer(
            tuple(map(answer_order, book.orders.pending)),
            tuple(map(answer_order, book.orders.resting)),
            tuple(map(answer_order, book.orders.newest(NEWEST))),
            tuple(book.trails.values()),
            at_broker,
        )
        return Reply.of(answer)

    async def show(self, call: Call) -> Reply:
        """Tell of one order."""
        return Reply.of(self._order(call.parameters["intent_id"]))

    async def profit(self, call: Call) -> Reply:  # noqa: ARG002 - a handler's signature
        """Tell what was earned and is open."""
        return Reply.of(await self._scorer.operating.state_profit())

    async def close(self, call: Call) -> Reply:
        """Close a position, or a part of it."""
        asked = decode(_CLOSE, call.body)
        operation = Close(asked.position, asked.volume_lots or 0.0)
        return await self._operate(asked, operation, call)

    async def modify(self, call: Call) -> Reply:
        """Replace a position's exits."""
        asked = decode(_MODIFY, call.body)
        operation = Modify(asked.position, asked.stop, asked.target)
        return await self._operate(asked, operation, call)

    async def cancel(self, call: Call) -> Reply:
        """Take a resting order back."""
        asked = decode(_CANCEL, call.body)
        return await self._operate(asked, Cancel(asked.order), call)

    async def close_all(self, call: Call) -> Reply:
        """Cancel and close all that is this journal's."""
        asked = decode(_CLOSE_ALL, call.body)
        if not asked.confirm:
            raise HttpError(
                400,
                "closing everything must be confirmed",
                code="NOT_CONFIRMED",
                remedy='Send "confirm": true if everything shall be closed.',
            )
        who = call.who(asked.by)
        operating = self._scorer.operating
        return Reply.of(await operating.close_all(asked.client_id, asked.symbol, who, asked.note))

    async def trail(self, call: Call) -> Reply:
        """Put a position under a trailing rule, or end that."""
        asked = decode(_TRAIL, call.body)
        await self._scorer.operating.put_under_trail(asked, call.who(asked.by))
        return Reply.of(TrailAnswer(tuple(self._scorer.parts.book.trails.values())))

    async def resolve(self, call: Call) -> Reply:
        """Write down an operator's word about an unknown fate."""
        asked = decode(_RESOLVE, call.body)
        told = Statement(
            intent_id=asked.intent_id,
            status=asked.status,
            by=call.who(asked.by),
            note=asked.note,
            price=asked.price,
            volume_lots=asked.volume_lots,
            position=asked.position,
        )
        return Reply.of(answer_order(await self._scorer.operating.resolve_by_hand(told)))

    async def _operate(
        self, asked: CloseRequest | ModifyRequest | CancelRequest, operation: Operation, call: Call
    ) -> Reply:
        wish = Wish(asked.client_id, operation, call.who(asked.by), asked.note)
        await self._scorer.operating.operate(wish)
        return Reply.of(self._order(wish.decision_id))

    def _order(self, intent_id: str) -> OrderAnswer:
        order = self._scorer.parts.book.orders.find(intent_id)
        if order is None:
            raise NotFound(f"the journal holds no order {intent_id!r}", code="UNKNOWN_ORDER")
        return answer_order(order)


def make_order_routes(scorer: Scorer) -> tuple[Route, ...]:
    """Return the routes about orders; those that change anything need the token."""
    on = OrderHandlers(scorer)
    return (
        Route(
            "GET", "/v1/pnl", on.profit,
            "Profit, costs and exposure by the journal's deals, beside the broker's word.",
            None, ProfitStatement, problems=(503,),
        ),
        Route(
            "GET", "/v1/orders", on.list_orders,
            "Orders of unknown fate, those that rest, the newest of all, and trailed positions.",
            None, OrdersAnswer,
        ),
        Route(
            "POST", "/v1/orders/close", on.close, "Close a position, or a part of it, once.",
            CloseRequest, OrderAnswer, protected=True, problems=_PROBLEMS,
        ),
        Route(
            "POST", "/v1/orders/close-all", on.close_all,
            "Cancel every resting order and close every position of this journal.",
            CloseAllRequest, Closing, protected=True, problems=(400, 413, 503),
        ),
        Route(
            "POST", "/v1/orders/modify", on.modify, "Replace a position's stop and target, once.",
            ModifyRequest, OrderAnswer, protected=True, problems=_PROBLEMS,
        ),
        Route(
            "POST", "/v1/orders/cancel", on.cancel, "Take back a resting order, once.",
            CancelRequest, OrderAnswer, protected=True, problems=_PROBLEMS,
        ),
        Route(
            "POST", "/v1/orders/trail", on.trail,
            "Let a position's broker-side stop follow the market; a null distance ends that.",
            TrailRequest, TrailAnswer, protected=True, problems=_PROBLEMS,
        ),
        Route(
            "POST", "/v1/orders/resolve", on.resolve,
            "State what became of an order of unknown fate, or that vanished; evidence goes first.",
            ResolveRequest, OrderAnswer, protected=True, problems=_PROBLEMS,
        ),
        Route(
            "GET", "/v1/orders/{intent_id}", on.show,
            "One order, how far it is and the last that was told of it.",
            None, OrderAnswer, problems=(404,),
        ),
    )  # fmt: skip
