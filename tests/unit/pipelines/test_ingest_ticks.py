"""Bars of a live feed are made of quotes that were all read, and of no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from online.domain.errors import InvalidInput
from online.domain.market import Timeframe
from pipelines.home import Home
from pipelines.ingest_ticks import make_bars
from pipelines.lake import Lake
from pipelines.lake_ticks import TickLake

SYMBOL, FEED, H1 = "EURUSD", "terminal", Timeframe.H1
SECOND = 1_000_000_000


def read_from(home: Home, first: str, last: str) -> None:
    """Bring a quote every ten minutes of one day, as an ingestion does that ends within it."""
    stamps = np.arange(pd.Timestamp(first).value, pd.Timestamp(last).value, 600 * SECOND)
    bid = 1.1 + 1e-5 * np.arange(len(stamps))
    frame = pd.DataFrame({"at_ns": stamps, "bid": bid, "ask": bid + 1e-4})
    day_ns = pd.Timestamp(first).normalize().value
    lake = TickLake(home.lake)
    lake.extend_ticks(SYMBOL, FEED, f"terminal-{pd.Timestamp(first):%Y%m%d}", frame, day_ns)
    lake.cover(SYMBOL, FEED, int(stamps[0]), int(stamps[-1]))


def closes(home: Home) -> list[str]:
    make_bars.fn(home, SYMBOL, FEED, H1, 0)
    stamps = Lake(home.lake).read_bars(SYMBOL, H1)["closed_at_ns"]
    return [f"{pd.Timestamp(at):%d %H}" for at in stamps]


def test_no_bar_is_made_of_the_part_of_it_that_an_ingestion_happened_to_read(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path)
    read_from(home, "2026-11-16 09:05", "2026-11-16 12:30")
    read_from(home, "2026-11-18 00:05", "2026-11-18 03:10")
    assert closes(home) == ["16 11", "16 12", "18 02", "18 03"], "13:00 was read by half"


def test_what_is_read_later_of_the_same_day_completes_its_bars(tmp_path: Path) -> None:
    home = Home(tmp_path)
    read_from(home, "2026-11-16 09:05", "2026-11-16 12:30")
    assert closes(home) == ["16 11", "16 12"]
    read_from(home, "2026-11-16 09:05", "2026-11-16 14:30")
    assert closes(home) == ["16 11", "16 12", "16 13", "16 14"]


def test_a_record_of_what_was_read_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    home = Home(tmp_path)
    read_from(home, "2026-11-16 09:05", "2026-11-16 12:30")
    (file,) = home.lake.rglob("coverage.json")
    file.write_text("[[1")
    with pytest.raises(InvalidInput) as refused:
        closes(home)
    assert refused.value.code == "LAKE_FILE_CORRUPT"


def test_a_day_that_was_cut_short_is_named(tmp_path: Path) -> None:
    home = Home(tmp_path)
    read_from(home, "2026-11-16 09:05", "2026-11-16 12:30")
    (file,) = home.lake.rglob("terminal-20261116.parquet")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(InvalidInput) as refused:
        closes(home)
    assert refused.value.code == "LAKE_FILE_CORRUPT"
