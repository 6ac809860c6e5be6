"""Changes to open positions: new exits, and two opposite positions that close each other."""

from __future__ import annotations

from online.simulator import checks
from online.simulator import constants as mt5
from online.simulator.account import Ledger
from online.simulator.markets import Market
from online.simulator.positions import PositionBook
from online.simulator.records import HeldPosition
from online.simulator.replies import Desk
from online.simulator.trade_tuples import OrderSendResult, TradeRequest


class Amendments:
    """Answers requests that change positions without a market order.

    Parameters
    ----------
    ledger, book, desk
        State of the trade server.
    """

    def __init__(self, ledger: Ledger, book: PositionBook, desk: Desk) -> None:
        self._ledger = ledger
        self._book = book
        self._desk = desk

    def change_exits(self, request: TradeRequest, market: Market, now_ns: int) -> OrderSendResult:
        """Answer ``TRADE_ACTION_SLTP``."""
        held = self._named(request, market)
        if held is None:
            return self._desk.answer(request, mt5.TRADE_RETCODE_POSITION_CLOSED, market)
        code = self._check_change(request, held, market)
        if code:
            return self._desk.answer(request, code, market)
        self._book.set_exits(held, request.sl, request.tp, now_ns)
        return self._desk.answer(request, mt5.TRADE_RETCODE_DONE, market)

    def close_by(self, request: TradeRequest, market: Market, now_ns: int) -> OrderSendResult:
        """Answer ``TRADE_ACTION_CLOSE_BY``: two opposite positions end at each other's price."""
        answer = self._desk.answer
        first, second = self._book.find(request.position), self._book.find(request.position_by)
        if first is None or second is None:
            return answer(request, mt5.TRADE_RETCODE_POSITION_CLOSED, market)
        opposite = first.symbol == second.symbol and first.side is not second.side
        if not (opposite and self._ledger.rules.hedging):
            return answer(request, mt5.TRADE_RETCODE_INVALID, market)
        volume = min(first.volume, second.volume)
        order = self._desk.order(request, now_ns)
        order.ticket = self._desk.ticket()
        order.type, order.volume, order.remaining = mt5.ORDER_TYPE_CLOSE_BY, volume, volume
        order.symbol, order.magic = first.symbol, first.magic
        deal = self._book.close_by(order, first, second, volume, now_ns)
        self._desk.file(order, mt5.ORDER_STATE_FILLED, now_ns)
        return answer(request, mt5.TRADE_RETCODE_DONE, market, deal)

    def _named(self, request: TradeRequest, market: Market) -> HeldPosition | None:
        """Return the position that a request means; a netting account needs no ticket."""
        if request.position:
            held = self._book.find(request.position)
            return held if held is not None and held.symbol == request.symbol else None
        if self._ledger.rules.hedging or not market.positions:
            return None
        return market.positions[0]

    def _check_change(self, request: TradeRequest, held: HeldPosition, market: Market) -> int:
        if (request.sl, request.tp) == (held.stop, held.target):
            return mt5.TRADE_RETCODE_NO_CHANGES
        if checks.is_frozen(held, market):
            return mt5.TRADE_RETCODE_FROZEN
        closing = market.closing_price(held.side)
        return checks.check_exits(held.side, request.sl, request.tp, closing, market)
