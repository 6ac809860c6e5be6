"""The crossing strategy in backtesting.py; run in an environment that holds it.

``python backtesting_py.py MARKET.npz TRADES.json``: see `tests.benchmarks.backtest`.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy  # type: ignore[import-not-found] # the peer's own


def make_strategy(given: Any) -> Any:  # noqa: ANN401 - arrays by name, a class of the peer
    """Return the strategy over the columns it is given."""
    next_opens = given["next_opened_at_ns"].tolist()
    held_ns, units = int(given["held_ns"]), int(given["units"])

    class Crossing(Strategy):  # type: ignore[misc] # the peer is untyped here
        """Enter flat by the crossing's sign; leave at the first price after its time."""

        def init(self) -> None:
            self.cross = self.I(lambda: given["cross"], plot=False)
            self.leave_ns = 0

        def next(self) -> None:
            now_ns = next_opens[len(self.data) - 1]
            if self.position:
                if now_ns >= self.leave_ns:
                    self.position.close()
                return
            cross = self.cross[-1]
            if cross > 0.0:
                self.buy(size=units)
            elif cross < 0.0:
                self.sell(size=units)
            else:
                return
            self.leave_ns = now_ns + held_ns

    return Crossing


def main() -> None:
    """Run the strategy, time the run, write its trades."""
    given = np.load(sys.argv[1])
    frame = pd.DataFrame(
        {name: given[name.lower()] for name in ("Open", "High", "Low", "Close")},
        index=pd.to_datetime(given["opened_at_ns"]),
    )
    frame["Volume"] = 1.0
    test = Backtest(frame, make_strategy(given), cash=1e7, exclusive_orders=False)
    began = time.process_time()
    stats = test.run()
    seconds = time.process_time() - began
    opened_at_ns = given["opened_at_ns"].tolist()
    rows = stats["_trades"]
    fills = []
    for row in rows.itertuples():
        fills.append((opened_at_ns[int(row.EntryBar)], float(row.EntryPrice), int(row.Size)))
        fills.append((opened_at_ns[int(row.ExitBar)], float(row.ExitPrice), -int(row.Size)))
    with open(sys.argv[2], "w", encoding="utf-8") as file:  # noqa: PTH123 - stands alone
        json.dump({"seconds": seconds, "fills": fills}, file)


if __name__ == "__main__":
    main()
