"""Every row is judged; what passes and what does not make up what was read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from online.domain.errors import InvalidMarketData
from online.domain.market import PriceSide, Timeframe
from online.instruments import find_instrument
from pipelines.quality import CLEAN_BARS, CheckedBars, check, longest_increasing
from pipelines.quality_gaps import Calendar, calendar_of, count_out_of_session, find_gaps
from pipelines.sources.clock import NEW_YORK, find_clock, from_utc, to_utc
from pipelines.sources.delimited import CsvConfig
from pipelines.sources.raw import PRICES, Fault, RawBars
from pipelines.sources.source import open_source
from tests.real_years import checked_year

HOUR = 3_600_000_000_000
MONDAY = int(pd.Timestamp("2017-06-05").value)
EURUSD = find_instrument("EURUSD")


def raw_bars(
    prices: list[tuple[float, float, float, float]],
    hours: list[int] | None = None,
    *,
    descending: bool = False,
    **columns: list[float],
) -> RawBars:
    count = len(prices)
    rows = pd.DataFrame(prices, columns=list(PRICES), dtype=np.float64)
    rows.insert(0, "row_number", np.arange(1, count + 1))
    rows.insert(1, "closed_at_ns", MONDAY + HOUR * np.array(hours or range(1, count + 1)))
    rows["volume"] = columns.get("volume", [np.nan] * count)
    rows["spread_points"] = columns.get("spread_points", [np.nan] * count)
    rows["fault"] = ""
    return RawBars(
        source="test",
        source_file="test.csv",
        file_sha256="0" * 64,
        side=PriceSide.BID,
        timeframe=Timeframe.H1,
        clock="UTC",
        clock_evidence=(),
        descending=descending,
        rows=rows,
        raw_text=lambda positions: [f"row {i}" for i in positions],
    )


def good(close: float = 1.1) -> tuple[float, float, float, float]:
    return (1.1, 1.2, 1.0, close)


def reasons(checked: CheckedBars) -> list[tuple[int, str]]:
    table = checked.quarantine
    return list(zip(table["row_number"], table["reason"], strict=True))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ((1.1, np.nan, 1.0, 1.1), Fault.NOT_A_NUMBER),
        ((1.1, np.inf, 1.0, 1.1), Fault.NON_FINITE),
        ((1.1, 1.2, -1.0, 1.1), Fault.NON_POSITIVE_PRICE),
        ((0.0, 0.0, 0.0, 0.0), Fault.NON_POSITIVE_PRICE),
        ((1.1, 1.0, 1.2, 1.1), Fault.HIGH_BELOW_LOW),
        ((1.1, 1.15, 1.0, 1.16), Fault.OHLC_INCONSISTENT),
        ((1.1, 1.2, 1.11, 1.2), Fault.OHLC_INCONSISTENT),
        ((1.1, 1.2, 1.0, 1.100005), Fault.WRONG_DIGITS),
        ((110000.0, 120000.0, 100000.0, 110000.0), Fault.WRONG_SCALE),
        ((1e305, 1e305, 1e305, 1e305), Fault.WRONG_SCALE),
    ],
)
def test_a_price_that_cannot_be_is_quarantined_with_its_reason(
    row: tuple[float, float, float, float], reason: Fault
) -> None:
    checked = check(raw_bars([good(), good(), row, good()]), EURUSD)
    assert reasons(checked) == [(3, reason)]
    assert checked.quarantine["raw_text"].tolist() == ["row 2"]
    assert len(checked.bars) == 3


def test_a_negative_volume_or_spread_is_quarantined_and_an_unknown_one_is_not() -> None:
    checked = check(
        raw_bars(
            [good()] * 5,
            volume=[1.0, -1.0, np.nan, np.inf, 0.0],
            spread_points=[1.0, 1.0, np.nan, 1.0, -2.0],
        ),
        EURUSD,
    )
    assert reasons(checked) == [
        (2, Fault.NEGATIVE_VOLUME),
        (4, Fault.NON_FINITE),
        (5, Fault.NEGATIVE_SPREAD),
    ]


def test_a_repeated_row_counts_once_and_a_disputed_stamp_not_at_all() -> None:
    checked = check(
        raw_bars(
            [good(), good(), good(), good(1.15), good(), good(), good(), good()],
            [1, 2, 2, 3, 3, 4, 5, 6],
        ),
        EURUSD,
    )
    assert reasons(checked) == [
        (3, Fault.DUPLICATE_ROW),
        (4, Fault.CONFLICTING_DUPLICATE),
        (5, Fault.CONFLICTING_DUPLICATE),
    ]


def test_one_wild_stamp_costs_one_row_and_not_all_that_follow() -> None:
    checked = check(raw_bars([good()] * 6, [1, 2, 9000, 3, 4, 5]), EURUSD)
    assert reasons(checked) == [(3, Fault.OUT_OF_ORDER)]


def test_a_file_newest_first_is_read_only_if_declared_so() -> None:
    hours = [6, 5, 4, 3, 2, 1]
    checked = check(raw_bars([good()] * 6, hours, descending=True), EURUSD)
    assert checked.bars["closed_at_ns"].is_monotonic_increasing
    assert checked.row_numbers.tolist() == [6, 5, 4, 3, 2, 1]
    with pytest.raises(InvalidMarketData) as refused:
        check(raw_bars([good()] * 6, hours), EURUSD)
    assert refused.value.code == "WRONG_ORDER"


def test_a_bar_that_closes_in_the_future_is_quarantined() -> None:
    checked = check(raw_bars([good()] * 3), EURUSD, now_ns=MONDAY + 2 * HOUR)
    assert reasons(checked) == [(3, Fault.FUTURE_STAMP)]


def test_a_file_without_a_usable_row_fails_with_the_counts() -> None:
    with pytest.raises(InvalidMarketData, match="HIGH_BELOW_LOW 2, NOT_A_NUMBER 1") as refused:
        check(raw_bars([(1.0, 0.9, 1.1, 1.0)] * 2 + [(np.nan,) * 4]), EURUSD)
    assert (refused.value.code, refused.value.exit_status) == ("NOTHING_USABLE", 2)


def test_bars_of_another_length_than_said_are_refused() -> None:
    with pytest.raises(InvalidMarketData) as refused:
        check(raw_bars([good()] * 4, [0, 4, 8, 12]), EURUSD)
    assert refused.value.code == "WRONG_TIMEFRAME"


def test_coarser_prices_than_the_instruments_are_told() -> None:
    assert check(raw_bars([good()] * 3), EURUSD).decimals_seen == 1
    assert check(raw_bars([good(1.10001)] * 3), EURUSD).decimals_seen == 5


def test_what_passes_fits_the_schema_and_nothing_read_is_lost() -> None:
    generator = np.random.default_rng(7)
    prices = [tuple(row) for row in generator.choice([1.0, 1.1, 1.2, np.nan, -1.0], (400, 4))]
    prices[0] = good()
    hours = generator.integers(1, 300, 400)
    hours.sort()
    checked = check(raw_bars(prices, hours.tolist()), EURUSD)
    assert len(checked.bars) + len(checked.quarantine) == checked.rows_read == 400
    assert len(checked.bars) > 10
    CLEAN_BARS.validate(checked.bars)
    rows = {*checked.row_numbers.tolist(), *checked.quarantine["row_number"].tolist()}
    assert rows == set(range(1, 401))


def test_the_longest_increasing_subsequence_is_as_long_as_the_quadratic_one() -> None:
    generator = np.random.default_rng(11)
    for _ in range(30):
        values = generator.integers(0, 40, 60)
        found = longest_increasing(values)
        assert (np.diff(values[found]) > 0).all()
        assert (np.diff(found) > 0).all()
        best = np.ones(60, dtype=int)
        for i in range(60):
            before = best[:i][values[:i] < values[i]]
            best[i] = 1 + (before.max() if len(before) else 0)
        assert len(found) == best.max()


def closes(*texts: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(texts, dtype="M8[ns]").astype(np.int64)


def test_a_weekend_is_no_gap_in_winter_and_summer_and_a_missed_hour_is_one() -> None:
    # New York's 17:00 is 22:00 UTC in winter and 21:00 in summer.
    for friday, sunday in [
        ("2017-01-06T22:00", "2017-01-08T23:00"),
        ("2017-06-09T21:00", "2017-06-11T22:00"),
        ("2017-03-10T22:00", "2017-03-12T22:00"),
    ]:
        assert find_gaps(closes(friday, sunday), Timeframe.H1, Calendar.CURRENCIES) == []
    late = closes("2017-01-06T21:00", "2017-01-09T01:00")
    (gap,) = find_gaps(late, Timeframe.H1, Calendar.CURRENCIES)
    assert gap.missing_bars == 3
    assert str(gap.duration) == "2 days 04:00:00"


def test_the_daily_break_of_gold_is_no_gap_and_bitcoin_has_no_weekend() -> None:
    gold = closes("2017-06-06T21:00", "2017-06-06T22:01")
    assert find_gaps(gold, Timeframe.M1, Calendar.METALS) == []
    (gap,) = find_gaps(gold, Timeframe.M1, Calendar.CURRENCIES)
    assert gap.missing_bars == 60
    weekend = closes("2017-06-09T21:00", "2017-06-11T22:00")
    (gap,) = find_gaps(weekend, Timeframe.H1, Calendar.ALWAYS)
    assert gap.missing_bars == 48
    assert calendar_of(find_instrument("XAUUSD")) is Calendar.METALS
    assert calendar_of(find_instrument("BTCUSD")) is Calendar.ALWAYS
    assert calendar_of(find_instrument("NSXUSD")) is Calendar.INDICES
    assert calendar_of(EURUSD) is Calendar.CURRENCIES


def test_the_afternoon_halt_of_indices_is_no_gap_until_it_was_abolished() -> None:
    for day, missing in [("2018-06-06", 0), ("2022-06-08", 15)]:
        halt = closes(f"{day}T20:15", f"{day}T20:31")
        gaps = find_gaps(halt, Timeframe.M1, Calendar.INDICES)
        assert sum(gap.missing_bars for gap in gaps) == missing
        assert (
            find_gaps(closes(f"{day}T21:00", f"{day}T22:01"), Timeframe.M1, Calendar.INDICES) == []
        )


def test_bars_on_a_saturday_are_counted_as_out_of_session() -> None:
    stamps = closes("2017-06-09T21:00", "2017-06-10T12:00", "2017-06-11T22:00")
    assert count_out_of_session(stamps, Timeframe.H1, Calendar.CURRENCIES) == 1


def test_a_year_of_minutes_read_on_the_wrong_clock_shows_in_the_bars_out_of_session(
    shared_data: Path,
) -> None:
    path = shared_data / "histdata_m1" / "EURUSD_2017.zip"
    wall_ns = from_utc(checked_year(path).bars["closed_at_ns"].to_numpy(), find_clock(NEW_YORK))
    counts = {}
    for clock in ("America/New_York", "UTC-05:00", "UTC"):
        stamps, _ = to_utc(wall_ns, find_clock(clock))
        counts[clock] = count_out_of_session(stamps, Timeframe.M1, Calendar.CURRENCIES)
    assert counts["America/New_York"] == 0
    assert counts["UTC-05:00"] > 1000
    assert counts["UTC"] > 1000


def test_the_newest_first_bitcoin_file_loses_its_entangled_hours_and_a_dead_feed(
    shared_data: Path,
) -> None:
    path = shared_data / "crypto_h1" / "BTCUSD_H1.csv"
    raw = open_source(CsvConfig(path=path, preset="cryptodatadownload")).read()
    checked = check(raw, find_instrument("BTCUSD"))
    assert checked.quarantined == {"FROZEN_PRICE": 15, "OUT_OF_ORDER": 5}
    assert len(checked.bars) == 20_091
