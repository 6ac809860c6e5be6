"""Features of many symbols, fanned out over Dask: the files of the serial run, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import LocalCluster

from feature_repo.bars import BarArrays
from feature_repo.panel import Panel
from online.domain.errors import InvalidMarketData
from online.domain.market import PriceSide, Timeframe
from pipelines.feature_steps import compute_offline, read_series
from pipelines.featurize_many import featurize_many, plan, run_quarter
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.sources.raw import BAR_COLUMNS, MICROSTRUCTURE
from tests.integration.feast_homes import served_home
from tests.laws.feature_data import frame_of, random_bars

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("prefect_storage")]

SYMBOLS = ("EURUSD", "GBPUSD", "USDJPY")


def fill(home: Home, symbol: str, bars: BarArrays) -> None:
    frame = frame_of(bars).reindex(columns=[*BAR_COLUMNS, *MICROSTRUCTURE])
    if bars.microstructure is None:  # the later bars were made of quotes, the series was not
        frame.loc[300:, ["spread_points", *MICROSTRUCTURE]] = 1.0
    Lake(home.lake).write_bars(symbol, Timeframe.H1, PriceSide.BID, frame, "test")


def market() -> dict[str, BarArrays]:
    """Three pairs over some quarters; the second has volume in the first quarter alone."""
    made = {symbol: random_bars(2600, seed) for seed, symbol in enumerate(SYMBOLS)}
    late = made["GBPUSD"]
    volume = np.where(np.arange(len(late)) < 300, late.volume, 0.0)
    columns = (late.open, late.high, late.low, late.close)
    return {**made, "GBPUSD": BarArrays(late.closed_at_ns, *columns, volume)}


def one_worker() -> Any:  # noqa: ANN401 - Dask has no types
    """Return a cluster that somebody else would run."""
    made: Callable[..., Any] = LocalCluster
    return made(n_workers=1, threads_per_worker=1, dashboard_address=None)


def files(home: Home) -> dict[str, bytes]:
    root = home.lake / "features"
    return {str(f.relative_to(root)): f.read_bytes() for f in sorted(root.rglob("*.parquet"))}


def test_dask_writes_the_files_of_the_serial_run(tmp_path: Path) -> None:
    serial = Home(tmp_path)
    with served_home() as home:
        for symbol, bars in market().items():
            for each in (serial, home):
                fill(each, symbol, bars)
        for symbol in SYMBOLS:
            compute_offline(serial, read_series(serial, symbol, Timeframe.H1))
        found = featurize_many(str(home.root), list(SYMBOLS), "H1", workers=2)
        written, expected = files(home), files(serial)
        for file in (home.lake / "features").rglob("*.parquet"):
            file.unlink()
        with one_worker() as cluster:
            again = featurize_many(
                str(home.root), list(SYMBOLS), "H1", scheduler=cluster.scheduler_address
            )
            ran = len(cluster.scheduler.transition_log)
        rewritten = files(home)
    assert [f.symbol for f in found] == list(SYMBOLS)
    assert all(f.quarters_computed >= 2 and f.quarters_current == 0 for f in found)
    assert written.keys() == expected.keys()
    assert len(written) > 20
    assert all(
        any(name.startswith(f"h1_{view}/") for name in written) for view in ("higher", "cross")
    )
    assert rewritten == written
    assert ran, "the given scheduler ran no task"
    assert sum(f.quarters_computed for f in again) == sum(f.quarters_computed for f in found)
    for name, content in written.items():
        assert content == expected[name], name


def test_a_quarter_alone_is_recognised_as_current(tmp_path: Path) -> None:
    home, bars = Home(tmp_path), market()["GBPUSD"]
    fill(home, "GBPUSD", bars)
    work = plan(read_series(home, "GBPUSD", Timeframe.H1))
    assert run_quarter(home, work[-1])
    assert not run_quarter(home, work[-1])
    compute_offline(home, read_series(home, "GBPUSD", Timeframe.H1))
    assert [run_quarter(home, each) for each in work] == [False] * len(work)


def test_a_lake_that_changed_since_the_plan_is_refused(tmp_path: Path) -> None:
    home, bars = Home(tmp_path), market()["EURUSD"]
    fill(home, "EURUSD", bars.part(0, 2000))
    work = plan(Panel("EURUSD", Timeframe.H1, bars))
    with pytest.raises(InvalidMarketData) as refusal:
        run_quarter(home, work[-1])
    assert refusal.value.code == "LAKE_CHANGED"
