"""Market orders and changes of exits: the trade server's answer to a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from online.domain.market import Side
from online.simulator import constants as mt5
from online.simulator.account import Ledger
from online.simulator.checks import check_exits, check_volume
from online.simulator.history import History
from online.simulator.markets import Market
from online.simulator.positions import PositionBook
from online.simulator.records import DealRow, HeldPosition, Order
from online.simulator.trade_tuples import OrderSendResult, TradeRequest

_COMMENTS = {
    mt5.TRADE_RETCODE_DONE: "Request executed",
    mt5.TRADE_RETCODE_INVALID: "Invalid request",
    mt5.TRADE_RETCODE_INVALID_VOLUME: "Invalid volume",
    mt5.TRADE_RETCODE_INVALID_STOPS: "Invalid stops",
    mt5.TRADE_RETCODE_INVALID_ORDER: "Invalid order",
    mt5.TRADE_RETCODE_MARKET_CLOSED: "Market closed",
    mt5.TRADE_RETCODE_NO_MONEY: "No money",
    mt5.TRADE_RETCODE_PRICE_OFF: "No prices",
    mt5.TRADE_RETCODE_NO_CHANGES: "No changes",
    mt5.TRADE_RETCODE_POSITION_CLOSED: "Position closed",
    mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME: "Invalid close volume",
}


class Matching:
    """Executes requests against the latest prices.

    Parameters
    ----------
    markets, ledger, book, history
        State of the trade server.
    """

    def __init__(
        self,
        markets: Mapping[str, Market],
        ledger: Ledger,
        book: PositionBook,
        history: History,
        first_ticket: int = 1,
    ) -> None:
        self._markets = markets
        self._ledger = ledger
        self._book = book
        self._history = history
        self._next_order = first_ticket
        self._requests = 0
        self._actions: dict[int, Callable[[TradeRequest, Market, int], OrderSendResult]] = {
            mt5.TRADE_ACTION_DEAL: self._trade,
            mt5.TRADE_ACTION_SLTP: self._change_exits,
        }

    def execute(self, request: TradeRequest, now_ns: int) -> OrderSendResult:
        """Return the trade server's answer to a request that arrives now."""
        self._requests += 1
        market = self._markets.get(request.symbol)
        action = self._actions.get(request.action)
        if market is None or action is None:
            return self._refuse(request, mt5.TRADE_RETCODE_INVALID)
        if market.at_ns < 0:
            return self._refuse(request, mt5.TRADE_RETCODE_PRICE_OFF, market)
        return action(request, market, now_ns)

    def close(self, held: HeldPosition, price: float, reason: int, at_ns: int) -> DealRow:
        """End a position at a price by the server's own order."""
        words = {mt5.ORDER_REASON_SL: "sl", mt5.ORDER_REASON_TP: "tp", mt5.ORDER_REASON_SO: "so"}
        digits = self._markets[held.symbol].instrument.digits
        order = Order(
            ticket=self._allocate(),
            symbol=held.symbol,
            type=mt5.ORDER_TYPE_SELL if held.side is Side.BUY else mt5.ORDER_TYPE_BUY,
            state=mt5.ORDER_STATE_STARTED,
            volume=held.volume,
            remaining=held.volume,
            price=price,
            stop=0.0,
            target=0.0,
            magic=held.magic,
            comment=f"[{words[reason]} {price:.{digits}f}]",
            placed_at_ns=at_ns,
            reason=reason,
            position=held.identifier,
        )
        return self._fill(order, held.volume, price, at_ns)

    def _trade(self, request: TradeRequest, market: Market, now_ns: int) -> OrderSendResult:
        if request.type not in {mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL}:
            return self._refuse(request, mt5.TRADE_RETCODE_INVALID_ORDER, market)
        code = check_volume(request.volume, market.instrument)
        if code:
            return self._refuse(request, code, market)
        order = self._order_of(request, now_ns)
        held = self._book.affected_by(order)
        code = self._check_position(request, held) or self._check_room(order, held, market)
        if code:
            return self._refuse(request, code, market)
        price = market.ask if order.side is Side.BUY else market.bid
        order.ticket, order.price = self._allocate(), price
        deal = self._fill(order, request.volume, price, now_ns)
        return self._answer(request, mt5.TRADE_RETCODE_DONE, market, deal)

    def _check_position(self, request: TradeRequest, held: HeldPosition | None) -> int:
        """Return 0, or why the position named in a request cannot be closed by it."""
        if not request.position:
            return 0
        if held is None:
            return mt5.TRADE_RETCODE_POSITION_CLOSED
        closes = request.type == (
            mt5.ORDER_TYPE_SELL if held.side is Side.BUY else mt5.ORDER_TYPE_BUY
        )
        if held.symbol != request.symbol or not closes:
            return mt5.TRADE_RETCODE_INVALID
        too_much = request.volume > held.volume
        return mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME if too_much else 0

    def _check_room(self, order: Order, held: HeldPosition | None, market: Market) -> int:
        """Return 0, or why the volume that `order` would open cannot be: exits or money."""
        opened = order.volume
        if held is not None and held.side is not order.side:
            opened -= held.volume
        if opened <= 0.0:
            return 0
        side, buys = order.side, order.side is Side.BUY
        closing, opening = (market.bid, market.ask) if buys else (market.ask, market.bid)
        code = check_exits(side, order.stop, order.target, closing, market)
        if code:
            return code
        if not self._ledger.values(market):
            return mt5.TRADE_RETCODE_PRICE_OFF
        needed = self._ledger.margin_of(market, opened, opening)
        freed = held.margin if held is not None and held.side is not side else 0.0
        enough = needed <= self._ledger.free_margin + freed
        return 0 if enough else mt5.TRADE_RETCODE_NO_MONEY

    def _change_exits(self, request: TradeRequest, market: Market, now_ns: int) -> OrderSendResult:
        held = self._book.find(request.position)
        if held is None and not request.position and not self._ledger.rules.hedging:
            held = market.positions[0] if market.positions else None
        if held is None or held.symbol != request.symbol:
            return self._refuse(request, mt5.TRADE_RETCODE_POSITION_CLOSED, market)
        if (request.sl, request.tp) == (held.stop, held.target):
            return self._refuse(request, mt5.TRADE_RETCODE_NO_CHANGES, market)
        closing = market.bid if held.side is Side.BUY else market.ask
        code = check_exits(held.side, request.sl, request.tp, closing, market)
        if code:
            return self._refuse(request, code, market)
        self._book.set_exits(held, request.sl, request.tp, now_ns)
        return self._answer(request, mt5.TRADE_RETCODE_DONE, market)

    def _order_of(self, request: TradeRequest, now_ns: int) -> Order:
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
            position=request.position,
        )

    def _fill(self, order: Order, volume: float, price: float, at_ns: int) -> DealRow:
        deal = self._book.fill(order, volume, price, at_ns)
        order.state = mt5.ORDER_STATE_PARTIAL if order.remaining else mt5.ORDER_STATE_FILLED
        order.done_at_ns = at_ns
        self._history.orders[order.ticket] = order
        return deal

    def _allocate(self) -> int:
        ticket = self._next_order
        self._next_order += 1
        return ticket

    def _refuse(
        self, request: TradeRequest, code: int, market: Market | None = None
    ) -> OrderSendResult:
        return self._answer(request, code, market)

    def _answer(
        self,
        request: TradeRequest,
        code: int,
        market: Market | None,
        deal: DealRow | None = None,
    ) -> OrderSendResult:
        return OrderSendResult(
            retcode=code,
            deal=deal.ticket if deal else 0,
            order=deal.order if deal else 0,
            volume=deal.volume if deal else 0.0,
            price=deal.price if deal else 0.0,
            bid=market.bid if market else 0.0,
            ask=market.ask if market else 0.0,
            comment=_COMMENTS.get(code, f"Return code {code}"),
            request_id=self._requests,
            request=request,
        )
