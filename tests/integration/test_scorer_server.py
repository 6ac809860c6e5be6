"""The scorer as a process of its own: started, asked over TCP, killed, started again."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from online.adapters.sqlite_journal import iterate
from online.domain.record import AccountRecord, DecisionRecord, ResultRecord
from tests.ports import free_port
from tests.scorer_process import environment, serving
from tests.scorers import Store, add_model, bar_body, make_bar, open_store

pytestmark = pytest.mark.integration
REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 30.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path) as opened:
        opened.push()
        yield opened


def test_a_killed_scorer_starts_again_with_its_journal_and_sends_nothing_twice(
    tmp_path: Path, store: Store
) -> None:
    add_model(tmp_path)
    step = msgspec.json.encode({"symbol": "EURUSD", "upcoming": make_bar()})
    with serving(tmp_path, store) as server:
        assert server.get("/readyz").status_code == 200
        assert server.post("/v1/simulator/bar", step).status_code == 200
        traded = server.post("/v1/trade", bar_body()).json()
        assert traded["reply"]["status"] == "filled"
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(10)
    with serving(tmp_path, store) as server:
        server.post("/v1/simulator/bar", step)
        # The simulated account ended with its process; the journal goes on with a new one.
        again = server.post("/v1/trade", bar_body()).json()
        assert [veto["reason"] for veto in again["vetoes"]] == ["DUPLICATE_INTENT"]
        told = server.get(f"/v1/decisions/{traded['decision_id']}").json()
        assert [record["type"] for record in told] == ["decision", "result"]
    records = list(iterate(tmp_path / "journal.db"))
    assert sum(isinstance(record, ResultRecord) for record in records) == 1
    assert sum(isinstance(record, DecisionRecord) for record in records) == 2
    assert [r.new for r in records if isinstance(r, AccountRecord)] == [False, True]


def test_malformed_http_and_a_store_that_dies_leave_the_scorer_alive(
    tmp_path: Path, store: Store
) -> None:
    add_model(tmp_path)
    step = msgspec.json.encode({"symbol": "EURUSD", "upcoming": make_bar()})
    with serving(tmp_path, store) as server:
        server.post("/v1/simulator/bar", step)
        host, port = server.url.removeprefix("http://").split(":")
        for junk in (b"\x16\x03\x01 not http\r\n\r\n", b"POST /v1/decide HTTP/1.1\r\nContent-"):
            with socket.create_connection((host, int(port)), timeout=5) as raw:
                raw.sendall(junk)
        store.server.client().shutdown(nosave=True)
        answer = server.post("/v1/trade", bar_body())
        assert answer.status_code == 200
        reasons = [veto["reason"] for veto in answer.json()["vetoes"]]
        assert reasons == ["FEATURES_UNAVAILABLE"]
        assert server.get("/readyz").status_code == 503
        assert server.get("/healthz").status_code == 200


def start_in_vain(folder: Path, store: Store, command: str, port: int) -> str:
    """Start a scorer that must end by itself, refused, and return what it wrote."""
    told = subprocess.run(
        [sys.executable, "-c", command],
        cwd=REPOSITORY,
        env=environment(folder, store, port),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert told.returncode == 1
    assert "Traceback" not in told.stderr
    return told.stderr


def test_a_scorer_that_can_record_nothing_refuses_in_one_sentence(
    tmp_path: Path, store: Store
) -> None:
    add_model(tmp_path)
    command = (
        "import sys; from online.adapters import sqlite_journal as journal\n"
        "journal._INSERT = 'INSERT INTO a_full_disk VALUES (?, ?, ?, ?, ?, ?)'\n"
        "from pipelines.cli import run; sys.exit(run(['serve']))"
    )
    told = start_in_vain(tmp_path, store, command, free_port())
    assert "JOURNAL_UNAVAILABLE" in told


def test_a_scorer_whose_port_is_taken_says_so(tmp_path: Path, store: Store) -> None:
    add_model(tmp_path)
    command = "import sys; from pipelines.cli import run; sys.exit(run(['serve']))"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        told = start_in_vain(tmp_path, store, command, taken.getsockname()[1])
    assert "ADDRESS_UNAVAILABLE" in told


def test_a_second_scorer_on_the_same_journal_does_not_start(tmp_path: Path, store: Store) -> None:
    add_model(tmp_path)
    with serving(tmp_path, store):
        second = subprocess.run(
            [sys.executable, "-c", "from online.app import serve; serve()"],
            cwd=REPOSITORY,
            env=environment(tmp_path, store, free_port()),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert second.returncode != 0
    assert "another writer" in second.stderr
