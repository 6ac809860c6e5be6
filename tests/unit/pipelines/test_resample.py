"""Longer bars from shorter ones and bars from ticks: right figures, on time, never early."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online.domain.errors import InvalidInput
from online.domain.market import PriceSide, Timeframe
from online.instruments import find_instrument
from pipelines.quality import CLEAN_BARS
from pipelines.quality_gaps import Calendar
from pipelines.quality_ticks import check_ticks
from pipelines.resample import bar_close, bars_from_ticks, resample_bars
from pipelines.sources.raw import BAR_COLUMNS
from pipelines.sources.ticks import LeanTicks, LeanTicksConfig
from tests.real_years import checked_year

MINUTE = 60_000_000_000
START = int(pd.Timestamp("2017-06-05 10:00").value)
EURUSD = find_instrument("EURUSD")
CURRENCIES = Calendar.CURRENCIES


def minutes(offsets: list[int], seed: int = 3) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    close = 1.1 + generator.integers(-50, 50, len(offsets)) / 1e5
    open_ = 1.1 + generator.integers(-50, 50, len(offsets)) / 1e5
    frame = pd.DataFrame({"closed_at_ns": START + MINUTE * np.array(offsets, dtype=np.int64)})
    frame["open"], frame["close"] = open_, close
    frame["high"] = np.maximum(open_, close) + 0.001
    frame["low"] = np.minimum(open_, close) - 0.001
    frame["volume"] = generator.integers(1, 9, len(offsets)).astype(np.float64)
    frame["spread_points"] = generator.integers(1, 9, len(offsets)).astype(np.float64)
    return frame[list(BAR_COLUMNS)]


def closes(stamps: pd.Series[int]) -> list[str]:
    return list(pd.DatetimeIndex(stamps.to_numpy().view("M8[ns]")).strftime("%m-%d %H:%M"))


@settings(max_examples=30, deadline=None)
@given(
    st.sets(st.integers(1, 700), min_size=2, max_size=200),
    st.sampled_from([Timeframe.M5, Timeframe.M15, Timeframe.H1, Timeframe.H4]),
    st.floats(0.0, 1.0),
)
def test_no_bar_is_shown_before_its_close_and_none_changes_after(
    offsets: set[int], target: Timeframe, part: float
) -> None:
    bars = minutes(sorted(offsets))
    whole = resample_bars(bars, Timeframe.M1, target, CURRENCIES)
    seen = bars.iloc[: 1 + int(part * (len(bars) - 1))]
    early = resample_bars(seen, Timeframe.M1, target, CURRENCIES)
    assert (early["closed_at_ns"] <= seen["closed_at_ns"].iloc[-1]).all()
    pd.testing.assert_frame_equal(early, whole.iloc[: len(early)])
    due = whole["closed_at_ns"] <= seen["closed_at_ns"].iloc[-1]
    assert due.sum() == len(early), "a bar whose close is past must be shown"


def test_an_hour_is_the_first_open_the_extremes_and_the_last_close_of_its_minutes() -> None:
    bars = minutes([offset for offset in range(1, 181) if offset not in {7, 60, 61, 90}])
    made = resample_bars(bars, Timeframe.M1, Timeframe.H1, CURRENCIES)
    hour = bars[bars["closed_at_ns"].between(START + 61 * MINUTE, START + 120 * MINUTE)]
    row = made.iloc[1]
    assert closes(made["closed_at_ns"]) == ["06-05 11:00", "06-05 12:00", "06-05 13:00"]
    assert (row["open"], row["close"]) == (hour["open"].iloc[0], hour["close"].iloc[-1])
    assert (row["high"], row["low"]) == (hour["high"].max(), hour["low"].min())
    assert row["volume"] == hour["volume"].sum()
    assert row["spread_points"] == pytest.approx(hour["spread_points"].mean())
    CLEAN_BARS.validate(made)


def test_a_bar_whose_beginning_was_not_seen_is_left_out_unless_the_market_was_closed() -> None:
    late = resample_bars(minutes(list(range(20, 130))), Timeframe.M1, Timeframe.H1, CURRENCIES)
    assert closes(late["closed_at_ns"]) == ["06-05 12:00"]
    sunday = minutes(list(range(1, 600)))
    sunday["closed_at_ns"] += int(pd.Timestamp("2017-06-04 21:00").value) - START
    weekly = resample_bars(sunday, Timeframe.M1, Timeframe.H4, CURRENCIES)
    assert closes(weekly["closed_at_ns"]) == ["06-05 01:00", "06-05 05:00"]


def test_an_unknown_volume_stays_unknown() -> None:
    bars = minutes(list(range(1, 121)))
    bars.loc[5, "volume"] = np.nan
    made = resample_bars(bars, Timeframe.M1, Timeframe.H1, CURRENCIES)
    assert np.isnan(made["volume"].iloc[0])
    assert made["volume"].iloc[1] > 0


def test_days_end_at_seventeen_in_new_york_in_summer_and_winter_and_at_midnight_for_bitcoin() -> (
    None
):
    noons = np.array(["2017-01-11T12", "2017-06-07T12"], dtype="M8[ns]").astype(np.int64)
    expected = ["01-11 22:00", "06-07 21:00"]
    assert closes(pd.Series(bar_close(noons, Timeframe.D1, CURRENCIES))) == expected
    midnights = closes(pd.Series(bar_close(noons, Timeframe.D1, Calendar.ALWAYS)))
    assert midnights == ["01-12 00:00", "06-08 00:00"]
    four = closes(pd.Series(bar_close(noons, Timeframe.H4, CURRENCIES)))
    assert four == ["01-11 14:00", "06-07 13:00"]


def test_shorter_bars_cannot_be_made_of_longer_ones() -> None:
    with pytest.raises(InvalidInput) as refused:
        resample_bars(minutes([1]), Timeframe.H1, Timeframe.M15, CURRENCIES)
    assert refused.value.code == "WRONG_TIMEFRAME"


def test_a_real_year_resampled_equals_pandas_on_every_whole_hour(shared_data: Path) -> None:
    path = shared_data / "histdata_m1" / "EURUSD_2017.zip"
    bars = checked_year(path).bars
    made = resample_bars(bars, Timeframe.M1, Timeframe.H1, CURRENCIES)
    index = pd.DatetimeIndex(bars["closed_at_ns"].to_numpy().view("M8[ns]"))
    grouped = bars.set_index(index).resample("1h", closed="right", label="right")
    other = grouped.agg({"open": "first", "high": "max", "low": "min", "close": "last"}).dropna()
    stamps = pd.DatetimeIndex(made["closed_at_ns"].to_numpy().view("M8[ns]"))
    mine = made.set_index(stamps)[list(other.columns)]
    assert len(mine) > 6000
    pd.testing.assert_frame_equal(mine, other.loc[mine.index], check_freq=False)


def quotes(*rows: tuple[float, float, float]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["at", "bid", "ask"])
    frame.insert(0, "at_ns", START + (frame.pop("at") * 1e9).astype(np.int64))
    return frame


def test_a_quote_at_the_close_belongs_to_the_next_bar_and_tells_that_the_last_is_over() -> None:
    ticks = quotes((0.0, 1.1, 1.1002), (30.0, 1.2, 1.2004), (59.999, 1.15, 1.1501))
    none = bars_from_ticks(ticks, Timeframe.M1, CURRENCIES, point=1e-5)
    assert none.empty
    after = pd.concat([ticks, quotes((60.0, 1.3, 1.3001))], ignore_index=True)
    (row,) = bars_from_ticks(after, Timeframe.M1, CURRENCIES, point=1e-5).to_dict("records")
    assert row["closed_at_ns"] == START + MINUTE
    assert (row["open"], row["high"], row["low"], row["close"]) == (1.1, 1.2, 1.1, 1.15)
    assert row["volume"] == 3
    assert row["spread_points"] == pytest.approx((20 + 40 + 10) / 3)
    assert row["tick_imbalance"] == 0.0
    moves = np.diff(np.log([1.1001, 1.2002, 1.15005]))
    assert row["realised_variance"] == pytest.approx((moves**2).sum())
    assert row["bipower_variation"] == pytest.approx(np.pi / 2 * abs(moves[0] * moves[1]))
    (asked,) = bars_from_ticks(
        after, Timeframe.M1, CURRENCIES, point=1e-5, side=PriceSide.ASK
    ).to_dict("records")
    assert (asked["open"], asked["high"]) == (1.1002, 1.2004)


def test_no_tick_makes_no_bar() -> None:
    made = bars_from_ticks(quotes(), Timeframe.M1, CURRENCIES, point=1e-5)
    assert made.empty
    assert made["closed_at_ns"].dtype == np.int64


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.0, 900.0), min_size=2, max_size=120), st.floats(0.0, 1.0))
def test_bars_from_ticks_do_not_depend_on_later_ticks(at: list[float], part: float) -> None:
    generator = np.random.default_rng(5)
    ticks = quotes(
        *((t, bid, bid + 0.0001) for t, bid in zip(sorted(at), generator.uniform(1, 2, len(at))))  # noqa: B905  # equal by construction
    )
    whole = bars_from_ticks(ticks, Timeframe.M1, CURRENCIES, point=1e-5)
    seen = ticks.iloc[: 1 + int(part * (len(ticks) - 1))]
    early = bars_from_ticks(seen, Timeframe.M1, CURRENCIES, point=1e-5)
    pd.testing.assert_frame_equal(early, whole.iloc[: len(early)])


def test_two_independent_sources_agree_on_the_same_minutes_of_may_2014(shared_data: Path) -> None:
    config = LeanTicksConfig(
        folder=shared_data / "oanda_ticks" / "eurusd", feed="oanda", clock="UTC"
    )
    days = [check_ticks(raw, EURUSD).ticks for raw in LeanTicks(config).read()]
    ticks = pd.concat(days, ignore_index=True)
    started = time.process_time()
    made = bars_from_ticks(ticks, Timeframe.M1, CURRENCIES, point=EURUSD.point)
    assert len(ticks) / (time.process_time() - started) > 200_000
    path = shared_data / "histdata_m1" / "EURUSD_2014.zip"
    other = checked_year(path).bars
    both = made.merge(other, on="closed_at_ns", suffixes=("", "_other"))
    assert len(both) > 0.95 * len(made)
    apart_points = (both["close"] - both["close_other"]).abs() / EURUSD.point
    assert apart_points.median() < 10
    moves = np.corrcoef(both["close"].diff()[1:], both["close_other"].diff()[1:])[0, 1]
    shifted = np.corrcoef(both["close"].diff()[1:-1], both["close_other"].diff()[2:])[0, 1]
    assert moves > 0.8
    assert abs(shifted) < 0.2
