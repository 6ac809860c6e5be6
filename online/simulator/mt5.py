"""The simulated MetaTrader5 as a module: take it in place of ``import MetaTrader5 as mt5``.

As in the package, there is one pipe and one last error for the whole process. Which terminal
`initialize` finds is said with `attach`.
"""

from __future__ import annotations

from online.simulator.client import ClientTerminal
from online.simulator.constants import *  # noqa: F403  # the package's names are this module's
from online.simulator.info_tuples import (  # noqa: F401  # the package exports its tuples
    AccountInfo,
    BookInfo,
    SymbolInfo,
    TerminalInfo,
    Tick,
)
from online.simulator.metatrader5 import SimulatedMetaTrader5
from online.simulator.trade_tuples import (  # noqa: F401  # the package exports its tuples
    OrderCheckResult,
    OrderSendResult,
    TradeDeal,
    TradeOrder,
    TradePosition,
    TradeRequest,
)

_package = SimulatedMetaTrader5()


def attach(client: ClientTerminal | None) -> None:
    """Say which terminal `initialize` finds in this process; None for none."""
    _package.attach(client)


initialize = _package.initialize
shutdown = _package.shutdown
login = _package.login
version = _package.version
last_error = _package.last_error
terminal_info = _package.terminal_info
account_info = _package.account_info
symbols_total = _package.symbols_total
symbols_get = _package.symbols_get
symbol_info = _package.symbol_info
symbol_info_tick = _package.symbol_info_tick
symbol_select = _package.symbol_select
market_book_add = _package.market_book_add
market_book_get = _package.market_book_get
market_book_release = _package.market_book_release
copy_rates_from = _package.copy_rates_from
copy_rates_from_pos = _package.copy_rates_from_pos
copy_rates_range = _package.copy_rates_range
copy_ticks_from = _package.copy_ticks_from
copy_ticks_range = _package.copy_ticks_range
orders_total = _package.orders_total
orders_get = _package.orders_get
order_calc_margin = _package.order_calc_margin
order_calc_profit = _package.order_calc_profit
order_check = _package.order_check
order_send = _package.order_send
positions_total = _package.positions_total
positions_get = _package.positions_get
history_orders_total = _package.history_orders_total
history_orders_get = _package.history_orders_get
history_deals_total = _package.history_deals_total
history_deals_get = _package.history_deals_get
Close = _package.Close
Buy = _package.Buy
Sell = _package.Sell
