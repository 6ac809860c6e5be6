"""Laws of bars made of quotes: live equals batch bit for bit, and each holds its quotes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online.domain.errors import InvalidInput, InvalidMarketData
from online.domain.market import Bar, PriceSide, Timeframe
from online.instruments import find_instrument
from pipelines.quality_gaps import Calendar
from pipelines.quality_ticks import check_ticks
from pipelines.resample import bars_from_ticks
from pipelines.sources.raw import BAR_COLUMNS, MICROSTRUCTURE
from pipelines.sources.text import read_text
from pipelines.sources.ticks import LeanTicksConfig, read_day
from pipelines.tick_bars import TickBarStream, bars_by_quotes

START = int(pd.Timestamp("2017-06-05 10:00").value)
MINUTE = 60_000_000_000
EURUSD = find_instrument("EURUSD")
CURRENCIES = Calendar.CURRENCIES


def quotes(steps: list[int], seed: int) -> pd.DataFrame:
    """Return quotes `steps` tenths of a second apart; several may share a time."""
    generator = np.random.default_rng(seed)
    count = len(steps)
    bid = 1.1 * np.exp(np.cumsum(generator.choice([-1e-5, 0.0, 1e-5, 3e-4], count)))
    frame = pd.DataFrame({"at_ns": START + 100_000_000 * np.cumsum(steps), "bid": bid})
    frame["ask"] = frame["bid"] + generator.choice([1e-5, 2e-5, 7e-5], count)
    return frame


def rows(ticks: pd.DataFrame) -> Iterable[tuple[int, float, float]]:
    return zip(*(ticks[name].tolist() for name in ("at_ns", "bid", "ask")), strict=True)


def assert_same_bits(live: list[Bar], batch: pd.DataFrame) -> None:
    assert list(batch.columns) == [*BAR_COLUMNS, *MICROSTRUCTURE]
    assert len(live) == len(batch)
    for name in batch.columns:
        theirs = batch[name].to_numpy()
        told = [bar.microstructure if hasattr(bar.microstructure, name) else bar for bar in live]
        ours = np.array([getattr(each, name) for each in told], dtype=theirs.dtype)
        np.testing.assert_array_equal(ours.view(np.int64), theirs.view(np.int64), err_msg=str(name))


def stream_clock(ticks: pd.DataFrame, timeframe: Timeframe, side: PriceSide) -> list[Bar]:
    stream = TickBarStream(timeframe, CURRENCIES, point=1e-5, side=side)
    found = [stream.update(*row) for row in rows(ticks)]
    return [bar for bar in found if bar is not None]


STEPS = st.lists(st.integers(0, 900), min_size=1, max_size=400)


@settings(max_examples=40, deadline=None)
@given(STEPS, st.integers(0, 99), st.sampled_from(Timeframe), st.sampled_from(PriceSide))
def test_bars_on_the_clock_are_the_same_bits_live_and_in_batch(
    steps: list[int], seed: int, timeframe: Timeframe, side: PriceSide
) -> None:
    ticks = quotes(steps, seed)
    batch = bars_from_ticks(ticks, timeframe, CURRENCIES, point=1e-5, side=side)
    assert_same_bits(stream_clock(ticks, timeframe, side), batch)


@settings(max_examples=40, deadline=None)
@given(STEPS, st.integers(0, 99), st.integers(1, 60))
def test_bars_by_quotes_hold_that_many_and_part_no_moment(
    steps: list[int], seed: int, per_bar: int
) -> None:
    ticks = quotes(steps, seed)
    made = bars_by_quotes(ticks, per_bar, point=1e-5)
    stamps = ticks["at_ns"].to_numpy()
    ends = np.searchsorted(stamps, made["closed_at_ns"].to_numpy())
    counts = np.diff(np.append(0, ends))
    assert counts.tolist() == made["volume"].tolist()
    at_end = [(stamps == stamps[end - 1]).sum() for end in ends]
    assert all(per_bar <= n < per_bar + same for n, same in zip(counts, at_end, strict=True))
    whole = int(ends[-1]) if len(ends) else 0
    assert made["open"].tolist() == ticks["bid"].to_numpy()[ends - counts].tolist()
    assert made["close"].tolist() == ticks["bid"].to_numpy()[ends - 1].tolist()
    left = len(stamps) - whole
    assert left < per_bar + (stamps == stamps[-1]).sum(), "a bar that is over must be shown"
    assert (np.diff(made["closed_at_ns"]) > 0).all()


@pytest.mark.parametrize("timeframe", [Timeframe.M1, Timeframe.M15])
def test_a_real_day_of_quotes_is_the_same_bits_live_and_in_batch(
    shared_data: Path, timeframe: Timeframe
) -> None:
    folder = shared_data / "oanda_ticks" / "eurusd"
    config = LeanTicksConfig(folder=folder, feed="oanda", clock="UTC")
    text = read_text(folder / "20140502_quote.zip")
    ticks = check_ticks(read_day(text, config), EURUSD).ticks
    batch = bars_from_ticks(ticks, timeframe, CURRENCIES, point=1e-5)
    assert len(batch) > 80
    assert_same_bits(stream_clock(ticks, timeframe, PriceSide.BID), batch)


def test_a_bar_closes_by_the_clock_though_no_quote_comes_and_late_quotes_are_refused() -> None:
    stream = TickBarStream(Timeframe.M1, CURRENCIES, point=1e-5)
    assert stream.close_until(START) is None
    assert stream.update(START, 1.1, 1.1001) is None
    assert stream.close_until(START + MINUTE - 1) is None
    bar = stream.close_until(START + MINUTE)
    assert bar is not None
    assert (bar.closed_at_ns, bar.volume, bar.open) == (START + MINUTE, 1.0, 1.1)
    assert stream.close_until(START + 2 * MINUTE) is None, "a minute without quotes makes no bar"
    with pytest.raises(InvalidMarketData) as refused:
        stream.update(START + MINUTE - 1, 1.1, 1.1001)
    assert refused.value.code == "TICK_NOT_NEWER"
    assert stream.update(START + MINUTE, 1.2, 1.2001) is None
    after = stream.update(START + 3 * MINUTE, 1.3, 1.3001)
    assert after is not None
    assert after.closed_at_ns == START + 2 * MINUTE


def test_bars_of_no_quotes_are_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        bars_by_quotes(quotes([1, 2, 3], 1), 0, point=1e-5)
    assert refused.value.code == "BAD_AMOUNT"
