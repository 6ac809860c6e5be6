"""The gateway as its user starts it: certificates, serve, check, resume; a lake as its market."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from online.adapters.gateway_broker import GatewayBroker
from online.domain.order import OrderReply, OrderStatus
from tests.gateway_world import (
    REPOSITORY,
    Terminal,
    World,
    closing,
    entry,
    running_terminal,
)

pytestmark = pytest.mark.integration
SETTINGS = """
port = 0
state = "state"
[tls]
authority = "certificates/authority.pem"
certificate = "certificates/gateway.pem"
key = "certificates/gateway.key"
[terminal]
kind = "simulated"
port = {terminal}
"""


def sextant(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipelines.cli", "gateway", *words]
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": ""}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def serve(
    folder: Path, terminal: Terminal, command: str = "serve", *words: str
) -> tuple[subprocess.Popen[str], str]:
    (folder / "gateway.toml").write_text(SETTINGS.format(terminal=terminal.port))
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pipelines.cli", "gateway", command, "gateway.toml", *words],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    found = re.search(r":(\d+)", process.stdout.readline())
    assert found is not None
    return process, found.group(1)


def test_user_makes_certificates_serves_checks_and_resumes(tmp_path: Path) -> None:
    made = sextant(tmp_path, "certs", "--host", "127.0.0.1")
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "certificates" / "scorer.key").stat().st_mode & 0o077 == 0
    with running_terminal() as terminal:
        process, port = serve(tmp_path, terminal)
        try:
            words = ("check", "--port", port, "--symbol", "EURUSD", "--json")
            answers = []
            for _ in range(40):  # the workers connect while the gateway already answers
                answers.append(sextant(tmp_path, *words))
                if answers[-1].returncode == 0:
                    break
            status = json.loads(answers[-1].stdout)
            assert status["ready"]
            assert 0.0 <= status["tick_age_seconds"] < 300.0
            absent = sextant(tmp_path, "check", "--port", port, "--symbol", "EURUSDX")
            assert (absent.returncode, "none of EURUSDX" in absent.stdout) == (1, True)
            resumed = sextant(tmp_path, "resume", "--port", port, "--by", "a test")
            assert "active" in resumed.stdout
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20.0) == 0
    gone = sextant(tmp_path, "check", "--port", port)
    assert (gone.returncode, "NO_GATEWAY" in gone.stderr) == (1, True)


def test_user_records_a_session_and_compares_it(tmp_path: Path) -> None:
    sextant(tmp_path, "certs", "--host", "127.0.0.1")
    with running_terminal() as terminal:
        process, port = serve(tmp_path, terminal, "record", "--to", "session")
        world = World(tmp_path, terminal, port=int(port))

        async def trade(broker: GatewayBroker) -> OrderReply:
            opened = await broker.send(entry(1))
            return await broker.send(closing(2, entry(1), opened.position))

        try:
            assert asyncio.run(world.run(trade)).status is OrderStatus.FILLED
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20.0)
    compared = sextant(tmp_path, "compare", "session/orders.jsonl", "--json")
    found = json.loads(compared.stdout)
    assert (compared.returncode, found["requests"], found["deals"]) == (0, 2, 2)
    session = tmp_path / "session" / "orders.jsonl"
    session.write_text(session.read_text().replace('"retcode":10009', '"retcode":10006', 1))
    assert sextant(tmp_path, "compare", "session/orders.jsonl").returncode == 1


def test_gateway_without_its_certificates_says_so_and_stops(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(SETTINGS.format(terminal=1))
    refused = sextant(tmp_path, "serve", "gateway.toml")
    assert refused.returncode == 2
    assert "TLS files" in refused.stderr
