"""The trade server: what a request or a price sets off, in order."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping

from online.domain.barriers import Exit, exit_at_open, exit_within_bar
from online.domain.market import BUY, NANOSECONDS_PER_SECOND
from online.simulator import constants as mt5
from online.simulator.account import Ledger
from online.simulator.amendments import Amendments
from online.simulator.bars import BidAskBar
from online.simulator.history import History
from online.simulator.margin import watch, worst_position
from online.simulator.markets import Market
from online.simulator.matching import Matching, Slippage, no_slippage
from online.simulator.pending import PendingOrders
from online.simulator.positions import PositionBook
from online.simulator.replies import Desk
from online.simulator.rollover import Rollover
from online.simulator.rules import AccountRules
from online.simulator.trade_tuples import OrderSendResult, TradeRequest

_REASONS = {Exit.STOP: mt5.ORDER_REASON_SL, Exit.TARGET: mt5.ORDER_REASON_TP}
_Action = Callable[[TradeRequest, Market, int], OrderSendResult]


class TradeServer:
    """State of the account at the broker, and its reactions.

    Parameters
    ----------
    markets
        By symbol.
    rules
        Of the account.
    slippage
        Of market orders.

    Attributes
    ----------
    wakes_ns
        Instant of the next event that time alone brings; infinite without one.
    """

    def __init__(
        self,
        markets: Mapping[str, Market],
        rules: AccountRules,
        slippage: Slippage = no_slippage,
    ) -> None:
        self.markets = markets
        self.rules = rules
        self.history = History()
        self.ledger = Ledger(rules, markets)
        self.book = PositionBook(markets, self.ledger, self.history)
        self.desk = Desk(self.history)
        self.matching = Matching(self.ledger, self.book, self.desk, slippage)
        self.pending = PendingOrders(self.ledger, self.desk, self.matching)
        self.rollover = Rollover(markets, self.ledger, self.book)
        self.wakes_ns = math.inf
        amendments = Amendments(self.ledger, self.book, self.desk)
        self._request_times_ns: deque[int] = deque()
        self._actions: dict[int, _Action] = {
            mt5.TRADE_ACTION_DEAL: self.matching.trade,
            mt5.TRADE_ACTION_PENDING: self.pending.place,
            mt5.TRADE_ACTION_SLTP: amendments.change_exits,
            mt5.TRADE_ACTION_MODIFY: self.pending.change,
            mt5.TRADE_ACTION_REMOVE: self.pending.cancel,
            mt5.TRADE_ACTION_CLOSE_BY: amendments.close_by,
        }

    def start(self, now_ns: int) -> None:
        """Take notice of the market's first instant."""
        self.rollover.start(now_ns)
        self._set_alarm()

    def execute(self, request: TradeRequest, now_ns: int) -> OrderSendResult:
        """Answer a request that arrives now."""
        if self._is_hasty(now_ns):
            return self.desk.answer(request, mt5.TRADE_RETCODE_TOO_MANY_REQUESTS)
        action = self._actions.get(request.action)
        market = self.markets.get(request.symbol or self._symbol_of(request))
        if market is None or action is None:
            return self.desk.answer(request, mt5.TRADE_RETCODE_INVALID)
        if market.at_ns < 0:
            return self.desk.answer(request, mt5.TRADE_RETCODE_PRICE_OFF, market)
        if not request.symbol:
            request = request._replace(symbol=market.instrument.symbol)
        result = action(request, market, now_ns)
        self._set_alarm()
        return result

    def check(self, request: TradeRequest, now_ns: int) -> int:
        """Return 0 if a request to trade would pass, or the code that would refuse it."""
        market = self.markets.get(request.symbol)
        if market is None or request.action not in self._actions:
            return mt5.TRADE_RETCODE_INVALID
        if market.at_ns < 0:
            return mt5.TRADE_RETCODE_PRICE_OFF
        if request.action == mt5.TRADE_ACTION_DEAL:
            return self.matching.check(request, market, now_ns)
        if request.action == mt5.TRADE_ACTION_PENDING:
            return self.pending.check(request, market, now_ns)
        return 0

    def margin_needed(self, request: TradeRequest) -> float:
        """Return by how much a market order would change the margin, account currency."""
        if request.action != mt5.TRADE_ACTION_DEAL:
            return 0.0
        market = self.markets[request.symbol]
        order = self.desk.order(request, 0)
        price = market.opening_price(order.side)
        held = self.book.affected_by(order)
        if held is None or held.side is order.side:
            return self.ledger.margin_of(market, request.volume, price)
        left = self.ledger.margin_of(market, abs(held.volume - request.volume), held.price)
        return left - held.margin

    def pass_time(self, now_ns: int) -> None:
        """Let rollovers and expiries up to now happen."""
        if now_ns < self.wakes_ns:
            return
        self.rollover.settle(now_ns)
        for market in self.markets.values():
            self.pending.expire(market, now_ns)
            if market.positions:
                market.alert()
        self._set_alarm()

    def react(self, market: Market) -> None:
        """React to a market's latest prices: exits, then resting orders, then stop-out."""
        self._exit_at_prices(market)
        if market.orders:
            self.pending.trigger_at_prices(market, market.at_ns)
            self._exit_at_prices(market)
        self._stop_out(market.at_ns)
        watch(self.markets, self.ledger)

    def react_within(self, market: Market, bar: BidAskBar) -> None:
        """React to what a bar reaches after its open; the order within it is not known.

        Positions end first, their stop before their target. Then resting orders fill. Of a
        position opened that way the stop is assumed to follow where the bar reaches it.
        """
        now_ns = bar.closed_at_ns
        for held in tuple(market.positions):
            buys = held.side is BUY
            opened = bar.bid_open if buys else bar.ask_open
            high, low = (bar.bid_high, bar.bid_low) if buys else (bar.ask_high, bar.ask_low)
            stop, target = held.stop_level, held.target_level
            ended = exit_within_bar(held.side, stop, target, opened, high, low)
            if ended is not None:
                reason, price = ended
                self.matching.close(held, market, price, _REASONS[reason], now_ns)
        if market.orders:
            known = set(self.book.open)
            bid, ask = (bar.bid_high, bar.bid_low), (bar.ask_high, bar.ask_low)
            self.pending.trigger_within(market, bid, ask, now_ns)
            for held in [p for p in market.positions if p.ticket not in known]:
                high, low = bid if held.side is BUY else ask
                never = held.side.sign * math.inf
                ended = exit_within_bar(held.side, held.stop_level, never, held.price, high, low)
                if ended is not None:
                    reason, price = ended
                    self.matching.close(held, market, price, _REASONS[reason], now_ns)
        if market.positions:
            self._stop_out_within(market, bar)

    def _exit_at_prices(self, market: Market) -> None:
        for held in tuple(market.positions):
            price = market.closing_price(held.side)
            ended = exit_at_open(held.side, held.stop_level, held.target_level, price)
            if ended is not None:
                reason, at_price = ended
                self.matching.close(held, market, at_price, _REASONS[reason], market.at_ns)

    def _stop_out(self, now_ns: int) -> None:
        while (held := worst_position(self.ledger, self.book)) is not None:
            market = self.markets[held.symbol]
            price = market.closing_price(held.side)
            self.matching.close(held, market, price, mt5.ORDER_REASON_SO, now_ns)

    def _stop_out_within(self, market: Market, bar: BidAskBar) -> None:
        """Look at the account at both ends of a bar's range."""
        for bid, ask in ((bar.bid_low, bar.ask_low), (bar.bid_high, bar.ask_high)):
            market.set_prices(bid, ask, bar.closed_at_ns)
            self._stop_out(bar.closed_at_ns)

    def _symbol_of(self, request: TradeRequest) -> str:
        """Return the symbol of the order or position that a request names without one."""
        order = self.pending.resting.get(request.order)
        if order is not None:
            return order.symbol
        held = self.book.find(request.position) if request.position else None
        return held.symbol if held is not None else ""

    def pass_nights(self, until_ns: int) -> None:
        """Charge the rollovers within a bar: a position that the bar ends was held through them."""
        if until_ns < self.rollover.due_ns:
            return
        self.rollover.settle(until_ns)
        for market in self.markets.values():
            if market.positions:
                market.alert()
        self._set_alarm()

    def _set_alarm(self) -> None:
        self.wakes_ns = min(self.rollover.due_ns, self.pending.next_expiry_ns)

    def _is_hasty(self, now_ns: int) -> bool:
        """Tell whether a request exceeds the server's rate."""
        limit, times = self.rules.requests_per_second, self._request_times_ns
        if not limit:
            return False
        while times and times[0] <= now_ns - NANOSECONDS_PER_SECOND:
            times.popleft()
        if len(times) >= limit:
            return True
        times.append(now_ns)
        return False
