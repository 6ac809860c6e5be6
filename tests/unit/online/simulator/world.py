"""A small world for the simulator's tests: one client, one account, three symbols."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from online.domain.market import NANOSECONDS_PER_SECOND, Instrument, Quote
from online.simulator import constants as mt5
from online.simulator.client import ClientTerminal
from online.simulator.faults import FaultPlan
from online.simulator.latency import Latency
from online.simulator.matching import Slippage, no_slippage
from online.simulator.metatrader5 import SimulatedMetaTrader5
from online.simulator.prices import Ticks
from online.simulator.rules import AccountRules, TradingRules
from online.simulator.tape import Tape
from online.simulator.terminal import SimulatedTerminal
from online.simulator.trade_tuples import OrderSendResult, TradePosition

MONDAY = 1_794_823_200  # 2026-11-16 10:00 UTC
BUY, SELL = mt5.ORDER_TYPE_BUY, mt5.ORDER_TYPE_SELL
EURUSD = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0, stops_level_points=10)
USDJPY = Instrument("USDJPY", "USD", "JPY", 3, 100_000.0)
GBPUSD = Instrument("GBPUSD", "GBP", "USD", 5, 100_000.0)
Tick = tuple[float, float, float]
"""Seconds after `MONDAY`, bid, ask."""


def ticks_of(rows: Iterable[Tick]) -> Ticks:
    seconds, bid, ask = zip(*rows, strict=True)
    at_ns = [round((MONDAY + second) * NANOSECONDS_PER_SECOND) for second in seconds]
    return Ticks(np.array(at_ns, np.int64), np.array(bid), np.array(ask))


class World:
    """A terminal with an open pipe, quoted EURUSD 1.1 to 1.1002 unless a tape plays."""

    def __init__(
        self,
        *,
        account: AccountRules | None = None,
        trading: TradingRules | None = None,
        tape: Mapping[str, Iterable[Tick]] | None = None,
        latency: Latency | None = None,
        faults: FaultPlan | None = None,
        slippage: Slippage = no_slippage,
        balance: float = 10_000.0,
    ) -> None:
        self.terminal = SimulatedTerminal(
            [EURUSD, USDJPY, GBPUSD],
            balance=balance,
            rules=account or AccountRules(),
            trading={"EURUSD": trading or TradingRules()},
            slippage=slippage,
        )
        played = {symbol: ticks_of(rows) for symbol, rows in (tape or {}).items()}
        self.waited: list[float] = []
        self.client = ClientTerminal(
            self.terminal,
            tape=Tape(self.terminal, played) if played else None,
            latency=latency,
            faults=faults,
            wait=self.waited.append,
        )
        self.mt5 = SimulatedMetaTrader5(self.client)
        assert self.mt5.initialize()
        if tape is None:
            self.quote(1.1, 1.1002)

    def quote(
        self, bid: float, ask: float, seconds: float | None = None, symbol: str = "EURUSD"
    ) -> None:
        """Quote a price, one second after the last or at a time."""
        now_ns = max(self.terminal.now_ns, (MONDAY - 1) * NANOSECONDS_PER_SECOND)
        at_ns = now_ns + NANOSECONDS_PER_SECOND
        if seconds is not None:
            at_ns = round((MONDAY + seconds) * NANOSECONDS_PER_SECOND)
        self.terminal.on_quote(Quote(symbol, bid, ask, at_ns))

    def send(self, **fields: object) -> OrderSendResult | None:
        """Send a market order for 0.1 lots of EURUSD, with these fields changed."""
        request: dict[str, object] = {
            "action": mt5.TRADE_ACTION_DEAL,
            "symbol": "EURUSD",
            "volume": 0.1,
            "type": BUY,
            "type_filling": mt5.ORDER_FILLING_IOC,
        }
        return self.mt5.order_send(request | fields)

    def order(self, **fields: object) -> OrderSendResult:
        """Send, and expect an answer."""
        result = self.send(**fields)
        assert result is not None, self.mt5.last_error()
        return result

    def done(self, **fields: object) -> OrderSendResult:
        """Send, and expect success."""
        result = self.order(**fields)
        assert result.retcode == mt5.TRADE_RETCODE_DONE, result
        return result

    def pend(self, type_: int, price: float, **fields: object) -> OrderSendResult:
        """Place a pending order."""
        resting = {"type_filling": mt5.ORDER_FILLING_RETURN}
        action = mt5.TRADE_ACTION_PENDING
        return self.order(action=action, type=type_, price=price, **resting | fields)

    def positions(self) -> tuple[TradePosition, ...]:
        """Open positions."""
        positions = self.mt5.positions_get()
        assert positions is not None
        return positions

    @property
    def error(self) -> int:
        """Code of the last error."""
        return self.mt5.last_error()[0]
