"""`sextant ingest` and `sextant data`, as their user sees them."""

from __future__ import annotations

import json
import re
import shlex
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipelines.cli import run
from pipelines.commands.ingesting import KINDS
from pipelines.home import Home
from pipelines.lake import Lake
from tests.conftest import REPOSITORY

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("prefect_storage", "own_environment"),
]
GUIDE = REPOSITORY / "pipelines" / "sources" / "README.md"
LINES_KEPT = 3000


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(list(arguments)) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def small_copy(source: Path, target: Path) -> None:
    """Copy the data: dirty files and OANDA's EURUSD whole, the beginning of each other file."""
    for path in sorted(source.rglob("*.*")):
        copy = target / path.relative_to(source)
        if not path.is_file() or (path.parent.name == "xauusd" and "20140501" not in path.name):
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.parent.name != "histdata_m1":
            copy.symlink_to(path)
            continue
        with zipfile.ZipFile(path) as whole, zipfile.ZipFile(copy, "w") as part:
            (name,) = (name for name in whole.namelist() if name.endswith(".csv"))
            with whole.open(name) as lines:
                part.writestr(name, b"".join(next(lines) for _ in range(LINES_KEPT)))


def test_the_guide_brings_in_every_file_and_the_list_counts_every_fault(
    tmp_path: Path,
    shared_data: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small_copy(shared_data, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```bash\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.strip().splitlines()]
    assert lines[0] == "export DATA=../shared/data"
    for line in lines[1:]:
        program, *arguments = shlex.split(line.replace("$DATA", str(tmp_path / "data")))
        assert program == "sextant"
        arguments = [each.replace("pipelines/", f"{REPOSITORY}/pipelines/") for each in arguments]
        assert run(arguments) == 0, (line, capsys.readouterr().err)
    assert "<img" in (tmp_path / "usdcad.html").read_text()
    capsys.readouterr()

    found = json.loads(told(capsys, "data", "list", "--json"))
    series = {(s["symbol"], s["timeframe"]): s for s in found["bars"]}
    assert len(series) == 15
    assert len({s for s, _ in series}) == 9
    dollar = series["USDCAD", "M15"]
    assert dollar["quarantined"] == {"DUPLICATE_ROW": 9969}
    assert dollar["largest_gap"]["duration_on_source_clock"] == "145 days 20:30:00"
    swiss = series["USDCHF", "M15"]["largest_gap"]["duration_on_source_clock"]
    assert swiss.startswith("374 days")
    quotes = {(q["symbol"], q["feed"]): q for q in found["ticks"]}
    dirty, clean = quotes["EURUSD", "fxcm"], quotes["EURUSD", "oanda"]
    assert dirty["rows_read"] == 205_602
    assert dirty["quarantined"] == {"ZERO_SPREAD": 25_522, "NEGATIVE_SPREAD": 21_039}
    assert (clean["rows_read"], clean["quarantined"]) == (532_903, {})

    shown = " ".join(told(capsys, "data", "list").split())
    for words in ("9,969 DUPLICATE_ROW", "145 days 20:30:00", "21,039 NEGATIVE_SPREAD", "532,903"):
        assert words in shown


def test_the_guide_links_to_files_that_exist() -> None:
    linked = re.findall(r"\]\(([^)]+)\)", GUIDE.read_text(encoding="utf-8"))
    assert len(linked) > 10
    assert [path for path in linked if not (GUIDE.parent / path).exists()] == []


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """A home with a synthetic EURUSD and two days of quotes."""
    folder = str(tmp_path / "home")
    words = "--source synthetic --seed 3 --bars 400 --timeframe H1 --start 2019-01-01"
    report = json.loads(told(capsys, "ingest", *words.split(), "--home", folder, "--json"))
    assert (report["added"], report["source"]) == (400, "synthetic")
    return folder


def test_a_generic_file_is_described_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.csv"
    hours = "\n".join(f"2019-01-02 {hour:02d}:00,1.1,1.3,1.0,1.2" for hour in range(4, 9))
    path.write_text(f"when,o,h,l,c\n{hours}\n")
    layout = {
        "stamp": '["when"]',
        "stamp_format": "%Y-%m-%d %H:%M",
        "clock": "UTC",
        "side": "bid",
        **dict(zip(("open", "high", "low", "close"), "ohlc", strict=True)),
    }
    words = [word for name, value in layout.items() for word in ("--set", f"layout.{name}={value}")]
    given = ["--source", "csv", "--preset", "generic", "--timeframe", "H1", "--path", str(path)]
    shown = told(capsys, "ingest", *given, *words, "--home", str(tmp_path / "home"))
    assert "5 added to the lake" in shown


def test_a_clock_is_proved_or_refused_by_a_series_of_the_lake(
    home: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = Lake(Home(Path(home)).lake)
    bars = lake.read_bars("EURUSD", "H1")
    stamps = pd.DatetimeIndex((bars["closed_at_ns"] - 3_600_000_000_000).to_numpy().view("M8[ns]"))
    path = tmp_path / "same.csv"
    prices = bars[["open", "high", "low", "close"]]
    table = prices.assign(Date=stamps.strftime("%Y.%m.%d %H:%M:%S"), Tickvol=1, Spread=1)
    table.to_csv(path, index=False)
    words = f"ingest --source csv --preset mt5 --timeframe H1 --symbol EURUSD --path {path}"
    common = [*words.split(), "--reference", "EURUSD.H1", "--home", home, "--json"]
    assert run([*common, "--clock", "UTC+02:00"]) == 2
    assert "CLOCK_CONTRADICTED" in capsys.readouterr().err
    report = json.loads(told(capsys, *common, "--clock", "UTC"))
    assert "UTC: hourly returns correlate 1.000 with EURUSD H1" in report["clock_evidence"][0]


def test_several_files_come_in_one_after_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words: list[str] = []
    for day in ("02", "03"):
        path = tmp_path / f"{day}.csv"
        path.write_text("\n".join(f"201801{day} 10{m:02d}00;1.1;1.2;1.0;1.1;0" for m in range(3)))
        words += ["--path", str(path)]
    given = ["--source", "csv", "--preset", "histdata", "--home", str(tmp_path / "home"), "--json"]
    reports = json.loads(told(capsys, "ingest", *given, *words))
    assert [report["added"] for report in reports] == [3, 3]


def test_a_series_is_shown_by_its_ends_and_its_statistics(
    home: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found: dict[str, Any] = json.loads(
        told(capsys, "data", "show", "--rows", "2", "--home", home, "--json")
    )
    assert (found["rows"], len(found["head"]), len(found["tail"])) == (400, 2, 2)
    assert found["head"][0]["closed_at"] == "2019-01-01T01:00:00.000Z"
    figures = {row["column"]: row for row in found["statistics"]}
    assert figures["low"]["min"] <= figures["close"]["50%"] <= figures["high"]["max"]
    assert "first of 400 rows" in told(capsys, "data", "show", "--home", home)
    days = ["--since", "2019-01-03", "--until", "2019-01-04"]
    part = json.loads(told(capsys, "data", "show", *days, "--home", home, "--json"))
    assert part["rows"] == 24


def test_gaps_are_listed_against_the_session_calendar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, home = tmp_path / "a.csv", str(tmp_path / "home")
    minutes = [0, 1, 5, 6, 20]
    path.write_text("\n".join(f"20180103 10{m:02d}00;1.1;1.2;1.0;1.1;0" for m in minutes))
    told(capsys, *f"ingest --source csv --preset histdata --path {path} --home {home}".split())
    words = ["data", "gaps", "--timeframe", "M1", "--home", home]
    found = json.loads(told(capsys, *words, "--json"))
    assert [gap["missing_bars"] for gap in found] == [3, 13]
    shown = told(capsys, *words, "--at-least", "5")
    assert "2 gaps, 16 bars missing; 1 shown." in shown


def test_a_series_is_drawn_as_a_picture_or_a_page(
    home: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(capsys, "data", "plot", "--out", str(tmp_path / "new" / "a.png"), "--home", home)
    assert (tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")
    told(capsys, "data", "plot", "--out", str(tmp_path / "a.html"), "--home", home)
    assert "400 bars" in (tmp_path / "a.html").read_text()


def test_bars_of_so_many_quotes_are_written_and_bars_on_the_clock_show_what_quotes_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, home, out = tmp_path / "eurusd", str(tmp_path / "home"), tmp_path / "b.parquet"
    folder.mkdir()
    with zipfile.ZipFile(folder / "20140501_quote.zip", "w") as archive:
        lines = [f"{1000 * i},1.3{i % 7:04d},1.3{i % 7 + 2:04d}" for i in range(1, 400)]
        archive.writestr("a.csv", "\n".join(lines))
    words = f"--source ticks --feed oanda --clock UTC --timeframes M1 --path {folder}"
    shown = told(capsys, "ingest", *words.split(), "--home", home)
    assert "6 M1 bars made of the quotes" in shown
    words = f"data activity --feed oanda --quotes 50 --out {out} --home {home}"
    assert "7 bars of 399 quotes" in told(capsys, *words.split())
    assert pd.read_parquet(out)["volume"].tolist() == [50.0] * 7
    assert run([*words.replace(" 50 ", " 500 ").split()]) == 2
    assert "399 quotes make no bar of 500" in capsys.readouterr().err
    found = json.loads(told(capsys, "data", "show", "--timeframe", "M1", "--home", home, "--json"))
    assert {"tick_imbalance", "realised_variance"} <= set(found["head"][0])


def test_bars_of_so_much_volume_are_made_of_whole_bars(
    home: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "volume.parquet"
    words = f"data activity --timeframe H1 --volume 5000 --out {out} --home {home}"
    assert "bars of 400 H1 bars written" in told(capsys, *words.split())
    made, bars = pd.read_parquet(out), Lake(Home(Path(home)).lake).read_bars("EURUSD", "H1")
    assert (made["volume"] >= 5000).all()
    ends = bars["closed_at_ns"].searchsorted(made["closed_at_ns"])
    last = bars["volume"].to_numpy()[ends]
    assert (made["volume"] - last < 5000).all(), "a bar is over as soon as the volume is reached"
    assert made["volume"].sum() == bars["volume"].iloc[: ends[-1] + 1].sum()
    first = bars.iloc[: ends[0] + 1]
    assert made.iloc[0][["open", "high", "low", "close"]].tolist() == [
        *(first["open"].iloc[0], first["high"].max(), first["low"].min(), first["close"].iloc[-1])
    ]
    assert run(words.replace(" 5000 ", " 0 ").split()) == 2
    assert "BAD_AMOUNT" in capsys.readouterr().err
    assert run(words.replace(" 5000 ", " 1e12 ").split()) == 2
    assert "400 H1 bars make no bar" in capsys.readouterr().err


def test_sources_of_one_series_merge_by_rank_and_each_row_knows_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = str(tmp_path / "home")
    for name, price, rank, expected in (
        ("low", "1.1", "0", (4, 0)),
        ("high", "1.2", "5", (0, 2)),
        ("late", "1.3", "1", (2, 2)),
    ):
        path = tmp_path / f"{name}.csv"
        minutes = {"low": range(4), "high": range(2), "late": range(2, 6)}[name]
        rows = [f"20180102 10{m:02d}00;{price};{price};{price};{price};0" for m in minutes]
        path.write_text("\n".join(rows))
        words = f"ingest --source csv --preset histdata --path {path} --priority {rank}"
        report = json.loads(told(capsys, *words.split(), "--home", home, "--json"))
        assert (report["added"], report["replaced"]) == expected
    shown = json.loads(told(capsys, "data", "show", "--timeframe", "M1", "--home", home, "--json"))
    assert [(s["priority"], s["rows"]) for s in shown["sources"]] == [(1, 4), (5, 2)]
    assert [row["close"] for row in shown["head"]] == [1.2, 1.2, 1.3, 1.3, 1.3]
    assert "Rows by source" in told(capsys, "data", "show", "--timeframe", "M1", "--home", home)


def test_longer_bars_are_made_once(home: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["data", "resample", "--from", "H1", "--to", "H4,D1", "--home", home]
    first = json.loads(told(capsys, *words, "--json"))
    assert [report["target"] for report in first] == ["H4", "D1"]
    assert first[0]["added"] > 90
    assert f"0 added, {first[0]['added']} there already" in told(capsys, *words)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("ingest --source nope", "expected one of demo, csv, parquet, ticks, terminal"),
        ("ingest --source csv", "--path is needed; --preset is needed"),
        ("ingest --source csv --preset histdata --path a --feed oanda", "--feed is not one of"),
        (
            "ingest --source csv --preset histdat --path a",
            "csv: --preset: expected histdata, mt5, cryptodatadownload or generic, got 'histdat'",
        ),
        ("ingest --source csv --preset histdata --path absent.csv", "there is no file absent.csv"),
        ("data show --since 2018-01-01 --until 2017-01-01", "--until must be after --since"),
        ("ingest --source ticks --path a --feed oanda", "--clock is needed"),
        ("ingest --source ticks --path . --feed oanda --clock UTC --reference A.H1", "of bars"),
        ("ingest --source demo --reference EURUSD", "SYMBOL.TIMEFRAME such as EURUSD.H1"),
        ("ingest --source demo --reference EURUSD.H1", "EMPTY_LAKE"),
        ("ingest --timeframes M1", "--timeframes belongs to --source ticks"),
        ("ingest --source parquet --path a --timeframe H7", "--timeframe: Input should be 'M1'"),
        ("ingest --source parquet --path a --timeframe H1", "FILE_NOT_FOUND"),
        ("ingest --source csv --preset histdata --path a --set x", "NAME=VALUE, got 'x'"),
        (
            "ingest --source csv --preset generic --path a --set layout.stamp=3",
            "--set layout.stamp",
        ),
        ("ingest --source csv --preset mt5 --path a --set clock.x=3 --clock UTC", "is a value"),
        ("data fill absent.toml --data .", "absent.toml cannot be read"),
        ("data fill pyproject.toml --data .", "has no tables [[source]]"),
        ("data fill pipelines/sources/recipe.toml --data tests", "source 1: no file histdata_m1"),
        ("data show", "EMPTY_LAKE"),
        ("data show --feed oanda", "NO_TICKS"),
        ("data gaps --timeframe H7", "UNKNOWN_TIMEFRAME"),
        ("data plot --out a.gif", "ending in .png or .html"),
        ("data activity --feed oanda --quotes 5 --out a.csv", "ending in .parquet"),
        ("data activity --feed oanda --quotes 5 --out a.parquet --side mid", "bid or ask"),
        ("data activity --feed oanda --volume 5 --out a.parquet", "--feed and --quotes, or"),
        ("data activity --timeframe H1 --volume 0 --out a.parquet", "EMPTY_LAKE"),
        ("features --workers 2", "belong to --symbols"),
        ("features --symbols EURUSD --until 2019-01-01", "belongs to one --symbol"),
        ("data resample --from M1 --to ,", "names no length of bars"),
        ("data resample --from M1 --to H1", "EMPTY_LAKE"),
    ],
)
def test_a_bad_argument_is_one_sentence_and_status_2(
    words: str,
    sentence: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(REPOSITORY)
    assert run([*words.split(), "--home", str(tmp_path / "home")]) == 2
    said = capsys.readouterr()
    assert sentence in said.err.splitlines()[0]
    assert "Traceback" not in said.err + said.out


@pytest.mark.parametrize("words", ["ingest", "train", "up", "demo", "models list"])
def test_a_home_that_nothing_can_be_written_to_is_named_at_once(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run([*words.split(), "--home", str(tmp_path / "file" / "home")]) == 1
    assert "sextant: HOME_NOT_WRITABLE: nothing can be written to" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_named(
    home: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    out = str(tmp_path / "file" / "plot.html")
    assert run(["data", "plot", "--timeframe", "H1", "--out", out, "--home", home]) == 1
    said = capsys.readouterr().err
    assert f"sextant: {tmp_path / 'file'}" in said
    assert "cannot be used" in said


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ("source = 3", "has no tables [[source]]"),
        ('[source]\nsymbol = "EURUSD"', "has no tables [[source]]"),
        ("[[source]]", "source 1: Object missing required field `symbol`"),
        ('[[source]]\nsymbol = 1\nsource = "csv"\npath = "*"', "got `int` - at `$.symbol`"),
        ('[[source]]\nsymbol = "EURUSD"\nsource = "csv"\npath = "/a/*"', "relative to the folder"),
        ('[[source]]\nsymbol = "EURUSD"\nsource = "csv"\npath = ""', "length >= 1"),
        (
            '[[source]]\nsymbol = "EURUSD"\nsource = "csv"\npath = "*"\npriority = "high"',
            "Expected `int`, got `str` - at `$.priority`",
        ),
        (
            '[[source]]\nsymbol = "EURUSD"\nsource = "csv"\npath = "*"\nprset = "mt5"',
            "--set prset is not one of its options",
        ),
    ],
)
def test_a_wrong_recipe_is_one_sentence_and_status_2(
    recipe: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text(recipe)
    assert run(["data", "fill", str(file), "--data", str(tmp_path)]) == 2
    assert sentence in capsys.readouterr().err.splitlines()[0]


def test_the_help_names_every_kind_of_source_with_an_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = " ".join(told(capsys, "ingest", "--help").split())
    for kind in KINDS:
        assert f"sextant ingest --source {kind}" in shown
    for name in ("list", "show", "gaps", "plot", "resample", "activity", "fill"):
        assert f"sextant data {name}" in told(capsys, "data", name, "--help").replace(
            "Usage: ", "", 1
        )
