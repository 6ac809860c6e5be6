"""The trade server's words: tickets, orders and answers."""

from __future__ import annotations

from online.simulator import constants as mt5
from online.simulator.history import History
from online.simulator.markets import Market
from online.simulator.records import DealRow, Order
from online.simulator.trade_tuples import OrderSendResult, TradeRequest

COMMENTS = {
    mt5.TRADE_RETCODE_REQUOTE: "Requote",
    mt5.TRADE_RETCODE_REJECT: "Request rejected",
    mt5.TRADE_RETCODE_PLACED: "Order placed",
    mt5.TRADE_RETCODE_DONE: "Request executed",
    mt5.TRADE_RETCODE_DONE_PARTIAL: "Request executed partially",
    mt5.TRADE_RETCODE_ERROR: "Request processing error",
    mt5.TRADE_RETCODE_TIMEOUT: "Request timed out",
    mt5.TRADE_RETCODE_INVALID: "Invalid request",
    mt5.TRADE_RETCODE_INVALID_VOLUME: "Invalid volume",
    mt5.TRADE_RETCODE_INVALID_PRICE: "Invalid price",
    mt5.TRADE_RETCODE_INVALID_STOPS: "Invalid stops",
    mt5.TRADE_RETCODE_TRADE_DISABLED: "Trade disabled",
    mt5.TRADE_RETCODE_MARKET_CLOSED: "Market closed",
    mt5.TRADE_RETCODE_NO_MONEY: "No money",
    mt5.TRADE_RETCODE_PRICE_OFF: "No prices",
    mt5.TRADE_RETCODE_INVALID_EXPIRATION: "Invalid expiration",
    mt5.TRADE_RETCODE_TOO_MANY_REQUESTS: "Too many requests",
    mt5.TRADE_RETCODE_NO_CHANGES: "No changes",
    mt5.TRADE_RETCODE_CLIENT_DISABLES_AT: "AutoTrading disabled by client",
    mt5.TRADE_RETCODE_FROZEN: "Modification failed due to order or position being close to market",
    mt5.TRADE_RETCODE_INVALID_FILL: "Unsupported filling mode",
    mt5.TRADE_RETCODE_CONNECTION: "No connection",
    mt5.TRADE_RETCODE_LIMIT_ORDERS: "Orders limit reached",
    mt5.TRADE_RETCODE_LIMIT_VOLUME: "Volume limit reached",
    mt5.TRADE_RETCODE_INVALID_ORDER: "Invalid order",
    mt5.TRADE_RETCODE_POSITION_CLOSED: "Position doesn't exist",
    mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME: "Invalid close volume",
    mt5.TRADE_RETCODE_LONG_ONLY: "Only long positions allowed",
    mt5.TRADE_RETCODE_SHORT_ONLY: "Only short positions allowed",
    mt5.TRADE_RETCODE_CLOSE_ONLY: "Only position closing allowed",
    mt5.TRADE_RETCODE_HEDGE_PROHIBITED: "Opposite positions prohibited",
}
"""What the server says with a return code."""


class Desk:
    """Hands out tickets, turns requests into orders, files what is done and answers.

    Parameters
    ----------
    history
        Where finished orders go.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._next_ticket = 1
        self._requests = 0

    def ticket(self) -> int:
        """Return the next order's ticket; none is given twice."""
        given, self._next_ticket = self._next_ticket, self._next_ticket + 1
        return given

    def order(self, request: TradeRequest, now_ns: int) -> Order:
        """Return the order that a request asks for, without a ticket yet."""
        return Order(
            ticket=0,
            symbol=request.symbol,
            type=request.type,
            state=mt5.ORDER_STATE_STARTED,
            volume=request.volume,
            remaining=request.volume,
            price=request.price,
            stop=request.sl,
            target=request.tp,
            magic=request.magic,
            comment=request.comment,
            placed_at_ns=now_ns,
            reason=mt5.ORDER_REASON_EXPERT,
            filling=request.type_filling,
            lifetime=request.type_time,
            stop_limit=request.stoplimit,
            position=request.position,
            position_by=request.position_by,
        )

    def file(self, order: Order, state: int, now_ns: int) -> None:
        """Move an order to the history."""
        order.state, order.done_at_ns = state, now_ns
        self._history.orders[order.ticket] = order

    def answer(
        self,
        request: TradeRequest,
        code: int,
        market: Market | None = None,
        deal: DealRow | None = None,
        order: Order | None = None,
    ) -> OrderSendResult:
        """Return an answer to a request.

        Parameters
        ----------
        request
            What was asked.
        code
            ``TRADE_RETCODE_*``.
        market
            Whose prices are told.
        deal, order
            What came of it.
        """
        self._requests += 1
        number = deal.order if deal else order.ticket if order else 0
        volume = deal.volume if deal else order.volume if order else 0.0
        return OrderSendResult(
            retcode=code,
            deal=deal.ticket if deal else 0,
            order=number,
            volume=volume,
            price=deal.price if deal else order.price if order else 0.0,
            bid=market.bid if market else 0.0,
            ask=market.ask if market else 0.0,
            comment=COMMENTS.get(code, f"Return code {code}"),
            request_id=self._requests,
            request=request,
        )
