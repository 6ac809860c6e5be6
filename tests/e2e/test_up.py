"""`sextant up` as an operator uses it: from an empty home to trading, a scheduled run, and gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from online.adapters.sqlite_journal import iterate
from online.domain.record import DecisionRecord
from pipelines.home import Home
from pipelines.platform.processes import left_of
from pipelines.platform.state import State, read_state

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]
REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE_S = 600.0
MEMORY_LIMIT_BYTES = 3 * 10**9
PARTS = {"valkey", "mlflow", "prefect", "flows", "scorer", "feed"}


class Running:
    """A `sextant up` in a process of its own."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.log = home.root / "up.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*self._sextant, "up", "--home", str(home.root), "--bar-seconds", "1"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=REPOSITORY,
            )

    _sextant = (sys.executable, "-m", "pipelines.cli")

    def status(self) -> dict[str, Any]:
        """Return what ``sextant status --json`` says, empty while there is nothing to say."""
        asked = subprocess.run(
            [*self._sextant, "status", "--json", "--home", str(self.home.root)],
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            check=False,
            timeout=60,
        )
        found: dict[str, Any] = json.loads(asked.stdout or "{}")
        assert (asked.returncode == 0) == found.get("ready", False)
        return found

    def url(self, name: str) -> str:
        """Return a part's address."""
        return next(part.url for part in self.state().parts if part.name == name)

    def state(self) -> State:
        """Return the platform's state file."""
        found = read_state(self.home.run / "platform.json")
        assert found is not None
        return found

    def has_all_parts(self) -> bool:
        """Tell whether every part was started: until then the command need not be asked."""
        found = read_state(self.home.run / "platform.json")
        return found is not None and {part.name for part in found.parts} >= PARTS

    def wait_for(self, what: str, ask: Callable[[], Any]) -> Any:  # noqa: ANN401 - what `ask` gives
        """Ask until the answer is true, while the platform runs."""
        deadline = time.monotonic() + PATIENCE_S
        while not (answer := ask()):
            assert self.process.poll() is None, f"up ended: {self.log.read_text()}"
            assert time.monotonic() < deadline, f"no {what}: {self.log.read_text()}"
            threading.Event().wait(2.0)  # between two questions to another process
        return answer


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    up = Running(Home(tmp_path_factory.mktemp("up")))
    yield up
    up.process.terminate()
    up.process.wait(timeout=60)


def _post(url: str, body: object) -> Any:  # noqa: ANN401 - any JSON value
    reply = httpx.post(url, json=body, timeout=30, trust_env=False)
    reply.raise_for_status()
    return reply.json()


def _schedule_ingestion(api: str) -> str:
    """Make ingestion due every 20 seconds, as an operator would; return its deployment's id."""
    (deployment,) = _post(
        f"{api}/deployments/filter", {"deployments": {"name": {"any_": ["ingest"]}}}
    )
    soon = datetime.now(tz=UTC) + timedelta(seconds=5)
    schedule = {"interval": 20.0, "anchor_date": soon.isoformat(), "timezone": "UTC"}
    _post(
        f"{api}/deployments/{deployment['id']}/schedules",
        [{"active": True, "schedule": schedule}],
    )
    return str(deployment["id"])


def _finished_scheduled_run(api: str, deployment: str) -> dict[str, Any] | None:
    """Return a run that the scheduler made of a deployment, once it has ended."""
    of_it = {"deployments": {"id": {"any_": [deployment]}}}
    for run in _post(f"{api}/flow_runs/filter", {**of_it, "limit": 200}):
        ended = run["state_type"] in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
        if run["auto_scheduled"] and ended:
            found: dict[str, Any] = run
            return found
    return None


def _resident_bytes(process: psutil.Process) -> int:
    """Return what a process holds; nothing if it has ended since, as a scheduled run does."""
    try:
        held: int = process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0
    return held


def test_up_trades_runs_what_is_scheduled_and_leaves_nothing(running: Running) -> None:
    running.wait_for("start of every part", running.has_all_parts)
    running.wait_for("ready platform", lambda: running.status().get("ready"))
    assert {part["name"] for part in running.status()["parts"]} == PARTS

    api = f"{running.url('prefect')}/api"
    runs = _post(
        f"{api}/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}}
    )
    assert len(runs) >= 4  # ingest, featurize, train, promote: the bootstrap shows in Prefect
    flows = next(part for part in running.state().parts if part.name == "flows")
    made = [run["end_time"] for run in runs if not run["auto_scheduled"]]
    made_at = max(datetime.fromisoformat(end) for end in made)
    served_at = datetime.fromtimestamp(flows.started_at_s, tz=UTC)
    exact = timedelta(seconds=1)  # of a process's start: the kernel tells its own in whole ones
    assert served_at + exact > made_at  # what falls due before would find half a lake
    ingestion = _schedule_ingestion(api)
    done = running.wait_for("scheduled run", lambda: _finished_scheduled_run(api, ingestion))
    assert done["state_type"] == "COMPLETED", done["state"]

    alias = httpx.get(
        f"{running.url('mlflow')}/api/2.0/mlflow/registered-models/alias",
        params={"name": "EURUSD.H1.barrier", "alias": "paper"},
        trust_env=False,
    )
    assert alias.json()["model_version"]["version"] == "1"

    def decided() -> bool:
        records = iterate(running.home.journal)
        return any(isinstance(record, DecisionRecord) and record.signal for record in records)

    running.wait_for("decision by the model", decided)

    state = running.state()
    started = left_of(state.run_id, state.parts)
    assert len(started) >= len(PARTS)
    assert sum(map(_resident_bytes, started)) < MEMORY_LIMIT_BYTES
    os.kill(running.process.pid, signal.SIGINT)
    assert running.process.wait(timeout=60) == 0
    _, alive = psutil.wait_procs(started, timeout=10)
    assert alive == []
    assert left_of(state.run_id, ()) == []
    assert not (running.home.run / "platform.json").exists()
