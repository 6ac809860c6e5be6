"""The simulated terminal as a broker: the port's words for the terminal's."""

from __future__ import annotations

from online.domain.market import Side
from online.domain.order import Intent, OrderReply, OrderStatus, Purpose
from online.ports import Observation
from online.simulator import constants as mt5
from online.simulator.records import DealRow
from online.simulator.terminal import SimulatedTerminal
from online.simulator.trade_tuples import OrderSendResult, TradeRequest

_STATUS = {
    mt5.TRADE_RETCODE_DONE: OrderStatus.FILLED,
    mt5.TRADE_RETCODE_DONE_PARTIAL: OrderStatus.PARTIAL,
    mt5.TRADE_RETCODE_PLACED: OrderStatus.UNKNOWN,
    mt5.TRADE_RETCODE_ERROR: OrderStatus.UNKNOWN,
    mt5.TRADE_RETCODE_TIMEOUT: OrderStatus.UNKNOWN,
    mt5.TRADE_RETCODE_CONNECTION: OrderStatus.UNKNOWN,
}
_SAME_VOLUME = 1e-9


class SimulatedBroker:
    """Broker whose terminal is in the same process; it never waits.

    Parameters
    ----------
    terminal
        Driven by whoever feeds it the market.
    """

    def __init__(self, terminal: SimulatedTerminal) -> None:
        self._terminal = terminal

    async def observe(self, symbol: str, after_deal: int) -> Observation:
        """Return quote, account, positions and the deals with tickets above `after_deal`."""
        terminal = self._terminal
        return Observation(
            terminal.quote(symbol),
            terminal.account(),
            terminal.positions(),
            terminal.deals_after(after_deal),
        )

    async def send(self, intent: Intent) -> OrderReply:
        """Send an order, once, and return what came back."""
        request = _request(intent, self._filling(intent.symbol))
        return _reply(self._terminal.execute(request), self._terminal)

    async def find(self, intent: Intent) -> OrderReply | None:
        """Return the fate of an order sent earlier, by its magic number; None without evidence.

        A close carries its entry's magic: its deals are those that closed the position and bear
        its comment, or any word of an order of ours where the server has changed the comment.
        """
        deals = [
            deal
            for deal in self._terminal.server.history.of_magic(intent.magic)
            if _of(deal, intent)
        ]
        named = [deal for deal in deals if deal.comment == intent.comment]
        return _fate(named or deals, intent)

    def _filling(self, symbol: str) -> int:
        """Return a filling policy that the symbol takes: fill what is there, else all or none."""
        market = self._terminal.markets.get(symbol)
        if market is None or market.rules.filling_modes & mt5.SYMBOL_FILLING_IOC:
            return mt5.ORDER_FILLING_IOC
        fok = market.rules.filling_modes & mt5.SYMBOL_FILLING_FOK
        return mt5.ORDER_FILLING_FOK if fok else mt5.ORDER_FILLING_RETURN


def _request(intent: Intent, filling: int) -> TradeRequest:
    return TradeRequest(
        action=mt5.TRADE_ACTION_DEAL,
        magic=intent.magic,
        symbol=intent.symbol,
        volume=intent.volume_lots,
        price=intent.quoted,
        sl=intent.stop,
        tp=intent.target,
        type=mt5.ORDER_TYPE_BUY if intent.side is Side.BUY else mt5.ORDER_TYPE_SELL,
        type_filling=filling,
        comment=intent.comment,
        position=intent.position,
    )


def _reply(result: OrderSendResult, terminal: SimulatedTerminal) -> OrderReply:
    deals = terminal.server.history.deals
    return OrderReply(
        status=_STATUS.get(result.retcode, OrderStatus.REJECTED),
        retcode=result.retcode,
        order=result.order,
        deal=result.deal,
        position=deals[result.deal - 1].position if result.deal else 0,
        price=result.price,
        volume_lots=result.volume,
        comment=result.comment,
    )


def _of(deal: DealRow, intent: Intent) -> bool:
    """Tell whether a deal of the intent's magic can be this intent's."""
    if deal.reason != mt5.DEAL_REASON_EXPERT or deal.symbol != intent.symbol:
        return False
    if intent.purpose is Purpose.ENTRY:
        return deal.entry != mt5.DEAL_ENTRY_OUT
    return deal.entry == mt5.DEAL_ENTRY_OUT and deal.position == intent.position


def _fate(deals: list[DealRow], intent: Intent) -> OrderReply | None:
    if not deals:
        return None
    volume = sum(deal.volume for deal in deals)
    worth = sum(deal.price * deal.volume for deal in deals)
    partial = volume < intent.volume_lots - _SAME_VOLUME
    return OrderReply(
        status=OrderStatus.PARTIAL if partial else OrderStatus.FILLED,
        retcode=mt5.TRADE_RETCODE_DONE_PARTIAL if partial else mt5.TRADE_RETCODE_DONE,
        order=deals[-1].order,
        deal=deals[-1].ticket,
        position=deals[-1].position,
        price=deals[0].price if len(deals) == 1 else worth / volume,
        volume_lots=volume,
        comment="found in the history",
    )
