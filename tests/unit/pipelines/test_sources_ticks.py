"""Daily quote files: every row judged, faults counted exactly, each file in the lake once."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from online.domain.errors import NotFound, SextantError
from online.instruments import find_instrument
from pipelines.lake_ticks import TickLake
from pipelines.quality import longest_non_decreasing
from pipelines.quality_ticks import CheckedTicks, check_ticks
from pipelines.sources.raw import Fault
from pipelines.sources.ticks import LeanTicks, LeanTicksConfig, RawTicks

EURUSD = find_instrument("EURUSD")


def day(folder: Path, content: str, name: str = "20140501_quote.zip") -> None:
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("ticks.csv", content)


def read(folder: Path, clock: str = "UTC") -> list[RawTicks]:
    return list(LeanTicks(LeanTicksConfig(folder=folder, feed="oanda", clock=clock)).read())


def judge(folder: Path, content: str) -> CheckedTicks:
    day(folder, content)
    return check_ticks(read(folder)[0], EURUSD)


def totals(folder: Path, feed: str, clock: str) -> tuple[int, Counter[str]]:
    config = LeanTicksConfig.model_validate({"folder": folder, "feed": feed, "clock": clock})
    rows, reasons = 0, Counter[str]()
    for raw in LeanTicks(config).read():
        checked = check_ticks(raw, EURUSD)
        assert len(checked.ticks) + len(checked.quarantine) == checked.rows_read
        rows += checked.rows_read
        reasons.update(checked.quarantined)
    return rows, reasons


def test_the_faults_of_the_dirty_fxcm_quotes_are_counted_exactly(shared_data: Path) -> None:
    rows, reasons = totals(shared_data / "fxcm_ticks_dirty" / "eurusd", "fxcm", "UTC-05:00")
    assert rows == 205_602
    assert reasons == {"NEGATIVE_SPREAD": 21_039, "ZERO_SPREAD": 25_522}


def test_the_quotes_of_oanda_have_no_fault(shared_data: Path) -> None:
    rows, reasons = totals(shared_data / "oanda_ticks" / "eurusd", "oanda", "UTC")
    assert rows == 532_903
    assert not reasons


def test_milliseconds_count_from_the_midnight_of_the_files_own_clock(tmp_path: Path) -> None:
    day(tmp_path, "1787.25,1.38727,1.38729\n")
    for clock, expected in (
        ("UTC", "2014-05-01 00:00:01.787250"),
        ("UTC-05:00", "2014-05-01 05:00:01.787250"),
    ):
        (raw,) = read(tmp_path, clock)
        assert pd.Timestamp(int(raw.rows["at_ns"].iloc[0])) == pd.Timestamp(expected)


def test_every_bad_quote_gets_its_reason(tmp_path: Path) -> None:
    lines = [
        ("1,1.1,1.2", ""),
        ("2,1.1", Fault.MALFORMED_ROW),
        ("86400000,1.1,1.2", Fault.BAD_STAMP),
        ("x,1.1,1.2", Fault.BAD_STAMP),
        ("3,one,1.2", Fault.NOT_A_NUMBER),
        ("4,inf,1.2", Fault.NON_FINITE),
        ("5,-1.1,1.2", Fault.NON_POSITIVE_PRICE),
        ("6,1.2,1.1", Fault.NEGATIVE_SPREAD),
        ("7,1.1,1.1", Fault.ZERO_SPREAD),
        ("8,1.100001,1.2", Fault.WRONG_DIGITS),
        ("9,110000,120000", Fault.WRONG_SCALE),
        ("5000,1.1,1.2", Fault.OUT_OF_ORDER),
        ("10,1.1,1.2", ""),
        ("10,1.1,1.2", ""),
        ("11,1.1,1.2", ""),
    ]
    checked = judge(tmp_path, "\n".join(line for line, _ in lines))
    expected = [(i, str(r)) for i, (_, r) in enumerate(lines, start=1) if r]
    found = checked.quarantine
    assert list(zip(found["row_number"], found["reason"], strict=True)) == expected
    assert found["raw_text"].tolist() == [line for line, reason in lines if reason]
    assert len(checked.ticks) == 4


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("20140501_quote.zip", "a,b,c\n", "WRONG_PRESET"),
        ("20140501_quote.zip", "", "EMPTY_FILE"),
        ("20149901_quote.zip", "1,1.1,1.2\n", "BAD_FILE_NAME"),
        ("20140501_quote.zip", "1,1.2,1.1\n", "NOTHING_USABLE"),
        ("other.zip", "1,1.1,1.2\n", "FILE_NOT_FOUND"),
    ],
)
def test_a_day_that_cannot_be_used_is_refused_by_name(
    tmp_path: Path, name: str, content: str, code: str
) -> None:
    day(tmp_path, content, name)
    with pytest.raises(SextantError) as refused:
        check_ticks(read(tmp_path)[0], EURUSD)
    assert (refused.value.code, refused.value.exit_status) == (code, 2)


def test_quotes_of_one_time_keep_their_order_and_a_file_comes_in_once(tmp_path: Path) -> None:
    checked = judge(tmp_path, "5,1.1,1.2\n9,1.3,1.4\n9,1.1,1.2\n9,1.2,1.4\n")
    lake = TickLake(tmp_path / "lake")

    def write(sha256: str) -> int:
        return lake.write_ticks("EURUSD", "oanda", checked.source_file, sha256, checked.ticks)

    assert [write(checked.file_sha256) for _ in range(2)] == [4, 0]
    pd.testing.assert_frame_equal(lake.read_ticks("EURUSD", "oanda"), checked.ticks)
    with pytest.raises(SextantError) as refused:
        write("another")
    assert refused.value.code == "CONFLICTS_WITH_LAKE"
    (entry,) = lake.describe()
    assert (entry.symbol, entry.feed, entry.ticks, entry.files) == ("EURUSD", "oanda", 4, 1)


def test_an_interval_of_quotes_takes_its_start_and_leaves_its_end(tmp_path: Path) -> None:
    lake = TickLake(tmp_path / "lake")
    for name in ("20140501_quote.zip", "20140502_quote.zip"):
        day(tmp_path, "0,1.1,1.2\n5,1.1,1.2\n", name)
    for raw in read(tmp_path):
        checked = check_ticks(raw, EURUSD)
        lake.write_ticks("EURUSD", "oanda", checked.source_file, checked.file_sha256, checked.ticks)
    first = int(pd.Timestamp("2014-05-01").value)
    second = int(pd.Timestamp("2014-05-02").value)
    found = lake.read_ticks("EURUSD", "oanda", first + 5_000_000, second + 5_000_000)
    assert found["at_ns"].tolist() == [first + 5_000_000, second]
    assert lake.read_ticks("EURUSD", "oanda", second + 10**15).empty
    with pytest.raises(NotFound, match="it holds oanda EURUSD"):
        lake.read_ticks("GBPUSD", "oanda")


def test_the_longest_chain_that_never_falls_keeps_equal_neighbours() -> None:
    values = np.array([5, 5, 1, 5, 2, 6, 6])
    assert values[longest_non_decreasing(values)].tolist() == [5, 5, 5, 6, 6]
