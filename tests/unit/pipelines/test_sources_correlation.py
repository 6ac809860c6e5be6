"""A source's clock is told by its returns, beside the weeks, and where all evidence is shown."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from online.domain.errors import InvalidInput, InvalidMarketData
from online.domain.market import Timeframe
from pipelines.sources.calibration import CALIBRATE
from pipelines.sources.clock import HOUR_NS, NEW_YORK, find_clock, from_utc
from pipelines.sources.clock_choice import StampedCloses, choose_clock
from pipelines.sources.correlation import KnownSeries, correlate, decided, hourly_returns
from pipelines.sources.delimited import CsvConfig
from pipelines.sources.demo import DemoConfig
from pipelines.sources.raw import RawBars
from pipelines.sources.source import open_source
from pipelines.sources.synthetic import SyntheticConfig
from tests.real_years import checked_year

ELEVEN_DAYS = "2017-03-07 2017-03-18"
"""Two weekends at most: too few to tell a clock by. New York's summer time begins amidst them."""


@cache
def demonstration() -> KnownSeries:
    """Return the hourly EURUSD of 2017 from gym-anytrading, whose stamps are UTC."""
    rows = open_source(DemoConfig()).read().rows
    return KnownSeries(
        "EURUSD H1", rows["closed_at_ns"].to_numpy(), rows["close"].to_numpy(), Timeframe.H1
    )


