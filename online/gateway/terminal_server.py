"""The simulated terminal as a process of its own: the account outlives gateway and workers."""

from __future__ import annotations

import ipaddress
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import numpy as np

from online.domain.errors import InvalidSettings, SextantError
from online.domain.market import Quote
from online.gateway.remote_terminal import BodyPipe, Call
from online.simulator.client import ClientTerminal
from online.simulator.metatrader5 import SimulatedMetaTrader5

_log = logging.getLogger(__name__)
_CALLABLE = frozenset(
    {
        "initialize",
        "shutdown",
        "last_error",
        "terminal_info",
        "account_info",
        "symbol_select",
        "symbol_info",
        "symbol_info_tick",
        "copy_rates_from_pos",
        "copy_ticks_from",
        "positions_get",
        "orders_get",
        "history_orders_get",
        "history_deals_get",
        "order_send",
    }
)


class TerminalServer:
    """Serves one simulated terminal to any number of programs, one call at a time.

    Parameters
    ----------
    client
        The terminal; quotes reach it through `on_quote`.
    host, port
        Loopback only: nobody is asked who he is. Port 0 takes a free one.

    Raises
    ------
    InvalidSettings
        If the address is not loopback or not free.
    """

    def __init__(self, client: ClientTerminal, host: str = "127.0.0.1", port: int = 0) -> None:
        if not ipaddress.ip_address(host).is_loopback:
            raise InvalidSettings(f"a simulated terminal listens on loopback alone, got {host}")
        self._client = client
        self._lock = threading.Lock()
        client.wait = self._wait
        try:
            self._server = _Listener((host, port), self._serve)
        except OSError as error:
            raise InvalidSettings(f"{host}:{port} cannot be listened on: {error}") from error

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self._server.server_address[1])

    def on_quote(self, quote: Quote) -> None:
        """Take a quote, as the market does.

        Raises
        ------
        NotFound, InvalidMarketData
            As `online.simulator.terminal.SimulatedTerminal.on_quote`.
        """
        with self._lock:
            self._client.terminal.on_quote(quote)

    def run(self) -> None:
        """Serve for as long as the process lives."""
        self._server.serve_forever(poll_interval=0.1)

    def answer(self, package: SimulatedMetaTrader5, call: Call) -> bytes:
        """Carry out a call; what one connection asks never overlaps with another's."""
        if call.name not in _CALLABLE:
            raise InvalidSettings(f"{call.name} is no function of the package")
        with self._lock:
            value = getattr(package, call.name)(*call.arguments, **call.options)
            if isinstance(value, np.ndarray):
                value = value.tolist()
            return msgspec.msgpack.encode((value, package.last_error()))

    def _wait(self, seconds: float) -> None:
        """Let one call take long while others go on."""
        self._lock.release()
        try:
            time.sleep(seconds)
        finally:
            self._lock.acquire()

    def _serve(self, pipe: socket.socket) -> None:
        package = SimulatedMetaTrader5(self._client)
        calls, bodies = msgspec.msgpack.Decoder(Call), BodyPipe(pipe)
        with suppress(OSError, EOFError):
            while True:
                call = calls.decode(bodies.receive())
                bodies.send(self.answer(package, call))


class _Listener(socketserver.ThreadingTCPServer):
    """Accepts programs, one thread each."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        super().__init__(address, socketserver.BaseRequestHandler)

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - socketserver's signature
        """Serve one program."""
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._serve(request)
        except (SextantError, msgspec.DecodeError) as error:
            _log.warning("a program was sent away: %s", error)
