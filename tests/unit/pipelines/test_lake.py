"""The lake keeps bars by month, once each, of one side, and says what it does not have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from pandera.errors import SchemaError

from online.domain.errors import InvalidInput, InvalidMarketData, NotFound, Unavailable
from online.domain.market import PriceSide, Timeframe
from pipelines.lake import Lake
from pipelines.lake_files import SCHEMA_VERSION
from pipelines.sources.raw import BAR_COLUMNS, MICROSTRUCTURE

HOUR = 3_600_000_000_000
NEW_YEAR = int(pd.Timestamp("2018-01-01").value)


def hourly(count: int, first_ns: int = NEW_YEAR - 2 * HOUR, close: float = 1.1) -> pd.DataFrame:
    frame = pd.DataFrame({"closed_at_ns": first_ns + HOUR * np.arange(count)})
    for name in ("open", "high", "low", "close"):
        frame[name] = close
    frame["volume"] = np.nan
    frame["spread_points"] = np.arange(count, dtype=np.float64)
    return frame[list(BAR_COLUMNS)]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path / "lake")
    made.write_bars("EURUSD", "H1", PriceSide.ASK, hourly(5), "demo")
    return made


def month(lake: Lake, name: str) -> Path:
    return lake.root / "bars" / "symbol=EURUSD" / "timeframe=H1" / f"{name}.parquet"


def test_what_is_written_is_read_back_bit_for_bit_nan_included(lake: Lake) -> None:
    pd.testing.assert_frame_equal(lake.read_bars("EURUSD", Timeframe.H1), hourly(5))


def test_a_bar_belongs_to_the_month_of_its_close_in_utc(lake: Lake) -> None:
    assert month(lake, "2017-12").is_file()
    january = pq.read_table(month(lake, "2018-01"))
    assert january["closed_at_ns"].to_pylist()[0] == NEW_YEAR
    about = january.schema.metadata
    assert about[b"sextant.price_side"] == b"ask"
    assert about[b"sextant.source"] == b"demo"
    assert about[b"sextant.schema_version"] == str(SCHEMA_VERSION).encode()


def test_an_interval_takes_its_start_and_leaves_its_end(lake: Lake) -> None:
    found = lake.read_bars("EURUSD", "H1", NEW_YEAR - HOUR, NEW_YEAR + HOUR)
    assert found["closed_at_ns"].tolist() == [NEW_YEAR - HOUR, NEW_YEAR]
    nothing = lake.read_bars("EURUSD", "H1", NEW_YEAR + 100 * HOUR)
    assert len(nothing) == 0
    assert nothing.dtypes.tolist() == found.dtypes.tolist()


def test_writing_again_adds_nothing_and_touches_no_file(lake: Lake) -> None:
    before = {path: path.stat().st_mtime_ns for path in lake.root.rglob("*.parquet")}
    report = lake.write_bars("EURUSD", "H1", PriceSide.ASK, hourly(5), "demo")
    assert (report.added, report.unchanged, len(report.conflicting)) == (0, 5, 0)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_rows_between_and_after_those_there_are_added_in_order(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    frame = hourly(50)
    lake.write_bars("EURUSD", "H1", PriceSide.BID, frame.iloc[::3].reset_index(drop=True), "a")
    report = lake.write_bars("EURUSD", "H1", PriceSide.BID, frame, "a")
    assert (report.added, report.unchanged) == (33, 17)
    pd.testing.assert_frame_equal(lake.read_bars("EURUSD", "H1"), frame)


def test_another_bar_of_a_kept_stamp_is_refused_and_given_back(lake: Lake) -> None:
    changed = hourly(6)
    changed.loc[3, "spread_points"] = 7.0
    digest = lake.digest("EURUSD", "H1", None, NEW_YEAR + 3 * HOUR)
    report = lake.write_bars("EURUSD", "H1", PriceSide.ASK, changed, "other")
    assert (report.added, report.unchanged) == (1, 4)
    assert report.conflicting["closed_at_ns"].tolist() == [NEW_YEAR + HOUR]
    assert report.conflicting["spread_points"].tolist() == [7.0]
    assert lake.digest("EURUSD", "H1", None, NEW_YEAR + 3 * HOUR) == digest


def test_a_source_of_higher_rank_replaces_and_one_of_lower_rank_does_not(lake: Lake) -> None:
    better = hourly(5, close=1.2)
    report = lake.write_bars("EURUSD", "H1", PriceSide.ASK, better, "broker", priority=5)
    assert (report.added, report.replaced, len(report.conflicting)) == (0, 5, 0)
    again = lake.write_bars("EURUSD", "H1", PriceSide.ASK, hourly(5), "demo")
    assert len(again.conflicting) == 5
    kept = lake.read_bars("EURUSD", "H1", provenance=True)
    assert set(kept["source"]) == {"broker"}
    assert set(kept["priority"]) == {5}
    pd.testing.assert_frame_equal(lake.read_bars("EURUSD", "H1"), better)


def test_sides_are_never_mixed(lake: Lake) -> None:
    digest = lake.digest("EURUSD", "H1")
    later = hourly(3, NEW_YEAR + 900 * HOUR)
    with pytest.raises(InvalidMarketData) as refused:
        lake.write_bars("EURUSD", "H1", PriceSide.BID, later, "histdata")
    assert refused.value.code == "MIXED_PRICE_SIDES"
    assert lake.digest("EURUSD", "H1") == digest
    assert lake.price_side("EURUSD", "H1") is PriceSide.ASK


@pytest.mark.parametrize(
    ("column", "value"),
    [("high", 0.5), ("low", -1.0), ("close", np.nan), ("open", np.inf), ("volume", -1.0)],
)
def test_a_frame_that_was_not_cleaned_is_refused(lake: Lake, column: str, value: float) -> None:
    frame = hourly(3, NEW_YEAR + 900 * HOUR)
    frame.loc[1, column] = value
    with pytest.raises(SchemaError):
        lake.write_bars("EURUSD", "H1", PriceSide.ASK, frame, "demo")
    with pytest.raises(SchemaError):
        lake.write_bars("EURUSD", "H1", PriceSide.ASK, hourly(3).iloc[::-1], "demo")


def test_what_the_lake_does_not_have_is_named(lake: Lake, tmp_path: Path) -> None:
    for asked, code in [
        ((Lake(tmp_path / "other"), "EURUSD", "H1"), "EMPTY_LAKE"),
        ((lake, "GBPUSD", "H1"), "UNKNOWN_SYMBOL"),
        ((lake, "EURUSD", "M1"), "UNKNOWN_TIMEFRAME"),
        ((lake, "EURUSD", "H7"), "UNKNOWN_TIMEFRAME"),
    ]:
        for reading in (asked[0].read_bars, asked[0].price_side, asked[0].digest):
            with pytest.raises(NotFound) as refused:
                reading(asked[1], asked[2])
            assert refused.value.code == code
    assert Lake(tmp_path / "other").describe() == []


def test_a_name_cannot_leave_the_lake(lake: Lake) -> None:
    with pytest.raises(InvalidInput) as refused:
        lake.write_bars("../../etc", "H1", PriceSide.ASK, hourly(1), "demo")
    assert refused.value.code == "UNSAFE_NAME"


def test_the_description_counts_what_is_there(lake: Lake) -> None:
    lake.write_bars("EURUSD", "M15", PriceSide.BID, hourly(2), "mt5")
    short, long = lake.describe()
    assert (short.timeframe, short.side, short.bars) == (Timeframe.M15, PriceSide.BID, 2)
    assert (long.bars, long.files, long.sources) == (5, 2, ("demo",))
    assert (long.first_ns, long.last_ns) == (NEW_YEAR - 2 * HOUR, NEW_YEAR + 2 * HOUR)


def test_the_digest_tells_the_last_bit_and_not_the_way_of_storage(
    lake: Lake, tmp_path: Path
) -> None:
    other = Lake(tmp_path / "other")
    for part in (hourly(5).iloc[3:], hourly(5).iloc[:3]):
        other.write_bars("EURUSD", "H1", PriceSide.ASK, part.reset_index(drop=True), "x")
    assert other.digest("EURUSD", "H1") == lake.digest("EURUSD", "H1")
    changed = hourly(5)
    changed.loc[4, "spread_points"] = np.nextafter(4.0, 9.0)
    third = Lake(tmp_path / "third")
    third.write_bars("EURUSD", "H1", PriceSide.ASK, changed, "demo")
    assert third.digest("EURUSD", "H1") != lake.digest("EURUSD", "H1")
    assert third.digest("EURUSD", "H1", None, NEW_YEAR) == lake.digest(
        "EURUSD", "H1", None, NEW_YEAR
    )


def test_a_torn_file_is_named_and_a_leftover_is_swept_away(lake: Lake) -> None:
    leftover = month(lake, "2018-01").with_name(".2018-01.parquet.abc.partial")
    leftover.write_bytes(b"half")
    assert len(lake.read_bars("EURUSD", "H1")) == 5, "a leftover is not data"
    lake.write_bars("EURUSD", "H1", PriceSide.ASK, hourly(6), "demo")
    assert not leftover.exists()
    whole = month(lake, "2018-01").read_bytes()
    month(lake, "2018-01").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidInput) as refused:
        lake.read_bars("EURUSD", "H1")
    assert refused.value.code == "LAKE_FILE_CORRUPT"


def test_a_lake_of_another_schema_is_refused(lake: Lake) -> None:
    path = month(lake, "2018-01")
    table = pq.read_table(path)
    about = {**table.schema.metadata, b"sextant.schema_version": b"99"}
    pq.write_table(table.replace_schema_metadata(about), path)
    with pytest.raises(InvalidInput) as refused:
        lake.read_bars("EURUSD", "H1")
    assert refused.value.code == "LAKE_SCHEMA_VERSION"


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "bars").write_text("a file where the folder should be")
    with pytest.raises(Unavailable) as refused:
        Lake(tmp_path).write_bars("EURUSD", "H1", PriceSide.ASK, hourly(1), "demo")
    assert refused.value.code == "LAKE_UNWRITABLE"


def with_microstructure(count: int) -> pd.DataFrame:
    told = hourly(count)
    for place, name in enumerate(MICROSTRUCTURE):
        told[name] = np.linspace(0.0, 0.1 * (place + 1), count) + (name == "quotes")
    return told


def as_version_1(path: Path) -> None:
    """Make a month's file what the first version wrote."""
    table = pq.read_table(path)
    about = {**table.schema.metadata, b"sextant.schema_version": b"1"}
    pq.write_table(table.drop_columns(list(MICROSTRUCTURE)).replace_schema_metadata(about), path)


