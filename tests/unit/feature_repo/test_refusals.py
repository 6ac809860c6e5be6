"""What the feature repository refuses: each with the word that tells what was wrong."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from feature_repo.anchors import periods
from feature_repo.bars import BarArrays
from feature_repo.catalogue import CROSS, HIGHER, select
from feature_repo.cross import CrossStream
from feature_repo.expression import CLOSE, VOLUME
from feature_repo.higher import HigherStream
from feature_repo.offline_files import write_period
from feature_repo.peers import Peers
from feature_repo.store_settings import offline_of, redis_of
from feature_repo.transform import feature_digest
from feature_repo.vpin import BucketImbalance
from feature_repo.window import make_windows
from online.domain.errors import InvalidInput, InvalidMarketData, InvalidSettings
from online.domain.market import Timeframe
from tests.laws.feature_data import random_bars

(RSI,) = select(("rsi_14",))
PEERS = Peers("EURUSD", "GBPUSD", ("GBPUSD", "USDJPY"))


def test_bars_that_lack_a_column_are_refused_by_its_name() -> None:
    frame = pd.DataFrame({"closed_at_ns": [1], "open": [1.0], "high": [1.0], "low": [1.0]})
    with pytest.raises(InvalidMarketData, match=r"\['close', 'volume'\]"):
        BarArrays.from_frame(frame)


@pytest.mark.parametrize("told", [np.full((1, 2), 0.5), np.full((40, 2), np.nan)])
def test_microstructure_of_another_shape_or_without_a_number_is_refused(
    told: np.ndarray[Any, np.dtype[np.float64]],
) -> None:
    one = np.ones(2)
    bars = BarArrays(np.array([1, 2]), one, one, one, one, one)
    with pytest.raises(InvalidMarketData, match="microstructure"):
        dataclasses.replace(bars, microstructure=told)


@pytest.mark.parametrize(
    "change", [{"name": "RSI 14"}, {"version": 0}, {"maximum_age_bars": 0}], ids=str
)
def test_a_feature_without_a_name_a_version_or_an_age_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"rsi_14|at least 1"):
        dataclasses.replace(RSI, **change)


@pytest.mark.parametrize(
    ("symbol", "reference", "pairs", "code"),
    [
        ("EURUSD", "EURUSD", ("GBPUSD", "USDJPY"), "PEERS_UNCONNECTED"),
        ("EURUSD", "GBPUSD", ("GBPUSD", "GBPUSD"), "PEERS_UNCONNECTED"),
        ("EURUSD", "GBPUSD", ("GBPUSD", "AUDJPY"), "PEERS_UNCONNECTED"),
        ("EURCHF", "GBPUSD", ("GBPUSD", "USDJPY"), "PEERS_UNCONNECTED"),
        ("EURUSD", "GBPUSD", ("GBPUSD", "SPX500"), "NO_CURRENCY_PAIR"),
    ],
)
def test_peers_that_do_not_share_a_currency_with_their_symbol_are_refused(
    symbol: str, reference: str, pairs: tuple[str, ...], code: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        Peers(symbol, reference, pairs)
    assert refused.value.code == code


@pytest.mark.parametrize("url", ["http://host:6379", "redis:///0", "redis://user:a,b@host"])
def test_a_redis_that_feast_could_not_find_is_refused(url: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        redis_of(url)
    assert refused.value.code == "STORE_SETTINGS"
    with pytest.raises(InvalidSettings):
        offline_of("redis://host")


def test_a_digest_tells_of_what_the_feature_is_made_or_is_refused() -> None:
    with pytest.raises(InvalidInput, match="their timeframe is needed"):
        feature_digest(HIGHER[Timeframe.H1][0])
    for symbol in (None, "NOSUCH"):
        with pytest.raises(InvalidInput, match="made of peers"):
            feature_digest(CROSS[0], Timeframe.H1, symbol)


def test_one_bucket_is_no_imbalance_and_no_bar_is_no_window() -> None:
    with pytest.raises(InvalidInput, match="two buckets"):
        BucketImbalance(VOLUME, VOLUME, CLOSE, 1)
    with pytest.raises(InvalidInput, match="at least one bar"):
        make_windows(np.ones((3, 2), np.float32), 0)


@pytest.mark.parametrize(
    ("symbol", "shift_ns", "expected"),
    [("../EURUSD", 0, "letters"), ("EURUSD", 1, "microseconds")],
)
def test_a_file_is_named_by_a_symbol_and_holds_whole_microseconds(
    tmp_path: Path, symbol: str, shift_ns: int, expected: str
) -> None:
    bars = random_bars(20, seed=1)
    (quarter,) = periods(bars.closed_at_ns)
    values = {RSI.name: np.ones(len(bars), np.float32)}
    told = (Timeframe.H1, quarter, bars.closed_at_ns + shift_ns, [RSI], values, "digest")
    with pytest.raises(InvalidInput, match=expected):
        write_period(tmp_path, symbol, *told)
    assert list(tmp_path.iterdir()) == []


def test_no_stream_takes_a_bar_that_is_not_newer() -> None:
    bars = random_bars(40, seed=1)
    last = bars.bar(39)
    higher = HigherStream(bars.part(0, 39), Timeframe.H4, HIGHER[Timeframe.H1][:1])
    across = CrossStream(PEERS, dict.fromkeys(("EURUSD", "GBPUSD", "USDJPY"), bars), CROSS)
    higher.update(last)
    for late in (higher.update, across.update):
        with pytest.raises(InvalidMarketData) as refused:
            late(last)
        assert refused.value.code == "BAR_NOT_NEWER"
    newer = msgspec.structs.replace(last, closed_at_ns=last.closed_at_ns + 1)
    across.take("GBPUSD", newer)
    with pytest.raises(InvalidMarketData) as refused:
        across.take("GBPUSD", newer)
    assert refused.value.code == "BAR_NOT_NEWER"


@pytest.mark.integration
def test_the_offline_store_reads_and_saves_parquet_files_alone(tmp_path: Path) -> None:
    from feast import RedshiftSource  # noqa: PLC0415 - importing Feast takes seconds
    from feast.errors import SavedDatasetLocationAlreadyExists  # noqa: PLC0415 - see above
    from feast.infra.offline_stores.file_source import (  # noqa: PLC0415 - see above
        SavedDatasetFileStorage,
    )

    from feature_repo import offline  # noqa: PLC0415 - see above

    named, clock = pd.DataFrame({"event_timestamp": []}), pd.DataFrame({"at": pd.to_datetime([1])})
    assert offline._event_time_column(named) == "event_timestamp"
    assert offline._event_time_column(clock) == "at"
    with pytest.raises(InvalidInput, match="event_timestamp"):
        offline._event_time_column(pd.DataFrame({"at": [1]}))
    config: Any = None
    with pytest.raises(InvalidInput, match="FileSource"):
        offline._parquet(RedshiftSource(table="a", name="a"), config, "at", None)

    job = offline.AsofRetrievalJob(lambda: pa.table({"a": [1]}))
    elsewhere: Any = object()
    with pytest.raises(InvalidInput, match="Parquet file"):
        job.persist(elsewhere)
    file = SavedDatasetFileStorage(str(tmp_path / "saved.parquet"))
    job.persist(file)
    with pytest.raises(SavedDatasetLocationAlreadyExists):
        job.persist(file)
    job.persist(file, allow_overwrite=True)
    assert pd.read_parquet(tmp_path / "saved.parquet")["a"].tolist() == [1]
