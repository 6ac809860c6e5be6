"""The live chain against its backtest: real Valkey, Feast, HTTP and SQLite, on real bars."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest

from feature_repo.catalogue import contract, expand, whole_views
from feature_repo.engine import Vector
from feature_repo.store import apply_definitions, open_store
from feature_repo.transform import transform_fingerprint
from feature_repo.windows import find_window, served_windows, vectors_before
from online.adapters.onnx_model import load_bundle
from online.adapters.rule_model import RuleModel
from online.adapters.sqlite_journal import iterate
from online.domain.barriers import BarrierRule
from online.domain.bundle import GOLDEN_FILE, MANIFEST_FILE
from online.domain.conformal import ConformalRule
from online.domain.errors import ModelRefused
from online.domain.manifest import Member, encode_manifest
from online.domain.market import Timeframe
from online.domain.meta_label import AGREEMENT, CONFIDENCE, NEITHER, MetaRule
from online.domain.novelty import NoveltyRule
from online.domain.reasons import Reason
from online.domain.record import DecisionRecord, Record
from online.domain.signal import Calibration
from online.domain.validators import Validators
from online.domain.vector import VectorContract
from online.instruments import find_instrument
from online.settings import load_settings
from pipelines.backtest import run_backtest
from pipelines.feature_history import load_arriving, load_history
from pipelines.feature_steps import store_paths
from pipelines.feed import find_replay_start_ns
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.market import Market, read_market
from pipelines.parity import compare
from pipelines.platform.embedded import replay_clock, scorer_settings
from pipelines.platform.ports import choose_port
from pipelines.platform.secrets import ensure_token
from pipelines.platform.services import scorer as scorer_service
from pipelines.platform.supervisor import Platform
from pipelines.push import PushReceipt, VectorPusher
from pipelines.quality import check
from pipelines.replay import Replay
from pipelines.scorer_client import ScorerClient
from pipelines.sources.demo import DemoConfig
from pipelines.sources.source import open_source
from tests import worlds
from tests.bundles import BIAS, golden, golden_windows, linear_onnx
from tests.integration.feast_homes import served_home

pytestmark = pytest.mark.integration
SYMBOL, TIMEFRAME = "EURUSD", Timeframe.H1
NAMES = expand(["default", "h4_rsi_14", "d1_atr_14_ratio", "cross"], TIMEFRAME)
"""What the model reads: its own bars, longer ones, and its peers'."""
BARS = 130
NUDGED_PUSH = 60


class NudgingPusher:
    """Pushes through the real pusher; one value of one bar is off by one unit in the last place."""

    def __init__(self, pusher: VectorPusher, place: int) -> None:
        self._pusher, self._place, self._pushes = pusher, place, 0

    def push(
        self, closed_at_ns: int, vector: Vector, packed: Mapping[str, bytes | None]
    ) -> PushReceipt:
        self._pushes += 1
        if self._pushes == NUDGED_PUSH:
            vector = vector.copy()
            vector[self._place] = np.nextafter(vector[self._place], np.float32(np.inf))
        return self._pusher.push(closed_at_ns, vector, packed)


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """A home with the demonstration's bars, a Valkey, and a model under the alias ``paper``."""
    with served_home() as made:
        checked = check(open_source(DemoConfig()).read(), find_instrument(SYMBOL))
        Lake(made.lake).write_bars(SYMBOL, TIMEFRAME, checked.side, checked.bars, checked.source)
        for seed, peer in enumerate(("GBPUSD", "USDJPY")):
            Lake(made.lake).write_bars(
                peer, TIMEFRAME, checked.side, make_peer(checked.bars, seed), "made"
            )
        write_linear_bundle(bundle_folder(made))
        ensure_token(made.token)
        yield made


