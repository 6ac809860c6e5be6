"""The simulated terminal: ticks a second with resting orders, and its part of a backtest's step."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from online.adapters.simulated_broker import SimulatedBroker
from online.domain.market import Bar, Instrument, PriceSide, Quote, Timeframe
from online.simulator import constants as mt5
from online.simulator.bars import two_sided
from online.simulator.rules import AccountRules
from online.simulator.terminal import SimulatedTerminal
from online.simulator.trade_tuples import TradeRequest
from online.trade import run_to_completion
from tests.benchmarks.report import Target, render

EURUSD = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0)
N_TICKS, N_SCALAR, N_BARS, N_POSITIONS = 2_000_000, 200_000, 20_000, 10_000
N_RESTING = 100
_REPEATS = 5  # the fastest counts: what else runs on the machine only adds
TARGETS = (
    Target("simulator_ticks_per_second", ">=", 500_000),
    Target("ticks_one_by_one_per_second", ">=", 500_000),
    Target("step_without_orders_microseconds", "<=", 5.0),
)
Ticks = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


def random_walk(n_ticks: int) -> Ticks:
    """Return stamps, bids and asks of a seeded walk of one to three points a tick."""
    random = np.random.default_rng(7)
    bid = 110_000 + np.cumsum(random.integers(-3, 4, n_ticks))
    ask = bid + random.integers(1, 5, n_ticks)
    return np.arange(n_ticks, dtype=np.int64) * 10**8, bid / 1e5, ask / 1e5


def with_resting_orders() -> SimulatedTerminal:
    """Return a terminal on which limit and stop orders with exits rest around the price."""
    rules = AccountRules(hedging=True, limit_orders=0, leverage=500.0)
    terminal = SimulatedTerminal([EURUSD], balance=1e6, rules=rules)
    terminal.on_quote(Quote("EURUSD", 1.1, 1.10001, 0))
    for number in range(N_RESTING // 2):
        away = 50 * (number + 1)
        for type_, points in (
            (mt5.ORDER_TYPE_BUY_LIMIT, 110_000 - away),
            (mt5.ORDER_TYPE_BUY_STOP, 110_010 + away),
        ):
            request = TradeRequest(
                mt5.TRADE_ACTION_PENDING,
                symbol="EURUSD",
                volume=0.01,
                price=points / 1e5,
                sl=(points - 300) / 1e5,
                tp=(points + 300) / 1e5,
                type=type_,
                type_filling=mt5.ORDER_FILLING_RETURN,
            )
            assert terminal.execute(request).retcode == mt5.TRADE_RETCODE_DONE
    return terminal


def feed(terminal: SimulatedTerminal, quotes: Iterable[Quote]) -> None:
    """Give a terminal quotes one by one."""
    for quote in quotes:
        terminal.on_quote(quote)


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure() -> dict[str, float]:
    """Return every figure; both ways of feeding ticks must end alike."""
    at_ns, bid, ask = random_walk(N_TICKS)
    bulk = with_resting_orders()
    in_arrays = seconds(lambda: bulk.on_ticks("EURUSD", at_ns, bid, ask))

    scalar, again, some = (with_resting_orders() for _ in range(3))
    rows = zip(bid.tolist(), ask.tolist(), at_ns.tolist(), strict=True)
    quotes = [Quote("EURUSD", *row) for row, _ in zip(rows, range(N_SCALAR), strict=False)]
    one_by_one = min(seconds(partial(feed, each, quotes)) for each in (scalar, again))
    some.on_ticks("EURUSD", at_ns[:N_SCALAR], bid[:N_SCALAR], ask[:N_SCALAR])
    assert some.server.history.deals == scalar.server.history.deals

    bars = [
        two_sided(
            Bar((n + 1) * 3_600 * 10**9, 1.1, 1.101, 1.099, 1.1),
            Timeframe.H1,
            PriceSide.BID,
            10.0,
            EURUSD.scale,
        )
        for n in range(N_BARS)
    ]

    def step_through() -> None:
        terminal = SimulatedTerminal([EURUSD])
        broker = SimulatedBroker(terminal)
        for bar in bars:
            terminal.begin_bar("EURUSD", bar)
            run_to_completion(broker.observe("EURUSD", 0))
            terminal.finish_bar("EURUSD", bar)

    rules = AccountRules(hedging=True, leverage=500.0)
    crowd = SimulatedTerminal([EURUSD], balance=1e7, rules=rules)
    crowd.on_quote(Quote("EURUSD", 1.1, 1.1001, 0))
    buy = TradeRequest(
        mt5.TRADE_ACTION_DEAL,
        symbol="EURUSD",
        volume=0.01,
        type_filling=mt5.ORDER_FILLING_IOC,
    )
    opening = seconds(lambda: [crowd.execute(buy) for _ in range(N_POSITIONS)])
    return {
        "simulator_ticks_per_second": N_TICKS / in_arrays,
        "ticks_one_by_one_per_second": N_SCALAR / one_by_one,
        "resting_orders": float(N_RESTING),
        "deals": float(len(bulk.server.history.deals)),
        "step_without_orders_microseconds": min(seconds(step_through) for _ in range(_REPEATS))
        / N_BARS
        * 1e6,
        "orders_per_second": N_POSITIONS / opening,
    }


def peer() -> str:
    """Say why the peer is not measured."""
    if importlib.util.find_spec("nautilus_trader") is None:
        return "nautilus_trader is not installed: its exchange was not measured"
    return "nautilus_trader is installed but not driven by this benchmark"


if __name__ == "__main__":
    print(render("simulator", measure(), TARGETS, peer(), ("numpy", "msgspec")))
    sys.exit(0)
