"""The package as one object: every function, tuple and constant of MetaTrader5."""

from __future__ import annotations

from typing import Any

from online.simulator import constants as mt5
from online.simulator.history_calls import HistoryCalls
from online.simulator.market_calls import MarketCalls
from online.simulator.trade_calls import TradeCalls
from online.simulator.trade_tuples import OrderSendResult

_TRIES = 10
_DEVIATION = 10
_MOVED = frozenset({mt5.TRADE_RETCODE_REQUOTE, mt5.TRADE_RETCODE_PRICE_OFF})


class SimulatedMetaTrader5(MarketCalls, TradeCalls, HistoryCalls):
    """What ``import MetaTrader5`` gives, on the simulated terminal.

    Constants are attributes too, so that code written for the module takes this object.

    Parameters
    ----------
    client
        The terminal that `initialize` finds; None if there is none.
    """

    def __getattr__(self, name: str) -> int:
        """Return a constant of the package."""
        if not name.isupper() or name not in vars(mt5):
            raise AttributeError(f"module 'MetaTrader5' has no attribute {name!r}")
        return int(vars(mt5)[name])

    def Buy(  # noqa: N802  # the package's name
        self,
        symbol: str,
        volume: float,
        price: float | None = None,
        *,
        comment: str | None = None,
        ticket: int | None = None,
    ) -> OrderSendResult | None:
        """Buy at the market as the package's own helper does.

        It sends up to ten times and without a magic number: never use it with real money.
        """
        return self._send_stubbornly(mt5.ORDER_TYPE_BUY, symbol, volume, price, comment, ticket)

    def Sell(  # noqa: N802  # the package's name
        self,
        symbol: str,
        volume: float,
        price: float | None = None,
        *,
        comment: str | None = None,
        ticket: int | None = None,
    ) -> OrderSendResult | None:
        """Sell at the market; see `Buy` for why not to."""
        return self._send_stubbornly(mt5.ORDER_TYPE_SELL, symbol, volume, price, comment, ticket)

    def Close(  # noqa: N802  # the package's name
        self, symbol: str, *, comment: str | None = None, ticket: int | None = None
    ) -> bool | str | None:
        """Close the positions of a symbol, or one; see `Buy` for why not to.

        Returns
        -------
        bool or str or None
            True if all were closed, "Partially" if some were, False if none, None on an error.
        """
        filters: dict[str, Any] = {"symbol": symbol} if ticket is None else {"ticket": ticket}
        positions = self.positions_get(**filters)
        if positions is None:
            return None
        closed = 0
        for held in positions:
            type_ = mt5.ORDER_TYPE_BUY if held.type else mt5.ORDER_TYPE_SELL
            result = self._send_stubbornly(type_, symbol, held.volume, None, comment, held.ticket)
            if result is None:
                return None
            closed += result.retcode == mt5.TRADE_RETCODE_DONE
        if closed == len(positions):
            return True
        return "Partially" if closed else False

    def _send_stubbornly(
        self,
        type_: int,
        symbol: str,
        volume: float,
        price: float | None,
        comment: str | None,
        ticket: int | None,
    ) -> OrderSendResult | None:
        request: dict[str, object] = {
            "action": mt5.TRADE_ACTION_DEAL,
            "symbol": symbol,
            "volume": volume,
            "type": type_,
            "deviation": _DEVIATION,
            "comment": comment or "",
            "position": ticket or 0,
        }
        result: OrderSendResult | None = None
        for _ in range(_TRIES):
            tick = self.symbol_info_tick(symbol)
            if tick is None:
                return None
            current = tick.bid if type_ == mt5.ORDER_TYPE_SELL else tick.ask
            request["price"] = price if price is not None else current
            result = self.order_send(request)
            if result is None or result.retcode not in _MOVED:
                return result
        return result
