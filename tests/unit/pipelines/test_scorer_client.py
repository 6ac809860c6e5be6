"""The scorer's client: a connection is never used when the scorer may be closing it."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from online.app import KEEP_ALIVE_SECONDS
from pipelines import scorer_client
from pipelines.scorer_client import IDLE_SECONDS, ScorerClient

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


def test_a_connection_is_left_long_before_the_scorer_closes_it() -> None:
    assert 2 * IDLE_SECONDS <= KEEP_ALIVE_SECONDS


def test_an_idle_connection_is_not_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorer_client, "IDLE_SECONDS", 0.0)
    token = tmp_path / "token"
    token.write_text("x" * 40)
    callers: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_two() -> None:
            kept = []
            for _ in range(2):
                connection, caller = server.accept()
                callers.append(caller)
                connection.recv(65_536)
                connection.sendall(ANSWER)
                kept.append(connection)  # the server would keep it open
            for connection in kept:
                connection.close()

        thread = threading.Thread(target=answer_two, daemon=True)
        thread.start()
        with ScorerClient(f"http://127.0.0.1:{server.getsockname()[1]}", token) as client:
            assert client.get("/healthz") == {}
            assert client.get("/healthz") == {}
        thread.join(timeout=10.0)
    assert len(set(callers)) == 2
