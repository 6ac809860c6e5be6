"""Parquet files of a terminal's bars: every row read, the label UTC not believed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from online.domain.errors import SextantError
from online.domain.market import Timeframe
from online.instruments import find_instrument
from pipelines.quality import CheckedBars, check
from pipelines.quality_gaps import calendar_of, find_gaps
from pipelines.quality_report import GapRecord
from pipelines.sources.clock import find_clock
from pipelines.sources.columnar import ParquetConfig
from pipelines.sources.raw import Fault, RawBars
from pipelines.sources.source import open_source


def rates(count: int = 4) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "time": pd.date_range("2024-01-03 10:00", periods=count, freq="15min", tz="UTC"),
            "open": 1.1,
            "high": 1.2,
            "low": 1.0,
            "close": 1.15,
            "tick_volume": np.arange(count, dtype=np.uint64),
            "spread": np.int32(2),
        }
    )


def read(path: Path, frame: pd.DataFrame, clock: str = "UTC") -> RawBars:
    frame.to_parquet(path)
    return open_source(ParquetConfig(path=path, timeframe=Timeframe.M15, clock=clock)).read()


def read_real(folder: Path, symbol: str) -> tuple[RawBars, CheckedBars]:
    path = folder / "mt5_exports" / f"{symbol}_M15_dirty.parquet"
    raw = open_source(ParquetConfig(path=path, timeframe=Timeframe.M15)).read()
    return raw, check(raw, find_instrument(symbol))


def test_the_duplicates_and_the_hole_of_the_dirty_usdcad_file_are_counted_exactly(
    shared_data: Path,
) -> None:
    raw, checked = read_real(shared_data, "USDCAD")
    assert raw.clock == "broker-us"
    assert checked.quarantined == {"DUPLICATE_ROW": 9_969}
    assert (checked.rows_read, len(checked.bars)) == (50_000, 40_031)
    gaps = find_gaps(
        checked.bars["closed_at_ns"].to_numpy(),
        checked.timeframe,
        calendar_of(find_instrument("USDCAD")),
    )
    largest = max(gaps, key=lambda gap: gap.missing_bars)
    record = GapRecord.of(largest, find_clock(raw.clock))
    assert record.duration_on_source_clock == "145 days 20:30:00"
    assert record.duration == "145 days 19:30:00", "New York went over to summer time meanwhile"


def test_the_hole_of_the_dirty_usdchf_file_is_found(shared_data: Path) -> None:
    raw, checked = read_real(shared_data, "USDCHF")
    assert raw.clock == "broker-us"
    assert checked.quarantined == {}
    gaps = find_gaps(
        checked.bars["closed_at_ns"].to_numpy(),
        checked.timeframe,
        calendar_of(find_instrument("USDCHF")),
    )
    largest = max(gaps, key=lambda gap: gap.missing_bars)
    record = GapRecord.of(largest, find_clock(raw.clock))
    assert record.duration_on_source_clock == "374 days 03:15:00"


def test_the_label_utc_is_not_believed_where_another_clock_is_given(tmp_path: Path) -> None:
    labelled = read(tmp_path / "a.parquet", rates(), clock="broker-us")
    plain = rates()
    plain["time"] = plain["time"].dt.tz_localize(None).astype("datetime64[s]").astype("int64")
    seconds = read(tmp_path / "b.parquet", plain, clock="broker-us")
    first = pd.Timestamp(int(labelled.rows["closed_at_ns"].iloc[0]))
    assert first == pd.Timestamp("2024-01-03 08:15")
    pd.testing.assert_frame_equal(labelled.rows, seconds.rows)
    assert labelled.rows["volume"].tolist() == [0.0, 1.0, 2.0, 3.0]


def test_a_missing_stamp_is_a_bad_row_and_its_text_is_kept(tmp_path: Path) -> None:
    frame = rates()
    frame.loc[1, "time"] = pd.NaT
    raw = read(tmp_path / "a.parquet", frame)
    assert raw.rows["fault"].tolist() == ["", Fault.BAD_STAMP, "", ""]
    assert "'time': None" in raw.raw_text(np.array([1]))[0]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda f: f.drop(columns="close"), "WRONG_PRESET"),
        (lambda f: f.assign(close="dear"), "WRONG_PRESET"),
        (lambda f: f.assign(time="noon"), "WRONG_PRESET"),
        (lambda f: f.iloc[:0], "EMPTY_FILE"),
    ],
)
def test_a_file_of_other_columns_is_refused_by_name(
    tmp_path: Path, change: object, code: str
) -> None:
    assert callable(change)
    with pytest.raises(SextantError) as refused:
        read(tmp_path / "a.parquet", change(rates()))
    assert (refused.value.code, refused.value.exit_status) == (code, 2)


def test_a_file_that_is_not_parquet_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_text("time,open\n")
    with pytest.raises(SextantError) as refused:
        open_source(ParquetConfig(path=path, timeframe=Timeframe.M15)).read()
    assert refused.value.code == "MALFORMED_FILE"
