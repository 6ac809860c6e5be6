"""The clock of a source is inferred from its weeks, with evidence, or not at all."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from online.domain.errors import InvalidMarketData
from online.domain.market import Timeframe
from pipelines.sources.calibration import CALIBRATE, ClockEvidence, calibrate
from pipelines.sources.delimited import CsvConfig
from pipelines.sources.demo import find_demo_file
from pipelines.sources.source import open_source
from tests.real_years import checked_year

QUARTER = pd.Timedelta("15min")


def infer(bars: pd.DataFrame, wall: pd.DatetimeIndex) -> tuple[ClockEvidence, ...]:
    opens: NDArray[np.int64] = np.asarray(wall.tz_localize(None).as_unit("ns").asi8)
    return calibrate(opens, (bars["high"] - bars["low"]).to_numpy(), Timeframe.M15)


@cache
def quarters(path: Path) -> pd.DataFrame:
    """Return a HistData year as M15 bars, indexed by their opens in UTC."""
    rows = checked_year(path).bars
    opens = pd.DatetimeIndex(rows["closed_at_ns"].to_numpy().view("M8[ns]")).tz_localize("UTC")
    minutes = rows.set_index(opens - pd.Timedelta("1min"))
    return minutes.resample("15min").agg({"high": "max", "low": "min"}).dropna()


def on_new_yorks_midnight(index: pd.DatetimeIndex) -> pd.DatetimeIndex:
    local = index.tz_convert("America/New_York").tz_localize(None)
    return pd.DatetimeIndex(local + pd.Timedelta("7h"))


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", "UTC"),
        ("America/New_York", "America/New_York"),
        ("Europe/Athens", "broker-eu"),
        ("Europe/London", "Europe/London"),
        ("Etc/GMT+5", "UTC-05:00"),
        ("Etc/GMT-3", "UTC+03:00"),
    ],
)
def test_a_year_restamped_by_any_clock_is_recognised(
    shared_data: Path, zone: str, expected: str
) -> None:
    bars = quarters(shared_data / "histdata_m1" / "EURUSD_2017.zip")
    found = infer(bars, pd.DatetimeIndex(bars.index).tz_convert(zone))
    assert found[0].clock == expected
    assert found[0].edges_in_weekend == 0
    assert found[0].edges_explained > 0.95 * found[0].edges


def test_a_server_on_new_yorks_midnight_is_told_from_one_on_european_time(
    shared_data: Path,
) -> None:
    bars = quarters(shared_data / "histdata_m1" / "GBPUSD_2018.zip")
    found = infer(bars, on_new_yorks_midnight(pd.DatetimeIndex(bars.index)))
    assert found[0].clock == "broker-us"


@pytest.mark.parametrize("name", ["EURUSD_2014", "EURUSD_2015", "EURUSD_2017", "USDJPY_2018"])
def test_a_european_server_without_sundays_is_never_taken_for_an_american_one(
    shared_data: Path, name: str
) -> None:
    bars = quarters(shared_data / "histdata_m1" / f"{name}.zip")
    wall = pd.DatetimeIndex(bars.index).tz_convert("Europe/Athens")
    kept = np.asarray(wall.dayofweek != 6)
    try:
        clock = infer(bars[kept], wall[kept])[0].clock
    except InvalidMarketData as error:
        clock = error.code
    assert clock in {"broker-eu", "AMBIGUOUS_CLOCK"}


@pytest.mark.parametrize(
    ("symbol", "expected"), [("EURUSD_2015", "broker-us"), ("USDJPY_2018", "broker-us")]
)
def test_an_american_server_that_closes_early_is_never_taken_for_a_european_one(
    shared_data: Path, symbol: str, expected: str
) -> None:
    bars = quarters(shared_data / "histdata_m1" / f"{symbol}.zip")
    index = pd.DatetimeIndex(bars.index)
    wall = on_new_yorks_midnight(index)
    apart = np.asarray(wall != index.tz_convert("Europe/Athens").tz_localize(None))
    kept = ~(apart & (wall.dayofweek == 4) & (wall.hour == 23))
    try:
        clock = infer(bars[kept], wall[kept])[0].clock
    except InvalidMarketData as error:
        clock = error.code
    assert clock in {expected, "AMBIGUOUS_CLOCK"}


def test_the_real_export_of_a_european_server_is_recognised_by_its_rhythm(
    shared_data: Path,
) -> None:
    path = shared_data / "mt5_exports" / "EURUSD_M15.csv"
    raw = open_source(CsvConfig(path=path, preset="mt5", timeframe=Timeframe.M15)).read()
    assert raw.clock == "broker-eu"
    assert "broker-us" in raw.clock_evidence[1]
    assert "rhythm t" in raw.clock_evidence[1]
    # An independent witness: the United States' employment report of 2022-11-04, 12:30 UTC.
    spans = pd.Series((raw.rows["high"] - raw.rows["low"]).to_numpy())
    spans.index = pd.DatetimeIndex(raw.rows["closed_at_ns"].to_numpy().view("M8[ns]"))
    assert spans.loc["2022-11-04"].idxmax() == pd.Timestamp("2022-11-04 12:45")


def test_the_demonstrations_stamps_are_utc_and_the_rest_is_not() -> None:
    frame = pd.read_csv(find_demo_file())
    wall = pd.to_datetime(frame["Time"], format="%d.%m.%Y %H:%M:%S.000").to_numpy()
    found = calibrate(
        wall.astype("M8[ns]").astype(np.int64), frame["Volume"].to_numpy(), Timeframe.H1
    )
    assert (found[0].clock, found[0].edges_explained) == ("UTC", found[0].edges)


def test_few_weeks_are_refused_with_what_is_needed() -> None:
    with pytest.raises(InvalidMarketData, match="at least 3 are needed") as refused:
        calibrate(np.arange(2000) * QUARTER.value, np.ones(2000), Timeframe.M15)
    assert refused.value.code == "AMBIGUOUS_CLOCK"
    assert "Name the clock" in refused.value.remedy


def test_weeks_that_no_clock_explains_are_refused() -> None:
    monday = int(pd.Timestamp("2017-01-02").value)
    weeks = [monday + (7 * 96 * week + np.arange(250)) * QUARTER.value for week in range(20)]
    opens = np.concatenate([week[(week - monday) % (96 * QUARTER.value) > 0] for week in weeks])
    with pytest.raises(InvalidMarketData, match="cannot be told"):
        calibrate(opens, np.ones(len(opens)), Timeframe.M15)


def test_a_market_without_weekends_is_refused(shared_data: Path) -> None:
    path = shared_data / "crypto_h1" / "BTCUSD_H1.csv"
    config = CsvConfig(path=path, preset="cryptodatadownload", clock=CALIBRATE)
    with pytest.raises(InvalidMarketData, match=r"BTCUSD_H1\.csv: the clock") as refused:
        open_source(config).read()
    assert refused.value.code == "AMBIGUOUS_CLOCK"