@pytest.fixture(scope="module")
def market(home: Home) -> Market:
    start_ns = find_replay_start_ns(home, SYMBOL, TIMEFRAME) + 1
    end_ns = int(datetime(2018, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000_000
    whole = read_market(
        Lake(home.lake), worlds.EURUSD, TIMEFRAME, start_ns, end_ns, worlds.SPREAD_POINTS
    )
    return Market(
        *(whole.instrument, whole.timeframe, whole.side),
        *(whole.bars[:BARS], whole.quotes[:BARS], whole.spread),
    )


@pytest.fixture(scope="module")
def batch(home: Home, market: Market) -> tuple[Record, ...]:
    model = load_bundle(bundle_folder(home), "paper")
    return run_backtest(home, market, model, load_settings("replay", environment={})).records


def test_a_model_fitted_on_other_features_is_not_backtested(home: Home, market: Market) -> None:
    model = load_bundle(bundle_folder(home), "paper")
    old = RuleModel(msgspec.structs.replace(model.manifest, transform_fingerprint="0" * 64))
    with pytest.raises(ModelRefused) as refusal:
        run_backtest(home, market, old, load_settings("replay", environment={}))
    assert refusal.value.code == "FEATURES_CHANGED"


def make_peer(bars: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return bars of another symbol: some are missing, and its price goes its own way."""
    random = np.random.default_rng(seed)
    factor = np.exp(np.cumsum(random.normal(0.0, 0.0005, len(bars))))
    made = bars.copy()
    for name in ("open", "high", "low", "close"):
        made[name] = bars[name] * factor
    return made[random.random(len(made)) > 0.05].reset_index(drop=True)


def bundle_folder(home: Home) -> Path:
    return home.bundles / "published" / "EURUSD.H1.barrier" / "paper"


def write_linear_bundle(folder: Path) -> None:
    """Write linear members over the default vector and its window; they ask for many trades."""
    window = find_window("default_32").contract(TIMEFRAME)
    vector = msgspec.structs.replace(contract(TIMEFRAME, NAMES), window=window)
    weights = np.zeros((len(vector.names), 3), np.float32)
    weights[vector.index("rsi_14")] = (-0.06, 0.0, 0.06)
    weights[vector.index("log_return_1")] = (400.0, 0.0, -400.0)
    weights[vector.index("reference_beta_24")] = (0.01, 0.0, -0.01)
    raw = linear_onnx(weights, BIAS)
    last = weights[[vector.index(name) for name in window.features]]  # it says most
    earlier = np.tile(np.float32(1e-3) * last, (window.length - 1, 1))
    steps = np.concatenate([earlier, last])
    files = {"linear": raw, "steps": linear_onnx(steps, BIAS, window.shape)}
    members = tuple(
        Member(
            *(name, "linear", f"{name}.onnx", hashlib.sha256(file).hexdigest(), 1.0),
            *(Calibration(), "window" if name == "steps" else "vector"),
        )
        for name, file in files.items()
    )
    manifest = msgspec.structs.replace(
        worlds.manifest_of(min_edge=0.05),
        target="barrier",
        vector=vector,
        transform_fingerprint=transform_fingerprint(vector.all_names, TIMEFRAME, SYMBOL),
        barriers=BarrierRule(1.0, 1.0, 4, TIMEFRAME),
        members=members,
        validators=make_validators(vector),
    )
    folder.mkdir(parents=True)
    for name, file in files.items():
        (folder / f"{name}.onnx").write_bytes(file)
    (folder / MANIFEST_FILE).write_bytes(encode_manifest(manifest))
    inputs, outputs = golden(raw, n_features=len(vector.names))
    windows, stepped = golden_windows(files["steps"], window.shape)
    buffer = BytesIO()
    np.savez(buffer, inputs=inputs, windows=windows, outputs=np.stack([outputs, stepped]))
    (folder / GOLDEN_FILE).write_bytes(buffer.getvalue())


def make_validators(vector: VectorContract) -> Validators:
    """Return one of each kind; they refuse some signals and let others through."""
    n_features = len(vector.names)
    inputs = (CONFIDENCE, NEITHER, AGREEMENT, "rsi_14")
    meta = MetaRule(
        inputs, (0.3, 0.2, 0.0, 50.0), (0.1, 0.1, 0.2, 10.0), (0.2, 0.1, 0.3, 0.5), 0.0, 0.42
    )
    novelty = NoveltyRule((0.0,) * n_features, (50.0,) * n_features, 0.33)
    return Validators(novelty, ConformalRule(0.3, 0.55), meta)


def trade_live(
    home: Home, market: Market, project: str, nudged: str | None = None
) -> Sequence[Record]:
    """Replay the market through a scorer of its own and return its journal."""
    journal = home.root / project / "journal.db"
    port = choose_port(18_100)
    told = {
        **scorer_settings(home, "http://127.0.0.1:1", port),
        **replay_clock(home, SYMBOL, TIMEFRAME),
        "SEXTANT_FEATURES__PROJECT": project,
        "SEXTANT_MODELS__KIND": "folder",
        "SEXTANT_MODELS__ROOT": str(bundle_folder(home).parents[1]),
        "SEXTANT_JOURNAL__PATH": str(journal),
    }
    environment = {
        name: value
        for name, value in told.items()
        if name not in {f"SEXTANT_MODELS__{word}" for word in ("URL", "CACHE", "TRUST")}
    }
    paths = store_paths(home)
    apply_definitions(open_store(paths, project), paths.offline_root, [TIMEFRAME])
    features = whole_views(NAMES, TIMEFRAME)
    before = vectors_before(served_windows(features))
    lake, first_ns = Lake(home.lake), market.bars[0].closed_at_ns
    history = load_history(lake, SYMBOL, TIMEFRAME, first_ns, features, before)
    arriving = load_arriving(lake, history)
    with Platform(Home(home.root / project)) as platform:
        platform.start(scorer_service(port, environment))
        with ScorerClient(f"http://127.0.0.1:{port}", home.token) as client:
            assert client.get("/v1/model")["features"] == list(NAMES)
            replay = Replay(home, market, history, client, project, NAMES, arriving)
            if nudged is not None:
                names = [feature.name for feature in features]
                replay._pusher = NudgingPusher(replay._pusher, names.index(nudged))  # type: ignore[assignment]
            steps = list(replay.steps())
    assert len(steps) == len(replay) == BARS - 1
    return tuple(iterate(journal))


def test_what_traded_live_is_bit_for_bit_what_the_backtest_says(
    home: Home, market: Market, batch: tuple[Record, ...]
) -> None:
    live = trade_live(home, market, "plain")
    parity = compare(live, batch)
    assert parity.first == []
    first_ns = find_replay_start_ns(home, SYMBOL, TIMEFRAME) - TIMEFRAME.duration_ns
    assert min(record.at_ns for record in live) >= first_ns, "also what came before the first bar"
    assert parity.total_different == 0
    assert parity.compared["vector"] == BARS - 1
    across = {r.features[-4:] for r in batch if isinstance(r, DecisionRecord) and r.features}
    assert len(across) > BARS // 2
    assert parity.compared["order"] == parity.compared["fill"] > 20
    refused = {veto.reason for r in batch if isinstance(r, DecisionRecord) for veto in r.vetoes}
    assert refused >= {
        Reason.OUT_OF_DISTRIBUTION,
        Reason.CONFORMAL_ABSTAINS,
        Reason.META_LABEL_REJECTS,
    }


def test_one_live_float_moved_by_one_unit_in_the_last_place_is_seen(
    home: Home, market: Market, batch: tuple[Record, ...]
) -> None:
    parity = compare(trade_live(home, market, "nudged", nudged="rsi_14"), batch)
    assert parity.different["vector"] == 1
    assert parity.different["score"] == 1  # the window no longer ends with the vector: a veto
    assert parity.first[0].where.startswith("EURUSD-H1-")
