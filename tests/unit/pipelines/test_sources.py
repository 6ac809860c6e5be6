"""Sources read every row, put stamps on UTC at the close, and name what they refuse."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter, ValidationError

from online.domain.errors import InvalidInput, SextantError
from online.domain.market import PriceSide, Timeframe
from pipelines.sources.clock import find_clock, to_utc
from pipelines.sources.delimited import CsvConfig
from pipelines.sources.demo import DemoConfig
from pipelines.sources.layout import CsvLayout
from pipelines.sources.raw import Fault, RawBars
from pipelines.sources.source import SourceConfig, open_source

HISTDATA_ROW = "20170601 100000;1.12000;1.12100;1.11900;1.12050;0"
SCRIPT_HEADER = "Date,Open,High,Low,Close,Tickvol,Volume,Spread"
TERMINAL_HEADER = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"


def read_csv(path: Path, content: str | bytes, **options: object) -> RawBars:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_source(CsvConfig.model_validate({"path": path, **options})).read()


def closes(raw: RawBars) -> list[str]:
    stamps = pd.DatetimeIndex(raw.rows["closed_at_ns"].to_numpy().view("M8[ns]"))
    return list(stamps.strftime("%Y-%m-%d %H:%M:%S"))


def wall(*texts: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(texts, dtype="M8[ns]").astype(np.int64)


def test_the_demonstration_is_a_year_of_hourly_ask_bars_stamped_at_their_close() -> None:
    raw = open_source(DemoConfig()).read()
    assert (len(raw.rows), raw.side, raw.timeframe) == (6225, PriceSide.ASK, Timeframe.H1)
    assert (raw.rows["fault"] == "").all()
    assert closes(raw)[0] == "2017-01-01 23:00:00"
    assert closes(raw)[-1] == "2017-12-29 22:00:00"
    assert raw.raw_text(np.array([0]))[0].startswith("01.01.2017 22:00:00.000,1.05236,")


def test_histdata_stamps_are_new_york_opens_in_winter_and_in_summer(tmp_path: Path) -> None:
    winter = "20170103 100000;1.04;1.04;1.04;1.04;0"
    raw = read_csv(tmp_path / "a.csv", f"{winter}\n{HISTDATA_ROW}\n", preset="histdata")
    assert closes(raw) == ["2017-01-03 15:01:00", "2017-06-01 14:01:00"]
    assert raw.side is PriceSide.BID
    assert raw.rows["volume"].isna().all(), "HistData's volume is absent, not zero"


def test_a_zip_reads_as_the_file_in_it(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("a.csv", HISTDATA_ROW)
        made.writestr("a.txt", "status")
    raw = open_source(CsvConfig(path=archive, preset="histdata")).read()
    assert raw.rows["open"].tolist() == [1.12]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            f"{SCRIPT_HEADER}\n2023.03.14 14:30:00,1.07,1.08,1.06,1.075,60,0,20\n",
            "2023-03-14 12:45:00",
        ),
        (
            f"{TERMINAL_HEADER}\n2023.07.03\t14:30:00\t1.07\t1.08\t1.06\t1.075\t60\t0\t20\n",
            "2023-07-03 11:45:00",
        ),
    ],
)
def test_both_forms_of_a_metatrader_export_are_read(
    tmp_path: Path, content: str, expected: str
) -> None:
    options = {"preset": "mt5", "timeframe": "M15", "clock": "broker-eu"}
    for encoding in ("utf-8", "utf-16"):
        raw = read_csv(tmp_path / "a.csv", content.encode(encoding), **options)
        assert closes(raw) == [expected]
        row = raw.rows.iloc[0]
        assert (row["close"], row["volume"], row["spread_points"]) == (1.075, 60.0, 20.0)


def test_a_described_layout_reads_closes_of_another_clock_with_quotes(tmp_path: Path) -> None:
    layout = CsvLayout(
        stamp=("day", "time"),
        stamp_format="%d/%m/%Y %H:%M",
        clock="UTC-05:00",
        stamped_at="close",
        side=PriceSide.ASK,
        timeframe=Timeframe.M5,
        open="o",
        high="h",
        low="l",
        close="c",
    )
    content = 'Day,Time,O,H,L,C\n"03/07/2017","09:05","1.1","1.2","1.0","1.15"\n'
    raw = read_csv(tmp_path / "a.csv", content, preset="generic", layout=layout)
    assert closes(raw) == ["2017-07-03 14:05:00"]


def test_every_bad_row_keeps_its_place_and_gets_its_reason(tmp_path: Path) -> None:
    lines = [
        HISTDATA_ROW,
        "20170601 100100;1.12;1.12",
        "20170230 100200;1.12;1.12;1.12;1.12;0",
        "20170312 023000;1.12;1.12;1.12;1.12;0",
        "20171105 013000;1.12;1.12;1.12;1.12;0",
        "20170601 100130;1.12;1.12;1.12;1.12;0",
        "",
        "20170601 100300;1.12;1.12;1.12;1.12;0",
    ]
    raw = read_csv(tmp_path / "a.csv", "\r\n".join(lines), preset="histdata")
    assert raw.rows["fault"].tolist() == [
        "",
        Fault.MALFORMED_ROW,
        Fault.BAD_STAMP,
        Fault.NONEXISTENT_LOCAL_TIME,
        Fault.AMBIGUOUS_LOCAL_TIME,
        Fault.MISALIGNED_STAMP,
        Fault.MALFORMED_ROW,
        "",
    ]
    assert raw.rows["row_number"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert raw.raw_text(np.array([1, 6])) == [lines[1], ""]


def test_text_that_is_not_a_number_is_never_one(tmp_path: Path) -> None:
    lines = [
        "2023.03.14 14:30:00,abc,1.08,1.06,1.075,60,0,20",
        "2023.03.14 14:45:00,1_0,1.08,1.06,1.075,60,0,20",
        "2023.03.14 15:00:00,1.07,1.08,1.06,1.075,many,0,20",
        "2023.03.14 15:15:00,1.07,1.08,1.06,1.075,,0,20",
    ]
    content = "\n".join([SCRIPT_HEADER, *lines])
    rows = read_csv(tmp_path / "a.csv", content, preset="mt5", timeframe="M15", clock="UTC").rows
    assert rows["open"].isna().tolist() == [True, True, False, False]
    assert rows["fault"].tolist() == ["", "", Fault.NOT_A_NUMBER, ""]
    assert np.isnan(rows["volume"].iloc[3]), "no volume is unknown, not zero"


@pytest.mark.parametrize(
    ("name", "content", "options", "code"),
    [
        ("a.csv", "", {"preset": "histdata"}, "EMPTY_FILE"),
        ("a.csv", "\n\n", {"preset": "histdata"}, "EMPTY_FILE"),
        ("a.csv", "date,open\n1,2\n", {"preset": "histdata"}, "WRONG_PRESET"),
        ("a.csv", "a;b;c;d;e;f\n", {"preset": "histdata"}, "WRONG_PRESET"),
        ("a.csv", HISTDATA_ROW, {"preset": "mt5", "timeframe": "M15"}, "WRONG_PRESET"),
        (
            "a.csv",
            "Date,Open,High,Low,Close,Tickvol,Spread\n",
            {"preset": "mt5", "timeframe": "M15"},
            "EMPTY_FILE",
        ),
        ("a.csv", HISTDATA_ROW, {"preset": "histdata", "timeframe": "H1"}, "WRONG_TIMEFRAME"),
        ("a.csv", HISTDATA_ROW, {"preset": "histdata", "clock": "Mars/Base"}, "UNKNOWN_CLOCK"),
        ("a.csv", HISTDATA_ROW, {"preset": "histdata", "clock": "UTC+99:00"}, "UNKNOWN_CLOCK"),
        ("a.csv", b"\x80\x81\x82", {"preset": "histdata"}, "MALFORMED_FILE"),
        ("a.zip", HISTDATA_ROW, {"preset": "histdata"}, "MALFORMED_FILE"),
    ],
)
def test_a_file_that_cannot_be_read_so_is_refused_by_name(
    tmp_path: Path, name: str, content: str | bytes, options: dict[str, object], code: str
) -> None:
    with pytest.raises(SextantError) as refused:
        read_csv(tmp_path / name, content, **options)
    assert refused.value.code == code
    assert refused.value.exit_status == 2


def test_a_missing_file_a_folder_and_a_missing_timeframe_are_named(tmp_path: Path) -> None:
    for path, code in [(tmp_path / "none.csv", "FILE_NOT_FOUND"), (tmp_path, "UNREADABLE_FILE")]:
        with pytest.raises(SextantError) as refused:
            open_source(CsvConfig(path=path, preset="histdata")).read()
        assert (refused.value.code, refused.value.exit_status) == (code, 2)
    with pytest.raises(InvalidInput, match="how long its bars are"):
        read_csv(
            tmp_path / "a.csv",
            "Date,Open,High,Low,Close,Tickvol,Spread\n2023.03.14 14:30:00,1,1,1,1,1,1\n",
            preset="mt5",
        )


def test_a_damaged_zip_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a.csv", HISTDATA_ROW * 100)
    content = bytearray(path.read_bytes())
    content[40:60] = bytes(20)
    path.write_bytes(content)
    with pytest.raises(SextantError) as refused:
        open_source(CsvConfig(path=path, preset="histdata")).read()
    assert refused.value.code == "MALFORMED_FILE"


def test_the_settings_of_a_source_are_told_apart_by_kind_and_take_no_extras() -> None:
    settings: TypeAdapter[SourceConfig] = TypeAdapter(SourceConfig)
    assert settings.validate_python({"kind": "demo"}) == DemoConfig()
    for wrong in (
        {"kind": "other"},
        {"kind": "demo", "path": "x"},
        {"kind": "csv", "path": "x", "preset": "generic"},
    ):
        with pytest.raises(ValidationError):
            settings.validate_python(wrong)


def test_a_broker_on_new_york_time_and_one_on_european_time_differ_between_clock_changes() -> None:
    stamps = wall("2022-11-02T12:00", "2022-11-09T12:00")
    american, _ = to_utc(stamps, find_clock("broker-us"))
    european, _ = to_utc(stamps, find_clock("broker-eu"))
    assert ((european - american) // 3_600_000_000_000).tolist() == [1, 0]


def test_a_stamp_before_a_skipped_hour_is_not_moved() -> None:
    utc, fault = to_utc(
        wall("2017-03-12T01:59", "2017-03-12T02:00", "2017-03-12T03:00"),
        find_clock("America/New_York"),
    )
    assert fault.tolist() == ["", Fault.NONEXISTENT_LOCAL_TIME, ""]
    assert utc[2] - utc[0] == 60_000_000_000


def test_a_real_year_of_histdata_lies_wholly_within_new_yorks_trading_week(
    shared_data: Path,
) -> None:
    path = shared_data / "histdata_m1" / "EURUSD_2018.zip"
    raw = open_source(CsvConfig(path=path, preset="histdata")).read()
    assert (raw.rows["fault"] == "").all()
    local = pd.DatetimeIndex(raw.rows["closed_at_ns"].to_numpy().view("M8[ns]"))
    local = local.tz_localize("UTC").tz_convert("America/New_York") - pd.Timedelta("1min")
    assert local[local.dayofweek == 6].hour.min() == 17
    assert local[local.dayofweek == 4].hour.max() == 16
    assert not (local.dayofweek == 5).any()


def test_a_day_that_changes_its_clock_closes_at_its_own_midnight(tmp_path: Path) -> None:
    layout = CsvLayout(
        stamp=("time",), stamp_format="%Y.%m.%d", clock="America/New_York", side=PriceSide.BID
    )
    days = ("2017.11.04", "2017.11.05", "2017.11.06", "2018.03.10", "2018.03.11", "2018.03.12")
    lines = ["time,open,high,low,close", *(f"{day},1.1,1.1,1.1,1.1" for day in days)]
    raw = read_csv(
        tmp_path / "a.csv", "\n".join(lines), preset="generic", layout=layout, timeframe="D1"
    )
    assert closes(raw) == [
        "2017-11-05 04:00:00",
        "2017-11-06 05:00:00",
        "2017-11-07 05:00:00",
        "2018-03-11 05:00:00",
        "2018-03-12 04:00:00",
        "2018-03-13 04:00:00",
    ], "a bar of 25 hours is known after 25 hours, not before"


def test_a_bar_of_hours_that_ends_where_the_clock_is_put_back_closes_the_first_time(
    tmp_path: Path,
) -> None:
    layout = CsvLayout(
        stamp=("time",), stamp_format="%Y.%m.%d %H", clock="broker-us", side=PriceSide.BID
    )
    lines = ["time,open,high,low,close", *(f"2017.11.05 {h},1,1,1,1" for h in ("00", "04", "12"))]
    raw = read_csv(
        tmp_path / "a.csv", "\n".join(lines), preset="generic", layout=layout, timeframe="H4"
    )
    assert closes(raw) == ["2017-11-05 01:00:00", "2017-11-05 05:00:00", "2017-11-05 14:00:00"]


def test_a_carriage_return_within_a_row_makes_that_row_malformed_alone(tmp_path: Path) -> None:
    rows = [HISTDATA_ROW, HISTDATA_ROW.replace("1.12100;", "1.12100\r;"), HISTDATA_ROW]
    raw = read_csv(tmp_path / "a.csv", "\n".join(rows), preset="histdata")
    assert raw.rows["fault"].tolist() == ["", Fault.MALFORMED_ROW, ""]
