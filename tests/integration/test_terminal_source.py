"""The live terminal as a source: a real gateway process over the simulated terminal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from online.domain.errors import Unavailable
from online.domain.market import Timeframe
from online.gateway.messages import Role
from online.instruments import find_instrument
from pipelines.cli import run
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.lake_ticks import TickLake
from pipelines.quality_gaps import Calendar
from pipelines.quality_ticks import check_ticks
from pipelines.resample import bars_from_ticks
from pipelines.sources.terminal import TerminalBars, TerminalConfig
from pipelines.sources.text import read_text
from pipelines.sources.ticks import LeanTicksConfig, read_day
from tests.live_terminal import LiveTerminal, live_terminal

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("prefect_storage", "own_environment"),
]
EURUSD = find_instrument("EURUSD")
HOURS = [pd.Timestamp(at).value for at in ("2014-05-06 21:30:20", "2014-05-07 07:15:30")]


@pytest.fixture(scope="module")
def quotes(shared_data: Path) -> pd.DataFrame:
    """Real quotes of some hours around midnight UTC, on whole milliseconds."""
    folder = shared_data / "oanda_ticks" / "eurusd"
    config = LeanTicksConfig(folder=folder, feed="oanda", clock="UTC")
    texts = [read_text(folder / f"201405{day}_quote.zip") for day in ("06", "07")]
    days = [check_ticks(read_day(text, config), EURUSD).ticks for text in texts]
    whole = pd.concat(days, ignore_index=True).drop_duplicates(ignore_index=True)
    return whole[whole["at_ns"].between(HOURS[0], HOURS[1])].reset_index(drop=True)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, quotes: pd.DataFrame) -> Iterator[LiveTerminal]:
    with live_terminal(tmp_path_factory.mktemp("world")) as terminal:
        terminal.quote(quotes)
        asyncio.run(terminal.world.ready())
        yield terminal


def words(live: LiveTerminal, home: Path, *more: str) -> list[str]:
    place = live.place
    common = ["--port", str(place["port"]), "--certificates", str(place["certificates"])]
    return ["ingest", *more, *common, "--home", str(home), "--json"]


def test_bars_are_read_on_utc_without_the_forming_one_and_a_second_time_adds_nothing(
    live: LiveTerminal, quotes: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = words(live, tmp_path, "--source", "terminal", "--timeframe", "M1")
    assert run(asked) == 0, capsys.readouterr().err
    report = json.loads(capsys.readouterr().out)
    assert (report["source"], report["clock"], report["quarantined"]) == (
        "terminal",
        "broker-us",
        {},
    )
    assert "proves nothing" in report["clock_evidence"][0]
    bars = Lake(Home(tmp_path).lake).read_bars("EURUSD", "M1")
    made = bars_from_ticks(quotes, Timeframe.M1, Calendar.CURRENCIES, point=EURUSD.point)
    assert report["added"] == len(bars) == len(made), "every closed bar, and not the forming one"
    names = ["closed_at_ns", "open", "high", "low", "close", "volume"]
    pd.testing.assert_frame_equal(bars[names], made[names])
    assert run(asked) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["added"], again["unchanged"]) == (0, len(made))


def test_bars_are_read_since_a_day(
    live: LiveTerminal, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--source", "terminal", "--timeframe", "M15", "--since", "2014-05-07")
    assert run(words(live, tmp_path, *asked)) == 0, capsys.readouterr().err
    first = Lake(Home(tmp_path).lake).read_bars("EURUSD", "M15")["closed_at_ns"].iloc[0]
    assert pd.Timestamp(first) == pd.Timestamp("2014-05-07 00:15")


def test_ticks_come_once_each_by_days_and_make_bars_with_their_microstructure(
    live: LiveTerminal, quotes: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("--source", "terminal-ticks", "--since", "2014-05-06", "--timeframes", "M1")
    for expected in (len(quotes), 0):
        assert run(words(live, tmp_path, *asked)) == 0, capsys.readouterr().err
        report = json.loads(capsys.readouterr().out)
        assert (report["added"], report["clock"]) == (expected, "broker-us")
    kept = TickLake(Home(tmp_path).lake).read_ticks("EURUSD", "terminal")
    pd.testing.assert_frame_equal(kept, quotes)
    bars = Lake(Home(tmp_path).lake).read_bars("EURUSD", "M1", microstructure=True)
    made = bars_from_ticks(quotes, Timeframe.M1, Calendar.CURRENCIES, point=EURUSD.point)
    pd.testing.assert_frame_equal(bars, made.iloc[1:].reset_index(drop=True)[list(bars.columns)])


def test_a_reader_only_reads(live: LiveTerminal) -> None:
    async def story() -> None:
        reader = live.world.broker(Role.READER)
        try:
            assert (await reader.status()).connected
            with pytest.raises(Unavailable, match="only an operator"):
                await reader.resume("nobody")
        finally:
            await reader.close()

    asyncio.run(story())


def test_a_symbol_that_the_terminal_does_not_know_is_told(live: LiveTerminal) -> None:
    config = TerminalConfig(symbol="GBPUSD", timeframe=Timeframe.M1, **live.place)
    with pytest.raises(Unavailable, match="symbol_select of GBPUSD") as refused:
        TerminalBars(config).read()
    assert refused.value.code == "PRICES_UNAVAILABLE"


def test_a_clock_by_which_the_newest_tick_would_be_of_the_future_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now_ns = pd.Timestamp.now("UTC").value // 1_000_000 * 1_000_000
    ticks = pd.DataFrame({"at_ns": now_ns + np.arange(-3, 1) * 60_000_000_000})
    ticks["bid"], ticks["ask"] = 1.1, 1.1002
    with live_terminal(tmp_path / "world", "[server_time]\noffset_hours = 0\n") as live:
        live.quote(ticks)
        asyncio.run(live.world.ready())
        asked = words(live, tmp_path, "--source", "terminal", "--timeframe", "M1")
        assert run(asked) == 2
    assert "CLOCK_CONTRADICTED" in capsys.readouterr().err
