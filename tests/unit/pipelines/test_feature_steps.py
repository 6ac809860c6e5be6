"""The offline store's files follow the lake, whatever became of it or of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from feature_repo.bars import BarArrays
from feature_repo.catalogue import served
from feature_repo.panel import Panel
from online.domain.errors import InvalidMarketData
from online.domain.market import PriceSide, Timeframe
from pipelines.feature_steps import compute_offline, read_series
from pipelines.featurize_many import plan, run_quarter
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.sources.raw import BAR_COLUMNS
from tests.laws.feature_data import frame_of, random_bars

SYMBOL, H1 = "EURUSD", Timeframe.H1
OTHERS = ("GBPUSD", "USDJPY")


def fill(home: Home, frame: pd.DataFrame, symbol: str = SYMBOL) -> None:
    bars = frame.reindex(columns=list(BAR_COLUMNS))
    Lake(home.lake).write_bars(symbol, H1, PriceSide.BID, bars, "test")


def files(home: Home, pattern: str) -> list[Path]:
    return sorted((home.lake / "features").glob(pattern))


def half_counted() -> pd.DataFrame:
    """Return bars of which a source without volume brought the first, another one the rest."""
    frame = frame_of(random_bars(900, seed=5))
    frame.loc[:400, "volume"] = np.nan
    return frame


def test_volume_that_is_known_of_some_bars_alone_is_no_input_of_the_series() -> None:
    bars = BarArrays.from_frame(half_counted())
    assert "volume" not in bars.inputs
    assert np.isnan(bars.volume).all()
    assert "volume_ratio_20" not in {f.name for f in served(Panel(SYMBOL, H1, bars))}
    wrong = half_counted()
    wrong.loc[800, "volume"] = -1.0
    with pytest.raises(InvalidMarketData, match="volume"):
        BarArrays.from_frame(wrong)


def test_a_quarter_read_by_itself_is_current_though_volume_is_known_in_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    fill(home, half_counted())
    panel = read_series(home, SYMBOL, H1)
    computed, _ = compute_offline(home, panel)
    assert computed >= 2
    assert not any(run_quarter(home, work) for work in plan(panel))


def test_a_file_that_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    home = Home(tmp_path)
    fill(home, frame_of(random_bars(300, seed=5)))
    panel = read_series(home, SYMBOL, H1)
    compute_offline(home, panel)
    cut = files(home, "h1_momentum/symbol=EURUSD/*.parquet")[-1]
    whole = cut.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    computed, _ = compute_offline(home, panel)
    assert computed == 1
    assert cut.read_bytes() == whole


def test_views_that_the_series_can_no_longer_serve_are_removed(tmp_path: Path) -> None:
    home, frame = Home(tmp_path), half_counted()
    fill(home, frame.iloc[401:])
    compute_offline(home, read_series(home, SYMBOL, H1))
    fill(home, frame_of(random_bars(900, seed=6)), "GBPUSD")
    compute_offline(home, read_series(home, "GBPUSD", H1))
    assert files(home, "h1_volume/symbol=EURUSD/*.parquet")
    fill(home, frame.iloc[:401])
    compute_offline(home, read_series(home, SYMBOL, H1))
    assert not files(home, "h1_volume/symbol=EURUSD/*.parquet")
    assert files(home, "h1_momentum/symbol=EURUSD/*.parquet")
    assert files(home, "h1_volume/symbol=GBPUSD/*.parquet"), "another symbol's stay"


def test_a_peer_that_is_silent_at_a_quarters_beginning_leaves_no_older_value_to_be_found(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path)
    silent_ns, back_ns = (pd.Timestamp(at).value for at in ("2019-12-30 20:00", "2020-01-02"))
    for seed, symbol in enumerate((SYMBOL, *OTHERS)):
        frame = frame_of(random_bars(600, seed, start="2019-12-16", weekends=True))
        silent = frame["closed_at_ns"].between(silent_ns, back_ns)
        fill(home, frame[~silent] if symbol == "GBPUSD" else frame, symbol)
    compute_offline(home, read_series(home, SYMBOL, H1))
    (quarter,) = files(home, "h1_cross/symbol=EURUSD/2020-Q1.parquet")
    held = pq.read_table(quarter).to_pandas()
    assert held["event_timestamp"].iloc[0] == pd.Timestamp("2020-01-01 01:00", tz="UTC")
    assert held["reference_beta_24"].isna().iloc[0]
    (quarter,) = files(home, "h1_cross/symbol=EURUSD/2019-Q4.parquet")
    held = pq.read_table(quarter).to_pandas()
    assert held["reference_beta_24"].notna().iloc[0], "rows in warm-up are left out"
