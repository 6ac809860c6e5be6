"""A scorer as a process of its own, and how it is asked."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec
import pytest

from online.domain.limits import Limits
from tests.fakes import make_limits
from tests.ports import free_port
from tests.scorers import BEARER, PROJECT, TOKEN, Store, bar_body, make_bar

REPOSITORY = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running scorer."""

    url: str
    process: subprocess.Popen[bytes]

    def post(self, path: str, body: bytes) -> httpx.Response:
        """Ask with the token."""
        return httpx.post(f"{self.url}{path}", content=body, headers=BEARER, trust_env=False)

    def get(self, path: str) -> httpx.Response:
        """Ask without it."""
        return httpx.get(f"{self.url}{path}", trust_env=False)

    def enter(self) -> int:
        """Let the scorer enter; return the position's ticket."""
        step = msgspec.json.encode({"symbol": "EURUSD", "upcoming": make_bar()})
        assert self.post("/v1/simulator/bar", step).status_code == 200
        reply = self.post("/v1/trade", bar_body()).json()["reply"]
        assert reply["status"] == "filled"
        return int(reply["position"])


def environment(folder: Path, store: Store, port: int) -> dict[str, str]:
    """Return the variables a scorer is started with."""
    token = folder / "token"
    token.write_text(TOKEN)
    token.chmod(0o600)
    limits: Limits = make_limits()
    told = {
        f"LIMITS__{name.upper()}": value
        if isinstance(value, str)
        else msgspec.json.encode(value).decode()
        for name, value in msgspec.to_builtins(limits).items()
    }
    told |= {
        "MODE": "replay",
        "HTTP__PORT": str(port),
        "TOKEN_FILE": str(token),
        "FEATURES__SOCKET_PATH": str(store.socket),
        "FEATURES__PROJECT": PROJECT,
        "MODELS__KIND": "folder",
        "MODELS__ROOT": str(folder / "bundles"),
        "JOURNAL__PATH": str(folder / "journal.db"),
    }
    return {**os.environ, **{f"SEXTANT_{name}": value for name, value in told.items()}}


@contextmanager
def serving(folder: Path, store: Store) -> Iterator[Server]:
    """Run a scorer until the block ends."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", "from online.app import serve; serve()"],
        cwd=REPOSITORY,
        env=environment(folder, store, port),
    )
    server = Server(f"http://127.0.0.1:{port}", process)
    try:
        _await_life(server)
        yield server
    finally:
        process.terminate()
        process.wait(20)


def _await_life(server: Server) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert server.process.poll() is None, "the scorer ended while it started"
        try:
            if server.get("/healthz").is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.05)  # polling a process that starts; the deadline above ends it
    pytest.fail("the scorer did not start")
