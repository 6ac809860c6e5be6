"""The scorer's client: a connection is never used when the scorer may be closing it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from online.app import KEEP_ALIVE_SECONDS
from online.domain.errors import InvalidInput, Unavailable
from online.domain.market import Timeframe
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


@pytest.mark.parametrize(
    ("wait_seconds", "expected"), [(0.05, "MAY_BE_UNDER_WAY"), (30.0, "answered")]
)
def test_what_sends_orders_has_a_wait_of_its_own_and_its_end_is_no_refusal(
    tmp_path: Path, wait_seconds: float, expected: str
) -> None:
    token = tmp_path / "token"
    token.write_text("x" * 40)
    asked, give_up = threading.Event(), threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_late() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                asked.set()
                give_up.wait(0.2 if expected == "answered" else 30.0)
                with suppress(OSError):
                    connection.sendall(ANSWER)

        thread = threading.Thread(target=answer_late, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with ScorerClient(url, token, timeout_seconds=0.05) as client:
            try:
                assert client.operate("/v1/orders/close-all", {}, wait_seconds) == {}
                told = "answered"
            except Unavailable as error:
                told = error.code
        give_up.set()
        thread.join(timeout=10.0)
    assert asked.is_set()
    assert told == expected


PAGE = b"<html>Bad Gateway</html>"
PROXYS = b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 24\r\n\r\n" + PAGE
LIST = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n[]"


@pytest.mark.parametrize("page", [PROXYS, LIST])
def test_a_proxys_page_is_no_scorers_answer_and_no_refusal_of_an_order(
    tmp_path: Path, page: bytes
) -> None:
    token = tmp_path / "token"
    token.write_text("x" * 40)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_two() -> None:
            connection, _ = server.accept()
            with connection:
                for _ in range(2):
                    connection.recv(65_536)
                    connection.sendall(page)

        thread = threading.Thread(target=answer_two, daemon=True)
        thread.start()
        with ScorerClient(f"http://127.0.0.1:{server.getsockname()[1]}", token) as client:
            with pytest.raises(Unavailable) as read:
                client.get("/v1/risk")
            with pytest.raises(Unavailable) as sent:
                client.trade("EURUSD", Timeframe.H1, 1_500_000_000_000_000_000)
        thread.join(timeout=10.0)
    assert read.value.code == "NOT_THE_SCORER"
    assert sent.value.code == "MAY_BE_UNDER_WAY"


@pytest.mark.parametrize(
    ("url", "code", "told"),
    [
        ("nonsense", "INVALID_INPUT", "like http://127.0.0.1:8100, got 'nonsense'"),
        ("http://", "INVALID_INPUT", "like http://127.0.0.1:8100, got 'http://'"),
        ("http://127.0.0.1:1", "NO_TOKEN", "No such file"),
    ],
)
def test_an_address_or_token_that_is_none_is_told_before_anything_is_asked(
    tmp_path: Path, url: str, code: str, told: str
) -> None:
    with pytest.raises(InvalidInput, match=told) as refusal:
        ScorerClient(url, tmp_path / "absent")
    assert refusal.value.code == code


def test_a_scorer_that_is_not_there_was_asked_for_nothing(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("x" * 40)
    with (
        ScorerClient("http://127.0.0.1:1", token) as client,
        pytest.raises(Unavailable) as refusal,
    ):
        client.operate("/v1/orders/close", {}, 1.0)
    assert refusal.value.code == "UNAVAILABLE"
    assert "no scorer answers at http://127.0.0.1:1/v1/orders/close" in str(refusal.value)
