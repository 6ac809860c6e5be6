"""Pending orders: placed, changed, cancelled, expired and triggered."""

from __future__ import annotations

import math

from online.domain.market import BUY, NANOSECONDS_PER_SECOND, Side
from online.simulator import checks
from online.simulator import constants as mt5
from online.simulator.account import Ledger
from online.simulator.markets import Market
from online.simulator.matching import Matching
from online.simulator.records import Order
from online.simulator.replies import Desk
from online.simulator.trade_tuples import OrderSendResult, TradeRequest

_MODES = {
    mt5.ORDER_TYPE_BUY_LIMIT: mt5.SYMBOL_ORDER_LIMIT,
    mt5.ORDER_TYPE_SELL_LIMIT: mt5.SYMBOL_ORDER_LIMIT,
    mt5.ORDER_TYPE_BUY_STOP: mt5.SYMBOL_ORDER_STOP,
    mt5.ORDER_TYPE_SELL_STOP: mt5.SYMBOL_ORDER_STOP,
    mt5.ORDER_TYPE_BUY_STOP_LIMIT: mt5.SYMBOL_ORDER_STOP_LIMIT,
    mt5.ORDER_TYPE_SELL_STOP_LIMIT: mt5.SYMBOL_ORDER_STOP_LIMIT,
}
_LIMIT_OF = {
    mt5.ORDER_TYPE_BUY_STOP_LIMIT: mt5.ORDER_TYPE_BUY_LIMIT,
    mt5.ORDER_TYPE_SELL_STOP_LIMIT: mt5.ORDER_TYPE_SELL_LIMIT,
}
_STOPS = {mt5.ORDER_TYPE_BUY_STOP, mt5.ORDER_TYPE_SELL_STOP}
_LIFETIME_MODES = {
    mt5.ORDER_TIME_GTC: mt5.SYMBOL_EXPIRATION_GTC,
    mt5.ORDER_TIME_DAY: mt5.SYMBOL_EXPIRATION_DAY,
    mt5.ORDER_TIME_SPECIFIED: mt5.SYMBOL_EXPIRATION_SPECIFIED,
    mt5.ORDER_TIME_SPECIFIED_DAY: mt5.SYMBOL_EXPIRATION_SPECIFIED_DAY,
}
_TOLERANCE = 1e-6