def test_what_quotes_tell_of_a_bar_is_kept_beside_it(tmp_path: Path) -> None:
    lake, told = Lake(tmp_path), with_microstructure(5)
    assert lake.write_bars("EURUSD", "H1", PriceSide.BID, told, "ticks").added == 5
    assert lake.write_bars("EURUSD", "H1", PriceSide.BID, told, "ticks").unchanged == 5
    assert lake.write_bars("EURUSD", "H1", PriceSide.BID, hourly(5), "csv").unchanged == 5
    pd.testing.assert_frame_equal(lake.read_bars("EURUSD", "H1", microstructure=True), told)
    pd.testing.assert_frame_equal(lake.read_bars("EURUSD", "H1"), hourly(5))


def test_a_file_of_the_first_version_is_read_and_told_more_where_quotes_come(lake: Lake) -> None:
    before = lake.digest("EURUSD", "H1")
    for name in ("2017-12", "2018-01"):
        as_version_1(month(lake, name))
    assert lake.digest("EURUSD", "H1") == before
    old = lake.read_bars("EURUSD", "H1", microstructure=True)
    assert old[list(MICROSTRUCTURE)].isna().all(axis=None)
    pd.testing.assert_frame_equal(old[list(BAR_COLUMNS)], hourly(5))
    told = with_microstructure(5)
    report = lake.write_bars("EURUSD", "H1", PriceSide.ASK, told, "ticks")
    assert (report.added, report.unchanged, report.replaced) == (0, 0, 5)
    pd.testing.assert_frame_equal(lake.read_bars("EURUSD", "H1", microstructure=True), told)
    assert lake.digest("EURUSD", "H1") != before


