"""A model of own bars, longer bars and peers: trained, served, and live equal to batch."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feature_repo.bars import BarArrays
from feature_repo.catalogue import CATALOGUE, CROSS, expand, select, whole_views
from feature_repo.panel import Panel
from feature_repo.services import define_model_service, model_service_name, model_services
from feature_repo.store import apply_definitions, open_store
from feature_repo.transform import transform_fingerprint
from feature_repo.vector import VectorStream, compute_vectors
from models.families.xgboost import XgboostConfig
from models.recipe import Recipe
from online.adapters.feast_redis import FeastRedisReader
from online.adapters.onnx_model import OnnxModel, load_bundle
from online.adapters.redis_connection import RedisAddress
from online.domain.errors import NotFound
from online.domain.market import PriceSide
from online.domain.vector import VectorReading, judge_reading
from online.instruments import find_instrument
from online.settings import load_settings
from pipelines.backtest import run_backtest
from pipelines.feature_history import load_arriving, load_history, load_panel
from pipelines.feature_steps import store_paths
from pipelines.featurize import run_featurize
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.market import read_market
from pipelines.push import VectorPusher
from pipelines.registries import open_registry
from pipelines.training import conduct
from pipelines.training_data import TrainPlan, load_training_data
from tests.integration.feast_homes import served_home
from tests.laws.panels import OWN, random_panel, real_panel

pytestmark = pytest.mark.integration
LIVE_BARS = 60
PROJECT = "live"


def fill(home: Home, symbol: str, panel: Panel, bars: BarArrays) -> None:
    """Write bars to the lake."""
    names = ("closed_at_ns", "open", "high", "low", "close", "volume")
    frame = pd.DataFrame({name: getattr(bars, name) for name in names})
    frame["spread_points"] = 8.0
    Lake(home.lake).write_bars(symbol, panel.timeframe, PriceSide.BID, frame, "test")


@dataclasses.dataclass(frozen=True)
class Line:
    """A home with three symbols, a model trained on the first, and where its training ended."""

    home: Home
    panel: Panel
    names: tuple[str, ...]
    end_ns: int
    model: OnnxModel


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    found = real_panel() or random_panel(3000, seed=12)
    panel = found.part(0, min(4000, len(found.own)))
    timeframe = panel.timeframe
    with served_home() as home:
        for symbol, bars in panel.bars.items():
            fill(home, symbol, panel, bars)
        report = run_featurize(home, OWN, timeframe)
        assert {f.name for f in CROSS} <= {c.name for c in report.coverage}
        names = expand(["default", "higher", "cross"], timeframe)
        end_ns = int(panel.own.closed_at_ns[-LIVE_BARS - 1]) + 1
        family = XgboostConfig(max_rounds=8, patience=3)
        recipe = Recipe(families=(family,), features=names, n_folds=2)
        plan = TrainPlan(home.root, OWN, timeframe, None, end_ns, recipe, "sextant")
        trained = conduct(plan, open_registry(home, None))
        yield Line(home, panel, names, end_ns, load_bundle(Path(trained.bundle), "paper"))


def test_the_model_reads_features_of_every_scope(line: Line) -> None:
    manifest = line.model.manifest
    length = line.panel.timeframe.value.lower()
    assert manifest.vector.names == line.names
    assert {f"{length}_higher", f"{length}_cross"} < {view.name for view in manifest.vector.views}
    assert set(line.names) - {entry.name for entry in CATALOGUE} >= {
        "base_strength_24",
        "reference_beta_24",
    }
    assert manifest.transform_fingerprint == transform_fingerprint(
        line.names, line.panel.timeframe, OWN
    )


def test_the_model_has_a_feature_service_of_its_own_that_its_run_names(line: Line) -> None:
    manifest, registry = line.model.manifest, open_registry(line.home, None)
    version = registry.latest(manifest.name)
    told = (manifest.name, manifest.vector, manifest.transform_fingerprint)
    name = model_service_name(*told)
    assert registry.account(version).params["feature_service"] == name
    store = open_store(store_paths(line.home))
    service = store.get_feature_service(name)
    served = [(v.name, [f.name for f in v.features]) for v in service.feature_view_projections]
    assert served == [(view.name, list(view.features)) for view in manifest.vector.views]
    assert service.tags["transform_fingerprint"] == manifest.transform_fingerprint
    assert define_model_service(store, *told) == name
    assert [each.name for each in model_services(store)] == [name]
    assert model_service_name(manifest.name, manifest.vector, "0" * 64) != name


def test_live_vectors_read_from_the_store_are_the_batch_bit_for_bit(line: Line) -> None:
    home, timeframe, vector = line.home, line.panel.timeframe, line.model.manifest.vector
    lake, paths = Lake(home.lake), store_paths(home)
    features = whole_views(line.names, timeframe)
    batch = compute_vectors(load_panel(lake, OWN, timeframe), select(line.names, timeframe))
    expected = np.stack([batch[name] for name in line.names], axis=1)

    store = open_store(paths, PROJECT)
    apply_definitions(store, paths.offline_root, [timeframe])
    pusher = VectorPusher(store, OWN, timeframe, features)
    history = load_history(lake, OWN, timeframe, line.end_ns, features)
    stream, arriving = VectorStream(history, features), load_arriving(lake, history)
    own = line.panel.own
    first = len(own) - LIVE_BARS
    places = dict.fromkeys(arriving, 0)
    reader = FeastRedisReader(RedisAddress(str(home.valkey_socket)), PROJECT)

    async def live() -> list[VectorReading]:
        readings = []
        for index in range(first, len(own)):
            bar = own.bar(index)
            for symbol, bars in arriving.items():
                while places[symbol] < len(bars):
                    peer = bars.bar(places[symbol])
                    if peer.closed_at_ns >= bar.closed_at_ns:
                        break
                    stream.take(symbol, peer)
                    places[symbol] += 1
            receipt = pusher.push(bar.closed_at_ns, stream.update(bar))
            assert receipt.warming_up == ()
            readings.append(await reader.read(OWN, vector))
            assert not judge_reading(readings[-1], vector, bar.closed_at_ns, bar.closed_at_ns)
        await reader.close()
        return readings

    for index, reading in enumerate(asyncio.run(live()), start=first):
        assert np.array(reading.values, np.float32).tobytes() == expected[index].tobytes()
        row = tuple(float(value) for value in expected[index])
        assert line.model.score(tuple(v for v in reading.values if v is not None)) == (  # noqa: PD011 - as above
            line.model.score(row)
        )
    assert len({bytes(row) for row in expected[first:, -4:]}) > LIVE_BARS // 2


def test_the_backtest_trades_on_the_same_vectors(line: Line) -> None:
    settings = load_settings("replay", environment={})
    market = read_market(
        *(Lake(line.home.lake), find_instrument(OWN), line.panel.timeframe),
        *(line.end_ns, int(line.panel.own.closed_at_ns[-1]) + 1, 8.0),
    )
    found = run_backtest(line.home, market, line.model, settings)
    vectors = [record.features for record in found.records if hasattr(record, "features")]
    assert len(vectors) == LIVE_BARS - 1
    assert all(vector is not None and len(vector) == len(line.names) for vector in vectors)


def test_a_model_cannot_ask_for_peers_that_the_lake_lacks(line: Line, tmp_path: Path) -> None:
    home, timeframe = Home(tmp_path), line.panel.timeframe
    fill(home, OWN, line.panel, line.panel.own)
    recipe = Recipe(features=("atr_14", "reference_beta_24"))
    plan = TrainPlan(home.root, OWN, timeframe, None, None, recipe, "sextant")
    with pytest.raises(NotFound, match="GBPUSD, USDJPY") as refusal:
        load_training_data(plan)
    assert refusal.value.code == "FEATURE_PEERS_ABSENT"
