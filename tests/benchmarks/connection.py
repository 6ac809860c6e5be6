"""A bare HTTP/1.1 client: what it costs itself is small beside what it measures."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self


class Connection:
    """One keep-alive connection to a server on loopback.

    Parameters
    ----------
    port
        Where it listens.
    headers
        Sent with every request.
    """

    def __init__(self, port: int, headers: Mapping[str, str] | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30.0)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._headers = "".join(f"{k}: {v}\r\n" for k, v in (headers or {}).items())
        self._buffer = b""

    def __enter__(self) -> Self:
        """Return the connection; leaving the block closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self._socket.close()

    def request(self, path: str, body: bytes) -> bytes:
        """Return the bytes of a POST, ready to send."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\n{self._headers}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def send(self, request: bytes) -> None:
        """Send a prepared request."""
        self._socket.sendall(request)

    def receive(self) -> tuple[int, bytes]:
        """Return status and body of the next response."""
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self._read()
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
        length = int(fields["content-length"])
        while len(rest) < length:
            rest += self._read()
        self._buffer = rest[length:]
        return int(lines[0].split(" ")[1]), rest[:length]

    def _read(self) -> bytes:
        chunk = self._socket.recv(65536)
        if not chunk:
            raise ConnectionError("the server closed the connection")
        return chunk


def ask(connection: Connection, path: str, body: bytes) -> tuple[float, dict[str, Any]]:
    """Send one request; return the seconds until its response was read, and the answer."""
    request = connection.request(path, body)
    began = time.perf_counter()
    connection.send(request)
    status, answer = connection.receive()
    seconds = time.perf_counter() - began
    if status != 200:
        raise RuntimeError(f"{path} answered {status}: {answer[:300]!r}")
    decoded: dict[str, Any] = json.loads(answer)
    return seconds, decoded


def ask_together(connections: Sequence[Connection], path: str, body: bytes) -> float:
    """Send the same request on every connection at once; return the seconds until all answered."""
    requests = [connection.request(path, body) for connection in connections]
    began = time.perf_counter()
    for connection, request in zip(connections, requests, strict=True):
        connection.send(request)
    for connection in connections:
        status, answer = connection.receive()
        if status != 200:
            raise RuntimeError(f"{path} answered {status}: {answer[:300]!r}")
    return time.perf_counter() - began
