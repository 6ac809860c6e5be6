"""A hole in a series: what is one, what is none, and how long features reach over it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from feature_repo.bars import BarArrays
from feature_repo.catalogue import DEFAULT_NAMES, select
from feature_repo.panel import Panel
from online.domain.errors import Unavailable
from online.domain.market import Bar, Timeframe
from pipelines.hole import Reach, find_hole

H1, M1 = Timeframe.H1, Timeframe.M1
MINUTE = 60 * 10**9
HOUR = 60 * MINUTE
TUESDAY = pd.Timestamp("2026-03-03 00:00", tz="UTC").value


def hours(*numbers: int) -> np.ndarray:
    return TUESDAY + HOUR * np.array(numbers, dtype=np.int64)


def bars(n_bars: int) -> BarArrays:
    return BarArrays.from_rows(
        [Bar(TUESDAY + n * MINUTE, 1.1, 1.2, 1.0, 1.1, 5.0) for n in range(n_bars)]
    )


@pytest.mark.parametrize("missing", [1, 12, 23])
def test_a_short_outage_is_no_hole(missing: int) -> None:
    assert find_hole(hours(0, 1, 2 + missing), "EURUSD", H1) is None


def test_a_weekend_is_none_and_a_trading_day_that_nobody_saw_is_one() -> None:
    friday, sunday = 3 * 24 + 22, 5 * 24 + 23
    assert find_hole(hours(friday, sunday), "EURUSD", H1) is None
    assert find_hole(hours(friday, sunday), "BTCUSD", H1) is not None
    hole = find_hole(hours(0, 1, 26, 27), "EURUSD", H1)
    assert hole is not None
    assert (hole.missing_bars, hole.before_ns) == (24, TUESDAY + 26 * HOUR)
    newest = find_hole(hours(0, 30, 60), "EURUSD", H1)
    assert newest is not None
    assert newest.before_ns == TUESDAY + 60 * HOUR


def test_a_missing_day_of_daily_bars_is_no_hole_and_a_missing_fortnight_is_one() -> None:
    assert find_hole(hours(0, 48), "EURUSD", Timeframe.D1) is None
    assert find_hole(hours(0, 14 * 24), "EURUSD", Timeframe.D1) is not None


def test_features_are_refused_until_they_reach_over_the_hole_no_more() -> None:
    features = select(DEFAULT_NAMES, M1)
    reach = Reach(Panel("EURUSD", M1, bars(400)), features)
    reach.require_whole()
    assert reach.n_bars == 1 + max(feature.memory_bars for feature in features) > 30
    after_ns = TUESDAY + 3 * 24 * HOUR
    for number in range(reach.n_bars - 1):
        reach.add(after_ns + number * MINUTE)
        with pytest.raises(Unavailable, match=f"of which {number + 1} came since") as caught:
            reach.require_whole()
        assert caught.value.code == "HOLE_IN_HISTORY"
    reach.add(after_ns + reach.n_bars * MINUTE)
    reach.require_whole()


def test_a_series_that_only_begins_has_no_hole() -> None:
    reach = Reach(Panel("EURUSD", M1, bars(0)), select(DEFAULT_NAMES, M1))
    reach.add(TUESDAY)
    reach.require_whole()
