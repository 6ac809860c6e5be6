"""Matching: orders that fill at the latest prices."""

from __future__ import annotations

from collections.abc import Callable

from online.domain.barriers import Exit
from online.domain.market import BUY, Side
from online.domain.slippage import slip, slips
from online.simulator import checks
from online.simulator import constants as mt5
from online.simulator.account import Ledger
from online.simulator.markets import Market
from online.simulator.positions import PositionBook
from online.simulator.records import DealRow, HeldPosition, Order
from online.simulator.replies import Desk
from online.simulator.trade_tuples import OrderSendResult, TradeRequest

Slippage = Callable[[Market, Side], float]
"""Tells by how many points a fill is worse than the quote (>= 0)."""

_ENDED = {
    mt5.ORDER_REASON_SL: Exit.STOP,
    mt5.ORDER_REASON_TP: Exit.TARGET,
    mt5.ORDER_REASON_SO: Exit.STOP,
}
_WORDS = {mt5.ORDER_REASON_SL: "sl", mt5.ORDER_REASON_TP: "tp", mt5.ORDER_REASON_SO: "so"}


def no_slippage(_market: Market, _side: Side) -> float:
    """Fill at the quote."""
    return 0.0


class Matching:
    """Fills market orders and what the server itself closes.

    Parameters
    ----------
    ledger, book, desk
        State of the trade server.
    slippage
        Of market orders, on top of what the symbol's rules say.
    """

    def __init__(
        self, ledger: Ledger, book: PositionBook, desk: Desk, slippage: Slippage = no_slippage
    ) -> None:
        self._ledger = ledger
        self._book = book
        self._desk = desk
        self._slippage = slippage

    def trade(self, request: TradeRequest, market: Market, now_ns: int) -> OrderSendResult:
        """Answer a market order."""
        answer = self._desk.answer
        order = self._desk.order(request, now_ns)
        code = self._judge(order, request, market, now_ns)
        if code:
            return answer(request, code, market)
        volume = market.offered(order.side, order.volume)
        partial = volume < order.volume
        order.ticket = self._desk.ticket()
        if volume <= 0.0 or (partial and order.filling == mt5.ORDER_FILLING_FOK):
            self._desk.file(order, mt5.ORDER_STATE_REJECTED, now_ns)
            return answer(request, mt5.TRADE_RETCODE_REJECT, market)
        order.price = market.opening_price(order.side)
        if market.rules.at_market:
            drawn = self._slippage(market, order.side)
            order.price = self.slip(order.price, order.side, market, drawn)
        deal = self.fill(order, volume, order.price, market, now_ns)
        code = mt5.TRADE_RETCODE_DONE_PARTIAL if partial else mt5.TRADE_RETCODE_DONE
        return answer(request, code, market, deal)

    @staticmethod
    def slip(price: float, side: Side, market: Market, drawn: float = 0.0) -> float:
        """Return where an order of a side fills at the market, `drawn` points worse than usual."""
        return slip(price, side, market.rules.slippage_points + drawn, market.instrument.scale)

    def fill(
        self, order: Order, volume: float, price: float, market: Market, now_ns: int
    ) -> DealRow:
        """Let an order with a ticket trade, and file it."""
        market.take(order.side, volume)
        deal = self._book.fill(order, volume, price, now_ns)
        state = mt5.ORDER_STATE_PARTIAL if order.remaining else mt5.ORDER_STATE_FILLED
        self._desk.file(order, state, now_ns)
        return deal

    def close(
        self, held: HeldPosition, market: Market, price: float, reason: int, now_ns: int
    ) -> DealRow:
        """End a position at a price by the server's own order, which slips but for a target's."""
        order = Order(
            ticket=self._desk.ticket(),
            symbol=held.symbol,
            type=mt5.ORDER_TYPE_SELL if held.side is BUY else mt5.ORDER_TYPE_BUY,
            state=mt5.ORDER_STATE_STARTED,
            volume=held.volume,
            remaining=held.volume,
            price=price,
            stop=0.0,
            target=0.0,
            magic=held.magic,
            comment=f"[{_WORDS[reason]} {price:.{market.instrument.digits}f}]",
            placed_at_ns=now_ns,
            reason=reason,
            position=held.identifier,
        )
        if slips(_ENDED[reason]):
            price = self.slip(price, order.side, market)
        return self.fill(order, held.volume, price, market, now_ns)

    def check_room(self, order: Order, market: Market, closing: float | None = None) -> int:
        """Check what an order would open: exits, volume limit and money.

        Parameters
        ----------
        order
            About to be filled.
        market
            Of its symbol.
        closing
            Price from which the distance of its exits counts; None where they were judged before.
        """
        held = self._book.affected_by(order)
        reduces = held is not None and held.side is not order.side
        opened = order.volume - (held.volume if held is not None and reduces else 0.0)
        code = checks.check_trade_mode(order.side, market, opens=opened > 0.0)
        if code or opened <= 0.0:
            return code
        freed = held.margin if held is not None and reduces else 0.0
        if closing is not None:
            code = checks.check_exits(order.side, order.stop, order.target, closing, market)
        return (
            code
            or checks.check_volume_limit(order, opened, market)
            or checks.check_money(order, opened, freed, market, self._ledger)
        )

    def check(self, request: TradeRequest, market: Market, now_ns: int) -> int:
        """Return 0 if a market order would pass, or the code that refuses it."""
        return self._judge(self._desk.order(request, now_ns), request, market, now_ns)

    def _judge(self, order: Order, request: TradeRequest, market: Market, now_ns: int) -> int:
        if request.type not in {mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL}:
            return mt5.TRADE_RETCODE_INVALID_ORDER
        return (
            checks.check_volume(request.volume, market.instrument)
            or checks.check_filling(request.type_filling, market, resting=False)
            or checks.check_open(market, self._ledger.rules.zone, now_ns)
            or self._check_position(request, market)
            or checks.check_price(request.price, order.side, request.deviation, market)
            or self.check_room(order, market, market.closing_price(order.side))
        )

    def _check_position(self, request: TradeRequest, market: Market) -> int:
        """Check that the position named in a request can be closed by it."""
        if not request.position:
            return 0
        held = self._book.find(request.position)
        if held is None:
            return mt5.TRADE_RETCODE_POSITION_CLOSED
        closing = mt5.ORDER_TYPE_SELL if held.side is BUY else mt5.ORDER_TYPE_BUY
        if held.symbol != request.symbol or request.type != closing:
            return mt5.TRADE_RETCODE_INVALID
        if request.volume > held.volume:
            return mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME
        return mt5.TRADE_RETCODE_FROZEN if checks.is_frozen(held, market) else 0
