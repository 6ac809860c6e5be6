"""Stream: quotes become bars, and a bar closes through the whole catalogue, for fifty symbols.

Every symbol has a stream of its own and their bars close in turn, minute by minute, as they do
live: no symbol finds the processor's caches as it left them. The figures count our own processor
time, so that other programs on the machine do not show; what the wall clock said stands beside.
"""

from __future__ import annotations

import time

import numpy as np

from feature_repo.anchors import periods
from feature_repo.bars import BarArrays
from feature_repo.catalogue import CATALOGUE, served
from feature_repo.engine import FeatureStream, Vector, compute_batch
from feature_repo.panel import Panel
from feature_repo.vector import VectorStream, compute_vectors
from online.domain.market import Timeframe
from tests.benchmarks.minutes import generated_minutes
from tests.benchmarks.quotes import fortnight_of_quotes, measure_quotes
from tests.benchmarks.report import Target, percentile_milliseconds, render

SYMBOLS, HISTORY, BARS = 50, 2_000, 400
LONG_HISTORY = 6_000
"""Minutes, so that longer bars have warmed up too."""
TARGETS = (
    Target("catalogue_p99_ms", "<=", 1.0),
    Target("whole_vector_p99_ms", "<=", 1.0),
    Target("ticks_per_second", ">=", 200_000.0),
)
PEER = f"no peer, the batch's bits are required; {SYMBOLS} symbols of generated minutes"


def main() -> None:
    """Measure and print one JSON object."""
    quotes, origin = fortnight_of_quotes()
    figures = {**measure(), **measure_quotes(quotes)}
    print(render("stream", figures, TARGETS, f"{PEER}; {origin}", ("TA-Lib", "numpy", "pandas")))


def measure() -> dict[str, float]:
    """Return the figures."""
    markets = [generated_minutes(HISTORY + BARS, seed) for seed in range(SYMBOLS)]
    began = time.perf_counter()
    streams = [FeatureStream(market.part(0, HISTORY), CATALOGUE) for market in markets]
    opened = time.perf_counter() - began
    updates, minutes, walls = [], [], []
    last = [np.empty(0, np.float32)] * SYMBOLS
    for index in range(HISTORY, HISTORY + BARS):
        closed = [market.bar(index) for market in markets]
        minute = 0.0
        for place, (stream, bar) in enumerate(zip(streams, closed, strict=True)):
            began, worked = time.perf_counter(), time.thread_time()
            last[place] = stream.update(bar)
            updates.append(time.thread_time() - worked)
            walls.append(time.perf_counter() - began)
            minute += updates[-1]
        minutes.append(minute)
    require_batch(markets[0], last[0])
    return {
        "features": float(len(CATALOGUE)),
        "symbols": float(SYMBOLS),
        "bars": float(len(updates)),
        "catalogue_p50_ms": percentile_milliseconds(updates, 50),
        "catalogue_p99_ms": percentile_milliseconds(updates, 99),
        "wall_p50_ms": percentile_milliseconds(walls, 50),
        "wall_p99_ms": percentile_milliseconds(walls, 99),
        "all_symbols_p50_ms": percentile_milliseconds(minutes, 50),
        "all_symbols_p99_ms": percentile_milliseconds(minutes, 99),
        "open_ms": opened / SYMBOLS * 1e3,
        "reopen_at_quarter_ms": reopening_milliseconds(),
        **measure_whole_vector(),
    }


def measure_whole_vector() -> dict[str, float]:
    """Return what a bar costs through every scope: own bars, longer ones, and two peers."""
    own, *others = (generated_minutes(LONG_HISTORY + BARS, seed) for seed in range(3))
    peers = dict(zip(("GBPUSD", "USDJPY"), others, strict=True))
    panel = Panel("EURUSD", Timeframe.M1, own, peers)
    features = served(panel)
    stream, seconds = VectorStream(panel.part(0, LONG_HISTORY), features), []
    live = np.empty(0, np.float32)
    for index in range(LONG_HISTORY, LONG_HISTORY + BARS):
        worked = time.thread_time()
        live = stream.update(own.bar(index))
        for symbol, bars in peers.items():
            stream.take(symbol, bars.bar(index))
        seconds.append(time.thread_time() - worked)
    batch = compute_vectors(panel, features, LONG_HISTORY + BARS - 1)
    expected = np.array([batch[name][-1] for name in stream.names], dtype=np.float32)
    if not np.array_equal(live, expected, equal_nan=True):
        raise RuntimeError("the whole vector's values are not the batch's")
    return {
        "whole_vector_features": float(len(features)),
        "whole_vector_p50_ms": percentile_milliseconds(seconds, 50),
        "whole_vector_p99_ms": percentile_milliseconds(seconds, 99),
    }


def reopening_milliseconds() -> float:
    """Return how long the first bar of a quarter takes, which opens everything anew."""
    quarter = generated_minutes(100_000)
    first = list(periods(quarter.closed_at_ns))[1].start
    stream = FeatureStream(quarter.part(0, first), CATALOGUE)
    began = time.perf_counter()
    stream.update(quarter.bar(first))
    return (time.perf_counter() - began) * 1e3


def require_batch(market: BarArrays, live: Vector) -> None:
    """Refuse to have measured something else than the batch's values."""
    batch = compute_batch(market, CATALOGUE)
    expected = np.array([batch[feature.name][-1] for feature in CATALOGUE], dtype=np.float32)
    if not np.array_equal(live.view(np.uint32), expected.view(np.uint32)):
        raise RuntimeError("the stream's values are not the batch's")


if __name__ == "__main__":
    main()
