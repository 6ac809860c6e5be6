"""Spikes and dead feeds are told from news, jumps and quiet hours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from online.domain.market import Timeframe
from online.instruments import find_instrument
from pipelines.quality_prices import FROZEN_BARS_MAX, SPIKE_RANGES_MAX, find_frozen, find_spikes
from pipelines.sources.raw import BAR_COLUMNS
from tests.real_years import checked_year

EURUSD = find_instrument("EURUSD")
USUAL = 0.0004


def walk(count: int = 600) -> pd.DataFrame:
    """Return bars of a random walk whose range is about `USUAL`."""
    generator = np.random.default_rng(17)
    close = 1.1 + np.cumsum(generator.normal(0.0, USUAL / 4, count))
    frame = pd.DataFrame({"closed_at_ns": np.arange(count), "close": close})
    frame["open"] = np.append(1.1, close[:-1])
    frame["high"] = frame[["open", "close"]].max(axis=1) + USUAL / 2.5
    frame["low"] = frame[["open", "close"]].min(axis=1) - USUAL / 2.5
    frame["volume"] = np.nan
    frame["spread_points"] = np.nan
    return frame[list(BAR_COLUMNS)]


@pytest.mark.parametrize(("column", "sign"), [("high", 1.0), ("low", -1.0)])
def test_a_price_that_goes_far_out_and_comes_back_is_a_spike(column: str, sign: float) -> None:
    bars = walk()
    bars[column] += np.where(bars.index == 300, sign * 1.6 * SPIKE_RANGES_MAX * USUAL, 0.0)
    assert np.flatnonzero(find_spikes(bars, EURUSD)).tolist() == [300]


def test_as_far_a_move_that_stays_is_no_spike() -> None:
    bars = walk()
    far = 3 * SPIKE_RANGES_MAX * USUAL
    for column in ("open", "high", "low", "close"):
        first = 301 if column in {"open", "low"} else 300
        bars[column] += np.where(bars.index >= first, far, 0.0)
    assert not find_spikes(bars, EURUSD).any()


def test_an_ordinary_bar_in_a_dead_hour_is_no_spike() -> None:
    bars = walk()
    bars.loc[100:350, ["open", "high", "low", "close"]] = 1.1
    bars["high"] += np.where(bars.index == 200, 5 * USUAL, 0.0)
    assert not find_spikes(bars, EURUSD)[200]


def test_a_run_at_one_price_is_frozen_from_its_second_bar_if_it_is_long_enough() -> None:
    limit = FROZEN_BARS_MAX[Timeframe.M1]
    for length, expected in ((limit, []), (limit + 1, list(range(101, 101 + limit)))):
        bars = walk()
        bars.loc[100 : 99 + length, ["open", "high", "low", "close"]] = 1.05
        assert np.flatnonzero(find_frozen(bars, Timeframe.M1)).tolist() == expected
        bars["volume"] = 3.0
        assert not find_frozen(bars, Timeframe.M1).any(), "trades at one price are no dead feed"


def test_the_news_of_real_years_is_kept_and_one_misprint_of_gold_is_found(
    shared_data: Path,
) -> None:
    found = {}
    for name in ("EURUSD_2015", "XAUUSD_2018"):
        found[name] = checked_year(shared_data / "histdata_m1" / f"{name}.zip")
    assert found["EURUSD_2015"].quarantined == {}, "the ECB surprised on 2015-12-03"
    assert found["XAUUSD_2018"].quarantined == {"SPIKE": 1}
    (text,) = found["XAUUSD_2018"].quarantine["raw_text"]
    assert text.startswith("20181130 165900;1234.42")
