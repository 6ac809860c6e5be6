"""Ticks through nautilus_trader's exchange with resting brackets, in an environment that holds it.

``python nautilus_exchange.py TICKS.npz TOLD.json``: see `tests.benchmarks.orders`. The exchange
alone is timed: every tick is handed to it directly, without the engine around it.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import pandas as pd

# The peer is untyped here.
from nautilus_trader.backtest.engine import (  # type: ignore[import-not-found]
    BacktestEngine,
    BacktestEngineConfig,
)
from nautilus_trader.backtest.modules import (  # type: ignore[import-not-found]
    SimulationModule,
    SimulationModuleConfig,
)
from nautilus_trader.config import LoggingConfig  # type: ignore[import-not-found]
from nautilus_trader.model.currencies import USD  # type: ignore[import-not-found]
from nautilus_trader.model.enums import (  # type: ignore[import-not-found]
    AccountType,
    OmsType,
    OrderSide,
    OrderType,
)
from nautilus_trader.model.identifiers import Venue  # type: ignore[import-not-found]
from nautilus_trader.model.objects import Money  # type: ignore[import-not-found]
from nautilus_trader.persistence.wranglers import (  # type: ignore[import-not-found]
    QuoteTickDataWrangler,
)
from nautilus_trader.test_kit.providers import (  # type: ignore[import-not-found]
    TestInstrumentProvider,
)
from nautilus_trader.trading.strategy import Strategy  # type: ignore[import-not-found]

UNITS = 1_000


class Window(SimulationModule):  # type: ignore[misc]  # the peer is untyped here
    """Lets the exchange be reached."""

    found: Any = None

    def register_venue(self, exchange: Any) -> None:  # noqa: ANN401 - the peer's
        """Remember the exchange."""
        Window.found = exchange
        super().register_venue(exchange)

    def process(self, ts_now: int) -> None:
        """Do nothing."""

    def log_diagnostics(self, logger: Any) -> None:  # noqa: ANN401 - the peer's
        """Say nothing."""

    def reset(self) -> None:
        """Keep nothing."""


class Resting(Strategy):  # type: ignore[misc]  # the peer is untyped here
    """Places every order at the first tick."""

    def __init__(self, instrument: Any, given: Any) -> None:  # noqa: ANN401 - the peer's
        super().__init__()
        self.instrument, self.given, self.placed = instrument, given, False

    def on_start(self) -> None:
        """Ask for the ticks."""
        self.subscribe_quote_ticks(self.instrument.id)

    def on_quote_tick(self, _tick: Any) -> None:  # noqa: ANN401 - the peer's
        """Place, once."""
        if self.placed:
            return
        self.placed = True
        make = self.instrument.make_price
        for price, stop, target, is_stop in zip(
            *(self.given[name].tolist() for name in ("price", "stop", "target", "is_stop")),
            strict=True,
        ):
            quantity = self.instrument.make_qty(UNITS)
            if is_stop:  # its brackets have no stop entries: these rest without exits
                order = self.order_factory.stop_market(
                    self.instrument.id, OrderSide.BUY, quantity, make(price)
                )
                self.submit_order(order)
                continue
            bracket = self.order_factory.bracket(
                instrument_id=self.instrument.id,
                order_side=OrderSide.BUY,
                quantity=quantity,
                entry_order_type=OrderType.LIMIT,
                entry_price=make(price),
                sl_trigger_price=make(stop),
                tp_price=make(target),
            )
            self.submit_order_list(bracket)


def main() -> None:
    """Hand every tick to the exchange, and time that."""
    given = np.load(sys.argv[1])
    venue = Venue("SIM")
    instrument = TestInstrumentProvider.default_fx_ccy("EUR/USD", venue)
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue=venue,
        oms_type=OmsType.HEDGING,
        account_type=AccountType.MARGIN,
        base_currency=USD,
        starting_balances=[Money(1_000_000, USD)],
        modules=[Window(SimulationModuleConfig())],
    )
    engine.add_instrument(instrument)
    frame = pd.DataFrame(
        {"bid_price": given["bid"], "ask_price": given["ask"]},
        index=pd.to_datetime(given["at_ns"], utc=True),
    )
    frame.index.name = "timestamp"
    ticks = QuoteTickDataWrangler(instrument).process(frame)
    engine.add_data(ticks[:2])
    engine.add_strategy(Resting(instrument, given))
    engine.run(streaming=True)
    exchange, rest = Window.found, ticks[2:]
    resting = len(exchange.get_open_orders())
    began = time.process_time()
    for tick in rest:
        exchange.process_quote_tick(tick)
    seconds = time.process_time() - began
    filled = sum(order.is_closed and order.filled_qty > 0 for order in engine.cache.orders())
    told = {"seconds": seconds, "ticks": len(rest), "resting": resting, "filled": filled}
    with open(sys.argv[2], "w", encoding="utf-8") as file:  # noqa: PTH123 - stands alone
        json.dump(told, file)


if __name__ == "__main__":
    main()
