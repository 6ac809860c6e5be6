"""An MLflow server that keeps its database and artifacts in one folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.ports import free_port

PATIENCE_SECONDS = 120.0
QUIET = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
}


@contextmanager
def serve_mlflow(folder: Path, port: int | None = None) -> Iterator[str]:
    """Run a server that serves its artifacts, on a port or a free one; yield its URL."""
    port = free_port() if port is None else port
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--serve-artifacts", "--workers", "1"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, **QUIET}, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _await_health(url, process, folder / "log")
        yield url
    finally:
        process.terminate()
        process.wait(30.0)


def _await_health(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", trust_env=False).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.1)  # polling a server that starts; the deadline above ends it
    pytest.fail(f"MLflow did not start: {log.read_text()[-2000:]}")
