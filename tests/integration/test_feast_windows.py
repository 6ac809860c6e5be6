"""Windows through the real store: featurized, pushed, read by the scorer, asked for in history."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import msgspec
import numpy as np
import pandas as pd
import pytest
from feast import FeatureStore

from feature_repo.bars import BarArrays
from feature_repo.catalogue import available, contract
from feature_repo.engine import FeatureStream, compute_batch
from feature_repo.objects import window_reference
from feature_repo.panel import Panel
from feature_repo.store import open_store
from feature_repo.window import pack_each
from feature_repo.windows import find_window
from online.adapters.feast_redis import FeastRedisReader
from online.adapters.redis_connection import RedisAddress
from online.domain.errors import InvalidInput
from online.domain.market import Timeframe
from online.domain.vector import VectorReading, judge_reading
from pipelines import feature_steps
from pipelines.home import Home
from pipelines.push import VectorPusher
from pipelines.window_steps import open_windows, recent_vectors
from tests.integration.feast_homes import SYMBOL, fill_lake, priced_bars, served_home

pytestmark = pytest.mark.integration
H1 = Timeframe.H1
WINDOW = find_window("default_32")
CONTRACT = msgspec.structs.replace(contract(H1), window=WINDOW.contract(H1))
CUT = 500
"""Bars featurized; the rest is streamed."""


class Line:
    """A home featurized up to the cut, and what goes on from there."""

    def __init__(self, home: Home) -> None:
        self.home, self.bars = home, priced_bars()
        fill_lake(home, self.bars)
        self.known = self.bars.part(0, CUT)
        feature_steps.compute_offline(home, Panel(SYMBOL, H1, self.known))
        self.newest_ns = feature_steps.serve_newest(home, Panel(SYMBOL, H1, self.known), "sextant")
        self.store: FeatureStore = open_store(feature_steps.store_paths(home))
        self.features = available(self.bars.inputs)
        self.pusher = VectorPusher(self.store, SYMBOL, H1, self.features, [WINDOW])
        values = compute_batch(self.bars, WINDOW.entries(H1))
        vectors = np.stack([values[f.name] for f in WINDOW.entries(H1)], axis=1)
        self.batch = dict(pack_each(vectors, WINDOW.length))

    def read(self) -> VectorReading:
        reader = FeastRedisReader(RedisAddress(str(self.home.valkey_socket)), "sextant")

        async def ask() -> VectorReading:
            try:
                return await reader.read(SYMBOL, CONTRACT)
            finally:
                await reader.close()

        return asyncio.run(ask())

    def stream(self, bars: BarArrays) -> None:
        """Push every bar after `bars` and hold what the scorer reads against the batch."""
        start = len(bars)
        stream = FeatureStream(bars, self.features)
        seed = recent_vectors(Panel(SYMBOL, H1, bars), self.features, WINDOW.length - 1)
        windows = open_windows([WINDOW], H1, self.features, seed)
        for index in range(start, start + 20):
            bar = self.bars.bar(index)
            vector = stream.update(bar)
            receipt = self.pusher.push(bar.closed_at_ns, vector, windows.update(vector))
            assert WINDOW.view_name(H1) in receipt.written
            reading = self.read()
            assert reading.window == self.batch[index]
            assert reading.window_stamp_ns == bar.closed_at_ns
            assert judge_reading(reading, CONTRACT, bar.closed_at_ns, bar.closed_at_ns) == ()


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    with served_home() as home:
        yield Line(home)


def test_the_newest_window_is_served_and_then_every_pushed_one_even_after_a_restart(
    line: Line,
) -> None:
    reading = line.read()
    assert line.newest_ns is not None
    assert (reading.window, reading.window_stamp_ns) == (line.batch[CUT - 1], line.newest_ns)
    assert judge_reading(reading, CONTRACT, line.newest_ns, line.newest_ns) == ()
    line.stream(line.known)
    line.stream(line.bars.part(0, CUT + 20))


def test_another_window_of_the_same_stamp_is_refused(line: Line) -> None:
    index = CUT + 45
    values = compute_batch(line.bars, line.features)
    vector = np.array([values[f.name][index] for f in line.features], np.float32)
    at_ns, packed = int(line.bars.closed_at_ns[index]), line.batch[index]
    line.pusher.push(at_ns, vector, {WINDOW.field: packed})
    bent = packed[:-1] + bytes([packed[-1] ^ 1])
    with pytest.raises(InvalidInput, match="3328 bytes of SHA-256") as caught:
        line.pusher.verify(at_ns, vector, {WINDOW.field: bent})
    assert caught.value.code == "SAME_STAMP_CORRECTION"
    receipt = line.pusher.verify(at_ns, vector, {WINDOW.field: None})
    assert receipt.warming_up == (WINDOW.view_name(H1),)


def test_windows_are_asked_for_point_in_time_as_they_were(line: Line) -> None:
    asked = pd.DataFrame(
        {
            "symbol": SYMBOL,
            "event_timestamp": pd.to_datetime(line.bars.closed_at_ns[:CUT], utc=True),
        }
    )
    reference = window_reference(WINDOW.contract(H1))
    found = line.store.get_historical_features(asked, [reference]).to_df()
    cells = found.sort_values("event_timestamp")[WINDOW.field].tolist()
    assert [cell if isinstance(cell, bytes) else None for cell in cells] == [
        line.batch.get(index) for index in range(CUT)
    ]
