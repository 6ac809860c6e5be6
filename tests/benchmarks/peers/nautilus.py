"""The crossing strategy in nautilus_trader; run in an environment that holds it.

``python nautilus.py MARKET.npz TRADES.json``: see `tests.benchmarks.backtest`. Its exchange fills a
market order at the last price of the bar that was just told, so its bars end with the first price
of the next one: then it trades at the prices of the others.
"""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

# The peer is untyped here.
from nautilus_trader.backtest.engine import (  # type: ignore[import-not-found]
    BacktestEngine,
    BacktestEngineConfig,
)
from nautilus_trader.config import LoggingConfig  # type: ignore[import-not-found]
from nautilus_trader.model.currencies import USD  # type: ignore[import-not-found]
from nautilus_trader.model.data import BarType  # type: ignore[import-not-found]
from nautilus_trader.model.enums import (  # type: ignore[import-not-found]
    AccountType,
    OmsType,
    OrderSide,
)
from nautilus_trader.model.identifiers import Venue  # type: ignore[import-not-found]
from nautilus_trader.model.objects import Money  # type: ignore[import-not-found]
from nautilus_trader.persistence.wranglers import (  # type: ignore[import-not-found]
    BarDataWrangler,
)
from nautilus_trader.test_kit.providers import (  # type: ignore[import-not-found]
    TestInstrumentProvider,
)
from nautilus_trader.trading.strategy import Strategy  # type: ignore[import-not-found]


class Crossing(Strategy):  # type: ignore[misc] # the peer is untyped here
    """Enter flat by the crossing's sign; leave at the first price after its time."""

    def __init__(self, instrument: Any, bar_type: Any, given: Any) -> None:  # noqa: ANN401 - the peer's
        super().__init__()
        self.instrument, self.bar_type = instrument, bar_type
        self.cross = given["cross"].tolist()
        self.next_opens = given["next_opened_at_ns"].tolist()
        self.held_ns, self.units = int(given["held_ns"]), Decimal(int(given["units"]))
        self.place, self.leave_ns, self.side = -1, 0, None

    def on_start(self) -> None:
        """Ask for the bars."""
        self.subscribe_bars(self.bar_type)

    def on_bar(self, _bar: Any) -> None:  # noqa: ANN401 - the peer's
        """Decide about one bar."""
        self.place += 1
        now_ns = self.next_opens[self.place]
        if self.side is not None:
            if now_ns >= self.leave_ns:
                back = OrderSide.SELL if self.side == OrderSide.BUY else OrderSide.BUY
                self._send(back)
                self.side = None
            return
        cross = self.cross[self.place]
        if cross > 0.0:
            self.side = OrderSide.BUY
        elif cross < 0.0:
            self.side = OrderSide.SELL
        else:
            return
        self._send(self.side)
        self.leave_ns = now_ns + self.held_ns

    def _send(self, side: Any) -> None:  # noqa: ANN401 - the peer's
        quantity = self.instrument.make_qty(self.units)
        self.submit_order(self.order_factory.market(self.instrument.id, side, quantity))


def _signed(fill: Any) -> int:  # noqa: ANN401 - the peer's
    return int(fill.last_qty) if fill.order_side == OrderSide.BUY else -int(fill.last_qty)


def _when(fill: tuple[int, float, int]) -> int:
    return fill[0]


def main() -> None:
    """Run the strategy, time the run, write its trades."""
    given = np.load(sys.argv[1])
    venue = Venue("SIM")
    instrument = TestInstrumentProvider.default_fx_ccy("EUR/USD", venue)
    config = BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True))
    engine = BacktestEngine(config=config)
    engine.add_venue(
        venue=venue,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=USD,
        starting_balances=[Money(10_000_000, USD)],
    )
    engine.add_instrument(instrument)
    bar_type = BarType.from_str("EUR/USD.SIM-1-MINUTE-LAST-EXTERNAL")
    close = given["next_open"]
    frame = pd.DataFrame(
        {
            "open": given["open"],
            "high": np.maximum(given["high"], close),
            "low": np.minimum(given["low"], close),
            "close": close,
            "volume": np.full(len(close), 1e9),
        },
        index=pd.to_datetime(given["closed_at_ns"], utc=True),
    )
    frame.index.name = "timestamp"
    engine.add_data(BarDataWrangler(bar_type, instrument).process(frame))
    engine.add_strategy(Crossing(instrument, bar_type, given))
    began = time.process_time()
    engine.run()
    seconds = time.process_time() - began
    fills = [
        (int(fill.ts_event), float(fill.last_px), _signed(fill))
        for order in engine.cache.orders()
        for fill in order.events
        if type(fill).__name__ == "OrderFilled"
    ]
    next_opens = dict(
        zip(given["closed_at_ns"].tolist(), given["next_opened_at_ns"].tolist(), strict=True)
    )
    fills = [(next_opens[at_ns], price, units) for at_ns, price, units in sorted(fills, key=_when)]
    with open(sys.argv[2], "w", encoding="utf-8") as file:  # noqa: PTH123 - stands alone
        json.dump({"seconds": seconds, "fills": fills}, file)


if __name__ == "__main__":
    main()
