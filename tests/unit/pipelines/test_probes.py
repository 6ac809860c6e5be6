"""Probes of what may answer with anything: a clear state, never an exception."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pipelines.platform.probes import DeploymentsProbe

SINCE = "2026-11-01T00:00:00+00:00"


@contextmanager
def answering(body: str, status: str = "200 OK") -> Iterator[str]:
    """Run a server that answers one request and yield its address."""
    content = body.encode()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                head = f"HTTP/1.1 {status}\r\ncontent-length: {len(content)}\r\n\r\n"
                connection.sendall(head.encode() + content)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/api"
        thread.join(timeout=10.0)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("<html>Sign in</html>", "is not Prefect"),
        ('{"detail": "sign in"}', "is not Prefect"),
        ('[{"name": "train"}]', "is not Prefect"),
        ('[{"name": "train", "updated": "yesterday", "status": "READY"}]', "is not Prefect"),
        ("[]", "not served yet: train"),
        (
            '[{"name": "train", "updated": "2026-10-31T23:59:59Z", "status": "READY"}]',
            "not served yet: train",
        ),
        (
            '[{"name": "train", "updated": "2026-11-02T00:00:00Z", "status": "NOT_READY"}]',
            "not served yet: train",
        ),
    ],
)
def test_flows_are_not_ready_whatever_stands_in_prefects_place(body: str, expected: str) -> None:
    with answering(body) as url:
        health = DeploymentsProbe(url, ("train",), SINCE).check()
    assert not health.ready
    assert expected in health.detail


def test_a_proxys_error_is_told_by_its_number() -> None:
    with answering("<html>Bad Gateway</html>", "502 Bad Gateway") as url:
        health = DeploymentsProbe(url, ("train",), SINCE).check()
    assert (health.ready, health.detail) == (False, f"{url} answers 502")


def test_flows_that_were_registered_since_are_ready() -> None:
    row = '[{"name": "train", "updated": "2026-11-02T00:00:00.5Z", "status": "READY", "id": "1"}]'
    with answering(row) as url:
        assert DeploymentsProbe(url, ("train",), SINCE).check().ready
