"""The ingest flow, run on Prefect: read, check, write, report; twice adds nothing."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pandas as pd
import pytest
from prefect.client.orchestration import get_client

from online.domain.errors import SextantError
from online.domain.market import PriceSide, Timeframe
from pipelines.aggregate import aggregate
from pipelines.home import Home
from pipelines.ingest import RETRY_DELAYS_SECONDS, ingest
from pipelines.ingest_ticks import ingest_ticks
from pipelines.lake import Lake
from pipelines.quality_report import IngestReport
from pipelines.reading_cache import BYTES_MAX, PREFIX
from pipelines.sources.delimited import CsvConfig
from pipelines.sources.demo import DemoConfig
from pipelines.sources.ticks import LeanTicksConfig

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("prefect_storage")]


def histdata(path: Path, *prices: str) -> CsvConfig:
    rows = [f"20170601 10{minute:02d}00;{four};0" for minute, four in enumerate(prices)]
    path.write_text("\n".join(rows))
    return CsvConfig(path=path, preset="histdata")


GOOD = "1.1;1.2;1.0;1.15"


def test_the_demonstration_comes_in_once_and_its_report_says_so(tmp_path: Path) -> None:
    first = ingest(tmp_path, DemoConfig(), "EURUSD")
    again = ingest(str(tmp_path), DemoConfig(), "EURUSD")
    assert (first.bars, first.added, first.quarantined) == (6225, 6225, {})
    assert (again.added, again.unchanged) == (0, 6225)
    assert (first.price_side, first.gaps, first.bars_out_of_session) == ("ask", 0, 0)
    assert "6,225 added" in first.headline
    bars = Lake(Home(tmp_path).lake).read_bars("EURUSD", "H1")
    assert len(bars) == 6225
    assert bars["closed_at_ns"].iloc[0] == first.first_closed_at_ns


def test_a_source_can_be_given_as_plain_data_as_deployments_do(tmp_path: Path) -> None:
    given = {"kind": "synthetic", "seed": 3, "bars": 50, "timeframe": "H1"}
    report = ingest(tmp_path, {**given, "start": "2019-01-02T00:00:00Z"}, "EURUSD")  # type: ignore[call-overload]  # Prefect makes the settings of it
    assert (report.source, report.added) == ("synthetic", 50)


def test_a_cached_reading_is_still_written_into_a_fresh_lake(
    tmp_path: Path, prefect_storage: Path
) -> None:
    for name in ("one", "two"):
        assert ingest(tmp_path / name, DemoConfig(), "EURUSD").added == 6225
    digests = {Lake(Home(tmp_path / n).lake).digest("EURUSD", "H1") for n in ("one", "two")}
    assert len(digests) == 1
    kept = [path.stat().st_size for path in prefect_storage.glob(f"{PREFIX}*")]
    assert 0 < sum(kept) < BYTES_MAX


def test_bad_rows_are_kept_in_quarantine_and_counted_in_every_report(tmp_path: Path) -> None:
    source = histdata(
        tmp_path / "a.csv", GOOD, "1.1;nan;1.0;1.1", "-1;1;1;1", "1.1;1.0;1.2;1.1", GOOD, GOOD
    )
    report = ingest(tmp_path, source, "EURUSD")
    expected = {"NOT_A_NUMBER": 1, "NON_POSITIVE_PRICE": 1, "HIGH_BELOW_LOW": 1}
    assert report.quarantined == expected
    assert (report.rows_read, report.added, report.missing_bars) == (6, 3, 3)
    assert report.quarantine is not None
    table = pd.read_parquet(report.quarantine)
    assert table["row_number"].tolist() == [2, 3, 4]
    assert table["raw_text"].iloc[1] == "20170601 100200;-1;1;1;1;0"
    assert set(table["source_file"]) == {"a.csv"}
    assert json.loads(Path(report.report_json).read_text())["quarantined"] == expected
    page = Path(report.report_html).read_text()
    assert page.count("<img") == 2
    assert "HIGH_BELOW_LOW" in page


def test_a_row_that_contradicts_the_lake_is_quarantined_and_the_lake_stays(
    tmp_path: Path,
) -> None:
    ingest(tmp_path, histdata(tmp_path / "a.csv", GOOD, GOOD, GOOD), "EURUSD")
    other = histdata(tmp_path / "b.csv", GOOD, "1.1;1.2;1.0;1.19", GOOD, GOOD)
    report = ingest(tmp_path, other, "EURUSD")
    assert (report.added, report.unchanged) == (1, 2)
    assert report.quarantined == {"CONFLICTS_WITH_LAKE": 1}
    assert report.quarantine is not None
    refused = pd.read_parquet(report.quarantine)
    assert refused["row_number"].tolist() == [2]
    assert "1.19" in refused["raw_text"].iloc[0]
    kept = Lake(Home(tmp_path).lake).read_bars("EURUSD", "M1")
    assert kept["close"].tolist() == [1.15] * 4
    table = Path(str(report.quarantine))
    assert table.exists()
    ranked = ingest(tmp_path, other, "EURUSD", priority=1)
    assert not table.exists(), "what was refused has been taken"
    assert (ranked.replaced, ranked.quarantined) == (1, {})


def test_prefect_shows_the_report_as_an_artifact(tmp_path: Path) -> None:
    source = histdata(tmp_path / "a.csv", GOOD, "1.1;1.0;1.2;1.1", GOOD)
    headline = ingest(tmp_path, source, "GBPUSD").headline

    async def shown() -> str:
        async with get_client() as client:
            found = await client.read_artifacts()
        return "".join(str(a.data) for a in found if a.key == "ingest-gbpusd-m1")

    text = asyncio.run(shown())
    assert headline in text
    assert "| HIGH_BELOW_LOW | 1 |" in text


@pytest.mark.parametrize(
    ("symbol", "prices", "code"),
    [
        ("EURXXX", [GOOD], "UNKNOWN_SYMBOL"),
        ("EURUSD", ["1;1;1;nan", "-1;1;1;1"], "NOTHING_USABLE"),
        ("EURUSD", ["a;b"], "WRONG_PRESET"),
    ],
)
def test_a_refused_ingestion_fails_once_by_name_and_writes_nothing(
    tmp_path: Path, symbol: str, prices: list[str], code: str
) -> None:
    started = time.monotonic()
    with pytest.raises(SextantError) as refused:
        ingest(tmp_path / "home", histdata(tmp_path / "a.csv", *prices), symbol)
    assert (refused.value.code, refused.value.exit_status) == (code, 2)
    assert not (tmp_path / "home").exists()
    tried_again_seconds = sum(RETRY_DELAYS_SECONDS)
    assert time.monotonic() - started < tried_again_seconds, "wrong input must not be tried again"


def test_a_file_named_for_another_symbol_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SextantError) as refused:
        ingest(tmp_path / "home", DemoConfig(), "GBPUSD")
    assert refused.value.code == "SYMBOL_MISMATCH"


def test_a_file_of_another_order_of_prices_than_the_lakes_is_refused(tmp_path: Path) -> None:
    ingest(tmp_path, histdata(tmp_path / "a.csv", GOOD, GOOD), "EURUSD")
    yen = histdata(tmp_path / "b.csv", "110;120;100;115", "110;120;100;115")
    with pytest.raises(SextantError, match="prices about 115, the lake's M1 bars") as refused:
        ingest(tmp_path, yen, "EURUSD")
    assert (refused.value.code, refused.value.exit_status) == ("WRONG_SCALE", 2)


def test_a_series_of_the_other_side_is_refused_and_the_lake_stays(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    report: IngestReport = ingest(tmp_path, DemoConfig(), "EURUSD")
    path.write_text(
        "Date,Open,High,Low,Close,Tickvol,Volume,Spread\n2018.01.03 14:00:00,1.1,1.2,1,1.1,5,0,1\n"
    )
    with pytest.raises(SextantError) as refused:
        ingest(
            tmp_path,
            CsvConfig.model_validate(
                {"path": path, "preset": "mt5", "timeframe": "H1", "clock": "broker-eu"}
            ),
            "EURUSD",
        )
    assert refused.value.code == "MIXED_PRICE_SIDES"
    assert Lake(Home(tmp_path).lake).describe()[0].bars == report.bars


def test_a_year_of_minutes_comes_in_whole(tmp_path: Path, shared_data: Path) -> None:
    source = CsvConfig(path=shared_data / "histdata_m1" / "EURUSD_2017.zip", preset="histdata")
    report = ingest(tmp_path, source, "EURUSD")
    assert (report.added, report.bars_out_of_session) == (371_635, 0)


def test_dirty_quotes_come_in_with_their_faults_counted_and_bars_made_of_them(
    tmp_path: Path, shared_data: Path
) -> None:
    source = LeanTicksConfig(
        folder=shared_data / "fxcm_ticks_dirty" / "eurusd", feed="fxcm", clock="UTC-05:00"
    )
    first = ingest_ticks(tmp_path, source, "EURUSD", (Timeframe.M5, Timeframe.H1))
    again = ingest_ticks(tmp_path, source, "EURUSD", (Timeframe.M5, Timeframe.H1))
    assert first.quarantined == {"ZERO_SPREAD": 25_522, "NEGATIVE_SPREAD": 21_039}
    assert (first.rows_read, first.added) == (205_602, 205_602 - 25_522 - 21_039)
    assert (again.added, again.bars) == (0, {"M5": 0, "H1": 0})
    bars = Lake(Home(tmp_path).lake).read_bars("EURUSD", "M5")
    assert len(bars) == first.bars["M5"] > 500
    assert (bars["spread_points"] > 0).all()
    told = Lake(Home(tmp_path).lake).read_bars("EURUSD", "M5", microstructure=True)
    assert (told["realised_variance"] > 0).mean() > 0.9
    assert told["tick_imbalance"].abs().max() <= 1.0
    assert "NEGATIVE_SPREAD" in Path(first.report_html).read_text()
    kept = list((Home(tmp_path).lake / "quarantine").rglob("*.parquet"))
    assert sum(len(pd.read_parquet(path)) for path in kept) == 25_522 + 21_039


def test_a_folder_of_quotes_of_another_symbol_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gbpusd").mkdir()
    source = LeanTicksConfig(folder=tmp_path / "gbpusd", feed="oanda", clock="UTC")
    for symbol, code in (("EURUSD", "SYMBOL_MISMATCH"), ("GBPUSD", "FILE_NOT_FOUND")):
        with pytest.raises(SextantError) as refused:
            ingest_ticks(tmp_path / "home", source, symbol)
        assert (refused.value.code, refused.value.exit_status) == (code, 2)


def test_longer_bars_are_made_once_mended_when_minutes_come_late_and_yield_to_a_source(
    tmp_path: Path,
) -> None:
    late = "20170601 100500"
    rows = [f"20170601 {10 + m // 60}{m % 60:02d}00;1.1;1.2;1.0;1.15;0" for m in range(130)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(row for row in rows if not row.startswith(late)))
    ingest(tmp_path, CsvConfig(path=path, preset="histdata"), "EURUSD")

    def make() -> tuple[int, int, int, int]:
        (report,) = aggregate(tmp_path, "EURUSD", Timeframe.M1, (Timeframe.M15,))
        return report.added, report.unchanged, report.replaced, report.refused

    assert make() == (8, 0, 0, 0)
    assert make() == (0, 8, 0, 0)
    path.write_text("\n".join([*rows[:5], f"{late};1.1;1.4;1.0;1.15;0", *rows[6:]]))
    ingest(tmp_path, CsvConfig(path=path, preset="histdata"), "EURUSD")
    assert make() == (0, 7, 1, 0)
    lake = Lake(Home(tmp_path).lake)
    own = lake.read_bars("EURUSD", "M15").assign(high=1.3)
    lake.write_bars("EURUSD", "M15", PriceSide.BID, own, "broker")
    assert make() == (0, 0, 0, 8)
    assert set(lake.read_bars("EURUSD", "M15")["high"]) == {1.3}