def test_a_file_of_the_second_version_is_told_the_rest(tmp_path: Path) -> None:
    lake, told = Lake(tmp_path), with_microstructure(5)
    less = told.assign(**dict.fromkeys(("quotes", "spread_max_points"), np.nan))
    lake.write_bars("EURUSD", "H1", PriceSide.BID, less, "ticks")
    assert lake.write_bars("EURUSD", "H1", PriceSide.BID, told, "ticks").replaced == 5
    pd.testing.assert_frame_equal(lake.read_bars("EURUSD", "H1", microstructure=True), told)


def test_a_lower_ranking_source_tells_no_more_of_anothers_bars(lake: Lake) -> None:
    report = lake.write_bars(
        "EURUSD", "H1", PriceSide.ASK, with_microstructure(5), "ticks", priority=-1
    )
    assert (report.unchanged, report.replaced) == (5, 0)


@pytest.mark.parametrize(("column", "value"), [("tick_imbalance", 1.5), ("realised_variance", -1)])
def test_microstructure_that_cannot_be_is_refused(lake: Lake, column: str, value: float) -> None:
    told = with_microstructure(5)
    told.loc[2, column] = value
    with pytest.raises(SchemaError):
        lake.write_bars("EURUSD", "H1", PriceSide.ASK, told, "ticks")