class PendingOrders:
    """The orders that rest at the server.

    Parameters
    ----------
    ledger, desk
        State of the trade server.
    matching
        Fills what is triggered.

    Attributes
    ----------
    resting
        By ticket, oldest first.
    """

    def __init__(self, ledger: Ledger, desk: Desk, matching: Matching) -> None:
        self.resting: dict[int, Order] = {}
        self._expiries_ns: dict[int, int] = {}
        self._ledger = ledger
        self._desk = desk
        self._matching = matching

    @property
    def next_expiry_ns(self) -> float:
        """Instant of the first expiry; infinite without one."""
        return min(self._expiries_ns.values(), default=math.inf)

    def place(self, request: TradeRequest, market: Market, now_ns: int) -> OrderSendResult:
        """Answer ``TRADE_ACTION_PENDING``."""
        answer = self._desk.answer
        code = self.check(request, market, now_ns)
        if code:
            return answer(request, code, market)
        order = self._desk.order(request, now_ns)
        order.ticket = self._desk.ticket()
        order.state = mt5.ORDER_STATE_PLACED
        self.resting[order.ticket] = order
        self._set_lifetime(order, request.type_time, self._expiry(request, now_ns))
        market.orders.append(order)
        market.disturb()
        return answer(request, mt5.TRADE_RETCODE_DONE, market, order=order)

    def change(self, request: TradeRequest, market: Market, now_ns: int) -> OrderSendResult:
        """Answer ``TRADE_ACTION_MODIFY``."""
        order = self.resting.get(request.order)
        if order is None or order.symbol != market.instrument.symbol:
            return self._desk.answer(request, mt5.TRADE_RETCODE_INVALID, market)
        if checks.is_order_frozen(order, market):
            return self._desk.answer(request, mt5.TRADE_RETCODE_FROZEN, market)
        lifetime, expires_at_ns = request.type_time, self._expiry(request, now_ns)
        wanted = (request.price, request.sl, request.tp, request.stoplimit, lifetime, expires_at_ns)
        held = (order.price, order.stop, order.target, order.stop_limit)
        if wanted == (*held, order.lifetime, order.expires_at_ns):
            return self._desk.answer(request, mt5.TRADE_RETCODE_NO_CHANGES, market)
        changed = request._replace(type=order.type, volume=order.volume)
        code = self._check_levels(changed, order.side, market)
        code = code or self._check_lifetime(request, market, now_ns)
        if code:
            return self._desk.answer(request, code, market)
        order.price, order.stop, order.target = request.price, request.sl, request.tp
        order.stop_limit = request.stoplimit
        self._set_lifetime(order, lifetime, expires_at_ns)
        market.disturb()
        return self._desk.answer(request, mt5.TRADE_RETCODE_DONE, market, order=order)

    def cancel(self, request: TradeRequest, market: Market, now_ns: int) -> OrderSendResult:
        """Answer ``TRADE_ACTION_REMOVE``."""
        order = self.resting.get(request.order)
        if order is None or order.symbol != market.instrument.symbol:
            return self._desk.answer(request, mt5.TRADE_RETCODE_INVALID, market)
        if checks.is_order_frozen(order, market):
            return self._desk.answer(request, mt5.TRADE_RETCODE_FROZEN, market)
        self._retire(order, market, mt5.ORDER_STATE_CANCELED, now_ns)
        return self._desk.answer(request, mt5.TRADE_RETCODE_DONE, market, order=order)

    def expire(self, market: Market, now_ns: int) -> None:
        """End the orders of a market whose time is out."""
        for order in tuple(market.orders):
            if 0 < order.expires_at_ns <= now_ns:
                self._retire(order, market, mt5.ORDER_STATE_EXPIRED, order.expires_at_ns)

    def trigger_at_prices(self, market: Market, now_ns: int) -> None:
        """Fill the orders that the latest prices reach, at those prices.

        A stop that was gapped over fills worse than its price, a limit no worse than its own.
        """
        for order in tuple(market.orders):
            price = market.opening_price(order.side)
            if order.reached(price, price) and self._activate(order, price, price, market):
                self._execute(order, price, market, now_ns)

    def trigger_within(
        self, market: Market, bid: tuple[float, float], ask: tuple[float, float], now_ns: int
    ) -> None:
        """Fill the orders that a bar reaches after its open, each at its own price.

        Parameters
        ----------
        market
            Whose bar it is.
        bid, ask
            High and low of each side.
        now_ns
            When the bar closes.
        """
        for order in tuple(market.orders):
            high, low = ask if order.side is BUY else bid
            if order.reached(high, low) and self._activate(order, high, low, market):
                self._execute(order, order.price, market, now_ns)

    def _activate(self, order: Order, high: float, low: float, market: Market) -> bool:
        """Turn a triggered stop-limit into its limit; tell whether the order is to fill now."""
        limit = _LIMIT_OF.get(order.type)
        if limit is None:
            return True
        order.type, order.price, order.stop_limit = limit, order.stop_limit, 0.0
        market.disturb()
        return order.reached(high, low)

    def _execute(self, order: Order, price: float, market: Market, now_ns: int) -> None:
        code = self._matching.check_room(order, market)
        volume = market.offered(order.side, order.remaining)
        if code or (volume < order.remaining and order.filling == mt5.ORDER_FILLING_FOK):
            self._retire(order, market, mt5.ORDER_STATE_REJECTED, now_ns)
            return
        if volume <= 0.0:
            return
        if order.type in _STOPS:
            price = self._matching.slip(price, order.side, market)
        self._matching.fill(order, volume, price, market, now_ns)
        if order.remaining and order.filling == mt5.ORDER_FILLING_RETURN:
            return  # the remainder rests on
        self._withdraw(order, market)

    def _retire(self, order: Order, market: Market, state: int, now_ns: int) -> None:
        self._withdraw(order, market)
        self._desk.file(order, state, now_ns)

    def _set_lifetime(self, order: Order, lifetime: int, expires_at_ns: int) -> None:
        order.lifetime, order.expires_at_ns = lifetime, expires_at_ns
        self._expiries_ns.pop(order.ticket, None)
        if expires_at_ns:
            self._expiries_ns[order.ticket] = expires_at_ns

    def _withdraw(self, order: Order, market: Market) -> None:
        del self.resting[order.ticket]
        self._expiries_ns.pop(order.ticket, None)
        market.orders.remove(order)
        market.disturb()

    def check(self, request: TradeRequest, market: Market, now_ns: int) -> int:
        """Return 0 if a pending order would be taken, or the code that refuses it."""
        if request.type not in _MODES:
            return mt5.TRADE_RETCODE_INVALID_ORDER
        order = self._desk.order(request, now_ns)
        limit = self._ledger.rules.limit_orders
        if limit and len(self.resting) >= limit:
            return mt5.TRADE_RETCODE_LIMIT_ORDERS
        if not market.rules.order_modes & _MODES[request.type]:
            return mt5.TRADE_RETCODE_INVALID_ORDER
        return (
            checks.check_volume(request.volume, market.instrument)
            or checks.check_filling(request.type_filling, market, resting=True)
            or checks.check_open(market, self._ledger.rules.zone, now_ns)
            or checks.check_trade_mode(order.side, market, opens=True)
            or checks.check_volume_limit(order, order.volume, market)
            or self._check_levels(request, order.side, market)
            or self._check_lifetime(request, market, now_ns)
        )

    def _check_levels(self, request: TradeRequest, side: Side, market: Market) -> int:
        """Check trigger, limit and exits of an order against the market and each other."""
        scale, least = market.instrument.scale, market.instrument.stops_level_points
        least = max(least, 1)
        current, opened = market.opening_price(side), request.price
        if not opened > 0.0 or not checks.on_grid(opened, scale):
            return mt5.TRADE_RETCODE_INVALID_PRICE
        is_limit = _MODES[request.type] == mt5.SYMBOL_ORDER_LIMIT
        sign = -side.sign if is_limit else side.sign
        if sign * (opened - current) * scale < least - _TOLERANCE:
            return mt5.TRADE_RETCODE_INVALID_PRICE
        if request.type in _LIMIT_OF:
            limit = request.stoplimit
            if not limit > 0.0 or not checks.on_grid(limit, scale):
                return mt5.TRADE_RETCODE_INVALID_PRICE
            if side.sign * (opened - limit) * scale < least - _TOLERANCE:
                return mt5.TRADE_RETCODE_INVALID_PRICE
            opened = limit
        return checks.check_exits(side, request.sl, request.tp, opened, market)

    def _check_lifetime(self, request: TradeRequest, market: Market, now_ns: int) -> int:
        mask = _LIFETIME_MODES.get(request.type_time, 0)
        if not market.rules.expiration_modes & mask:
            return mt5.TRADE_RETCODE_INVALID_EXPIRATION
        expires_at_ns = self._expiry(request, now_ns)
        needs_date = request.type_time in {
            mt5.ORDER_TIME_SPECIFIED,
            mt5.ORDER_TIME_SPECIFIED_DAY,
        }
        late = needs_date and (request.expiration <= 0 or expires_at_ns <= now_ns)
        return mt5.TRADE_RETCODE_INVALID_EXPIRATION if late else 0

    def _expiry(self, request: TradeRequest, now_ns: int) -> int:
        """Return when an order ends, nanoseconds UTC; 0 if it does not by itself."""
        zone, stated_ns = self._ledger.rules.zone, request.expiration * NANOSECONDS_PER_SECOND
        if request.type_time == mt5.ORDER_TIME_DAY:
            return zone.next_midnight_ns(now_ns)
        if request.type_time == mt5.ORDER_TIME_SPECIFIED:
            return zone.to_utc_ns(stated_ns)
        if request.type_time == mt5.ORDER_TIME_SPECIFIED_DAY:
            return zone.next_midnight_ns(zone.to_utc_ns(stated_ns))
        return 0
