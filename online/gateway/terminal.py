"""The terminal as the workers see it: those functions of the MetaTrader5 package they call.

The real package and the simulated terminal both fit, so a worker does not know which it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypedDict, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from online.simulator.info_tuples import AccountInfo, SymbolInfo, TerminalInfo, Tick
from online.simulator.trade_tuples import (
    OrderSendResult,
    TradeDeal,
    TradeOrder,
    TradePosition,
)


class Login(TypedDict, total=False):
    """Keywords of `Terminal.initialize`; one that is not needed is not given."""

    login: int
    password: str
    server: str
    timeout: int
    portable: bool


class Terminal(Protocol):
    """The MetaTrader5 package, as far as it is used; None is an error, ``()`` is empty."""

    def initialize(self, path: str | None = None, /, **login: Unpack[Login]) -> bool:
        """Connect to the terminal, starting it where needed."""

    def shutdown(self) -> None:
        """Close the connection."""

    def last_error(self) -> tuple[int, str]:
        """Return code and words of the last call."""

    def terminal_info(self) -> TerminalInfo | None:
        """Return state and settings of the terminal."""

    def account_info(self) -> AccountInfo | None:
        """Return the account."""

    def symbol_select(self, symbol: str, enable: bool, /) -> bool:  # noqa: FBT001 - MetaTrader's
        """Show a symbol in the terminal's Market Watch: only then it has prices."""

    def symbol_info(self, symbol: str, /) -> SymbolInfo | None:
        """Return the properties of a symbol."""

    def symbol_info_tick(self, symbol: str, /) -> Tick | None:
        """Return the latest prices of a symbol."""

    def copy_rates_from_pos(
        self, symbol: str, timeframe: int, start_pos: int, count: int, /
    ) -> NDArray[np.void] | None:
        """Return bars by place from the end, oldest first; place 0 is still forming."""

    def copy_ticks_from(
        self, symbol: str, date_from: int, count: int, flags: int, /
    ) -> NDArray[np.void] | None:
        """Return the first ticks at or after a second of server time."""

    def positions_get(self) -> tuple[TradePosition, ...] | None:
        """Return the open positions."""

    def orders_get(self) -> tuple[TradeOrder, ...] | None:
        """Return the orders that rest."""

    def history_orders_get(self, date_from: int, date_to: int, /) -> tuple[TradeOrder, ...] | None:
        """Return finished orders of a period, seconds of server time."""

    @overload  # of a period, seconds of server time; or of an order
    def history_deals_get(
        self, date_from: int, date_to: int, /
    ) -> tuple[TradeDeal, ...] | None: ...

    @overload
    def history_deals_get(self, *, ticket: int) -> tuple[TradeDeal, ...] | None: ...

    def order_send(self, request: Mapping[str, int | float | str], /) -> OrderSendResult | None:
        """Send a request to the trade server and wait."""
