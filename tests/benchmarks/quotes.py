"""Quotes for the benchmarks, and how fast they become bars one after the other."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd

from online.domain.market import Bar, Timeframe
from online.instruments import find_instrument
from pipelines.quality_gaps import Calendar
from pipelines.quality_ticks import check_ticks
from pipelines.resample import bars_from_ticks
from pipelines.sources.raw import BAR_COLUMNS, MICROSTRUCTURE
from pipelines.sources.ticks import LeanTicks, LeanTicksConfig
from pipelines.tick_bars import TickBarStream

REAL = Path(__file__).resolve().parents[3] / "shared/data/oanda_ticks/eurusd"
QUOTES = 532_903
"""As many as there are in OANDA's first half of May 2014."""

EURUSD = find_instrument("EURUSD")


def fortnight_of_quotes() -> tuple[pd.DataFrame, str]:
    """Return clean quotes and what they are: real where they are at hand, else generated."""
    if not REAL.is_dir():
        return generated_quotes(QUOTES), f"{QUOTES} generated quotes"
    config = LeanTicksConfig(folder=REAL, feed="oanda", clock="UTC")
    days = [check_ticks(raw, EURUSD).ticks for raw in LeanTicks(config).read()]
    quotes = pd.concat(days, ignore_index=True)
    return quotes, f"{len(quotes)} real quotes of EURUSD, May 2014 (OANDA)"


def generated_quotes(count: int, seed: int = 7) -> pd.DataFrame:
    """Return seeded quotes, two seconds apart on average."""
    random = np.random.default_rng(seed)
    began_ns = pd.Timestamp("2014-05-05").value
    at_ns = began_ns + np.cumsum(random.exponential(2e9, count)).astype(np.int64)
    bid = np.round(1.38 * np.exp(np.cumsum(random.standard_t(4, count) * 6e-6)), 5)
    return pd.DataFrame({"at_ns": at_ns, "bid": bid, "ask": np.round(bid + 1e-4, 5)})


def measure_quotes(quotes: pd.DataFrame) -> dict[str, float]:
    """Return how fast quotes become minute bars, microstructure included, on one core.

    Raises
    ------
    RuntimeError
        If a bar is not that of the batch, bit for bit.
    """
    rows = list(zip(*(quotes[name].tolist() for name in ("at_ns", "bid", "ask")), strict=True))
    stream = TickBarStream(Timeframe.M1, Calendar.CURRENCIES, point=EURUSD.point)
    update, made = stream.update, list[Bar]()
    began, worked = time.perf_counter(), time.thread_time()
    for at_ns, bid, ask in rows:
        bar = update(at_ns, bid, ask)
        if bar is not None:
            made.append(bar)
    seconds, wall_seconds = time.thread_time() - worked, time.perf_counter() - began
    worked = time.thread_time()
    batch = bars_from_ticks(quotes, Timeframe.M1, Calendar.CURRENCIES, point=EURUSD.point)
    batch_seconds = time.thread_time() - worked
    for name in (*BAR_COLUMNS, *MICROSTRUCTURE):
        theirs = batch[name].to_numpy()
        told = [bar.microstructure if hasattr(bar.microstructure, name) else bar for bar in made]
        ours = np.array([getattr(each, name) for each in told], dtype=theirs.dtype)
        if not np.array_equal(ours.view(np.int64), theirs.view(np.int64)):
            raise RuntimeError(f"the stream's {name} is not the batch's")
    return {
        "ticks": float(len(rows)),
        "tick_bars": float(len(made)),
        "ticks_per_second": len(rows) / seconds,
        "wall_ticks_per_second": len(rows) / wall_seconds,
        "batch_ticks_per_second": len(rows) / batch_seconds,
    }
