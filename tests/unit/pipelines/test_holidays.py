"""Holidays: the file's rules, and what real years say of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from online.domain.errors import InvalidSettings
from online.domain.market import Timeframe
from pipelines import holidays
from pipelines.holidays import closures, load_holidays, without_holidays
from pipelines.quality_gaps import Calendar, find_gaps
from tests.real_years import checked_year

HOUR = 3_600_000_000_000


def new_york(market: str, year: int) -> list[str]:
    """Return a market's closures of a year by New York's wall."""
    stamps = pd.DatetimeIndex(closures(market, year, year).ravel().view("M8[ns]"), tz="UTC")
    texts = stamps.tz_convert("America/New_York").strftime("%m-%d %H:%M").tolist()
    return [f"{begin} to {end}" for begin, end in zip(texts[::2], texts[1::2], strict=True)]


def test_every_kind_of_rule_finds_its_day() -> None:
    assert new_york("metals", 2018) == [
        "12-31 17:00 to 01-01 19:00",
        "01-15 13:00 to 01-15 18:00",
        "02-19 13:00 to 02-19 18:00",
        "03-29 17:00 to 03-30 17:00",
        "05-28 13:00 to 05-28 18:00",
        "07-04 13:00 to 07-04 18:00",
        "09-03 13:00 to 09-03 18:00",
        "11-22 13:00 to 11-22 18:00",
        "11-23 13:15 to 11-23 17:00",
        "12-24 13:00 to 12-25 18:00",
    ]
    mourning = {"12-05 09:30 to 12-05 18:00", "07-03 13:15 to 07-03 18:00"}
    assert set(new_york("indices", 2018)) - set(new_york("metals", 2018)) == mourning
    assert not mourning & set(new_york("indices", 2019)) - {"07-03 13:15 to 07-03 18:00"}


def test_a_holiday_on_a_sunday_is_kept_on_monday_and_one_may_begin_some_year() -> None:
    assert new_york("currencies", 2022)[-1] == "12-25 17:00 to 12-26 18:00"
    assert new_york("currencies", 2023)[0] == "01-01 17:00 to 01-02 18:00"
    assert any(day.startswith("06-20") for day in new_york("indices", 2022))
    assert not any(day.startswith("06-19") for day in new_york("indices", 2020))


@pytest.mark.parametrize(
    ("market", "after", "before", "missing"),
    [
        (Calendar.CURRENCIES, "2018-12-24T22:00", "2018-12-26T00:00", 0),
        (Calendar.CURRENCIES, "2018-12-20T12:00", "2018-12-20T15:00", 2),
        (Calendar.CURRENCIES, "2018-03-30T12:00", "2018-03-30T15:00", 2),
        (Calendar.METALS, "2018-03-29T21:00", "2018-04-01T23:00", 0),
        (Calendar.INDICES, "2018-03-29T21:00", "2018-04-01T23:00", 0),
        (Calendar.ALWAYS, "2018-12-24T22:00", "2018-12-26T00:00", 25),
    ],
)
def test_bars_missing_on_a_holiday_of_the_market_are_no_gap(
    market: Calendar, after: str, before: str, missing: int
) -> None:
    stamps = np.array([after, before], dtype="M8[ns]").astype(np.int64)
    gaps = find_gaps(stamps, Timeframe.H1, market)
    assert sum(gap.missing_bars for gap in gaps) == missing


def test_sessions_are_cut_and_no_time_is_made_or_lost() -> None:
    begin = pd.Timestamp("2018-12-01").value
    bounds = np.array([[begin, begin + 60 * 24 * HOUR]])
    cut = without_holidays(bounds, "currencies")
    assert (np.diff(cut.ravel()) > 0).all()
    open_ns = int((cut[:, 1] - cut[:, 0]).sum())
    assert (60 * 24 * HOUR - open_ns) // HOUR == 29 + 26
    assert without_holidays(bounds[:0], "currencies").shape == (0, 2)


@pytest.mark.parametrize(
    ("name", "market", "whole_hours_missing"),
    [("EURUSD_2017", Calendar.CURRENCIES, 0), ("XAUUSD_2018", Calendar.METALS, 0)],
)
def test_the_holes_of_real_years_are_holidays(
    shared_data: Path, name: str, market: Calendar, whole_hours_missing: int
) -> None:
    bars = checked_year(shared_data / "histdata_m1" / f"{name}.zip").bars
    gaps = find_gaps(bars["closed_at_ns"].to_numpy(), Timeframe.M1, market)
    assert sum(gap.missing_bars >= 60 for gap in gaps) == whole_hours_missing
    assert gaps, "single missing minutes are still told"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[holiday]]\nname = 'x'", "missing required field"),
        ("holiday = 3", "Expected `array`"),
        ("[[other]]\nname = 'x'", "holiday"),
        (
            "[[holiday]]\nname='x'\nmarkets=[]\nday='01 someday 1'\ncloses=''\nopens=''",
            "holiday x",
        ),
        (
            "[[holiday]]\nname='x'\nmarkets=[]\nday='13-01'\ncloses='0 01:00'\nopens='0 02:00'",
            "month must be",
        ),
    ],
)
def test_a_file_that_cannot_be_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "holidays.toml"
    path.write_text(text)
    with pytest.raises(InvalidSettings, match=complaint):
        load_holidays(path)


def test_easter_is_the_known_one() -> None:
    known = {2014: "04-20", 2016: "03-27", 2019: "04-21", 2024: "03-31", 2025: "04-20"}
    assert {year: f"{holidays.easter(year):%m-%d}" for year in known} == known