@cache
def minutes_on_utc(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return opens in UTC and closing prices of the last minute of each quarter of an hour."""
    rows = checked_year(path).bars
    opens = rows["closed_at_ns"].to_numpy() - Timeframe.M1.duration_ns
    ends_quarter = (opens // Timeframe.M1.duration_ns) % 15 == 14
    return opens[ends_quarter], rows["close"].to_numpy()[ends_quarter]


def stamped(path: Path, clock: str, days: str = "") -> StampedCloses:
    """Return the bars of a year, or from one day to another, by a clock."""
    opens, close = minutes_on_utc(path)
    kept = np.ones(len(opens), dtype=np.bool_)
    if days:
        first, last = (pd.Timestamp(day).value for day in days.split())
        kept = (opens >= first) & (opens < last)
    wall = from_utc(opens[kept], find_clock(clock))
    return StampedCloses(wall, np.ones(len(wall)), close[kept], Timeframe.M1)


def read_histdata(path: Path, clock: str | None, known: KnownSeries | None) -> RawBars:
    return open_source(CsvConfig(path=path, preset="histdata", clock=clock)).read(known)


def test_histdata_called_est_by_its_maker_is_on_new_yorks_clock(shared_data: Path) -> None:
    path = shared_data / "histdata_m1" / "EURUSD_2017.zip"
    known = demonstration()
    with pytest.raises(InvalidMarketData, match="not of clock UTC-05:00") as refused:
        read_histdata(path, "UTC-05:00", known)
    assert refused.value.code == "CLOCK_CONTRADICTED"
    assert NEW_YORK in refused.value.remedy
    proved = read_histdata(path, None, known)
    assert proved.clock == NEW_YORK
    assert f"{NEW_YORK}: hourly returns correlate 0.998" in proved.clock_evidence[0]


def test_the_clock_it_is_told_correlates_and_the_makers_does_not(shared_data: Path) -> None:
    bars = stamped(shared_data / "histdata_m1" / "EURUSD_2017.zip", NEW_YORK)
    summer = pd.Timestamp("2017-04-01").value
    in_summer = (bars.wall_open_ns > summer) & (bars.wall_open_ns < summer + 4000 * HOUR_NS)
    closes = bars.wall_open_ns[in_summer] + Timeframe.M1.duration_ns
    found = correlate(
        closes, bars.close[in_summer], demonstration(), ("UTC-05:00", "UTC", NEW_YORK)
    )
    assert found[0].clock == NEW_YORK
    assert found[0].correlation > 0.99
    assert all(abs(other.correlation) < 0.05 for other in found[1:])
    assert decided(found)


@pytest.mark.parametrize("clock", ["broker-eu", "broker-us", "Asia/Tokyo", "UTC+05:30"])
def test_any_clock_is_told_by_returns_where_the_weeks_are_too_few(
    shared_data: Path, clock: str
) -> None:
    bars = stamped(shared_data / "histdata_m1" / "EURUSD_2017.zip", clock, ELEVEN_DAYS)
    asked = clock if clock == "UTC+05:30" else CALIBRATE
    name, words = choose_clock(asked, bars, demonstration())
    assert name == clock
    assert f"{clock}: hourly returns correlate 0.99" in words[0]


def test_a_kindred_symbol_tells_the_clock_too(shared_data: Path) -> None:
    euro = minutes_on_utc(shared_data / "histdata_m1" / "EURUSD_2018.zip")
    stamps = euro[0] + Timeframe.M1.duration_ns
    known = KnownSeries("EURUSD M1", stamps, euro[1], Timeframe.M1)
    pound = stamped(shared_data / "histdata_m1" / "GBPUSD_2018.zip", "broker-eu")
    name, words = choose_clock(CALIBRATE, pound, known)
    assert name == "broker-eu"
    assert any("correlate 0.6" in one for one in words)


def test_returns_that_have_nothing_in_common_tell_no_clock(shared_data: Path) -> None:
    noise = open_source(
        SyntheticConfig.model_validate(
            {"seed": 3, "bars": 6000, "timeframe": "H1", "start": "2017-01-02T00:00:00Z"}
        )
    ).read()
    known = KnownSeries(
        "noise",
        noise.rows["closed_at_ns"].to_numpy(),
        noise.rows["close"].to_numpy(),
        Timeframe.H1,
    )
    bars = stamped(shared_data / "histdata_m1" / "EURUSD_2017.zip", NEW_YORK, ELEVEN_DAYS)
    closes = bars.wall_open_ns + Timeframe.M1.duration_ns
    assert not decided(correlate(closes, bars.close, known, ("UTC", NEW_YORK)))
    name, _ = choose_clock("UTC-05:00", bars, known)
    assert name == "UTC-05:00", "what tells nothing contradicts nothing"
    with pytest.raises(InvalidMarketData) as refused:
        choose_clock(CALIBRATE, bars, known)
    assert refused.value.code == "AMBIGUOUS_CLOCK"


def test_weeks_and_returns_that_tell_different_clocks_are_refused(shared_data: Path) -> None:
    path = shared_data / "histdata_m1" / "EURUSD_2017.zip"
    known = demonstration()
    late = KnownSeries("late", known.closed_at_ns + 2 * HOUR_NS, known.close, known.timeframe)
    with pytest.raises(InvalidMarketData, match=r"its weeks say UTC.* its returns say") as refused:
        choose_clock(CALIBRATE, stamped(path, "UTC"), late)
    assert refused.value.code == "AMBIGUOUS_CLOCK"


def test_series_without_common_hours_and_bars_longer_than_an_hour_are_no_evidence() -> None:
    known = demonstration()
    elsewhen = known.closed_at_ns + 9000 * HOUR_NS
    assert correlate(elsewhen, known.close, known, ("UTC",)) == ()
    assert not decided(())
    days = StampedCloses(np.arange(9), np.ones(9), np.ones(9), Timeframe.D1)
    with pytest.raises(InvalidInput, match="an hour at most") as refused:
        choose_clock("UTC", days, known)
    assert refused.value.code == "WRONG_TIMEFRAME"


def test_an_hour_without_bars_has_no_return_nor_has_the_next() -> None:
    closes = HOUR_NS * np.array([1, 2, 4, 5, 6])
    found = hourly_returns(closes, np.array([1.0, 2.0, 4.0, 4.0, 1.0]))
    assert found.index.tolist() == [2 * HOUR_NS, 5 * HOUR_NS, 6 * HOUR_NS]
    np.testing.assert_allclose(found, [np.log(2.0), 0.0, -np.log(4.0)])
