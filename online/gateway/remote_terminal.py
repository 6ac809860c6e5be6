"""The worker's pipe to a simulated terminal in another process.

What the real terminal's named pipe is to the MetaTrader5 package, a local TCP connection is here:
one call at a time, reads without a timeout, and nothing reconnects by itself.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, TypeVar, Unpack

import msgspec
import numpy as np
from numpy.typing import NDArray

from online.gateway.frames import LENGTH_BYTES
from online.gateway.terminal import Login
from online.simulator import constants as mt5
from online.simulator.info_tuples import AccountInfo, SymbolInfo, TerminalInfo, Tick
from online.simulator.rates import RATES_DTYPE, TICKS_DTYPE
from online.simulator.trade_tuples import OrderSendResult, TradeDeal, TradeOrder, TradePosition

T = TypeVar("T")


class Call(msgspec.Struct, frozen=True, array_like=True):
    """A function of the package, called."""

    name: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What it returned, and the last error after it."""

    value: msgspec.Raw
    error: tuple[int, str]


class RemoteTerminal:
    """The MetaTrader5 package's functions, of a simulated terminal in another process.

    Parameters
    ----------
    host, port
        Of its `TerminalServer`.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self._pipe: socket.socket | None = None
        self._error = (mt5.RES_S_OK, "Success")

    def initialize(self, path: str | None = None, /, **login: Unpack[Login]) -> bool:
        """Connect to the terminal."""
        try:
            pipe = socket.create_connection(self._address, timeout=5.0)
            pipe.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pipe.settimeout(None)  # as the package: a read waits for ever
        except OSError as error:
            self._error = (mt5.RES_E_INTERNAL_FAIL_INIT, f"IPC initialize failed, {error}")
            return False
        self._pipe = pipe
        return bool(self._ask(bool, "initialize", path, **login))

    def shutdown(self) -> None:
        """Close the connection."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def last_error(self) -> tuple[int, str]:
        """Return code and words of the last call."""
        return self._error

    def terminal_info(self) -> TerminalInfo | None:
        """Return state and settings of the terminal."""
        return self._ask(TerminalInfo, "terminal_info")

    def account_info(self) -> AccountInfo | None:
        """Return the account."""
        return self._ask(AccountInfo, "account_info")

    def symbol_select(self, symbol: str, enable: bool, /) -> bool:  # noqa: FBT001 - MetaTrader's
        """Show a symbol in the Market Watch."""
        return bool(self._ask(bool, "symbol_select", symbol, enable))

    def symbol_info(self, symbol: str, /) -> SymbolInfo | None:
        """Return the properties of a symbol."""
        return self._ask(SymbolInfo, "symbol_info", symbol)

    def symbol_info_tick(self, symbol: str, /) -> Tick | None:
        """Return the latest prices of a symbol."""
        return self._ask(Tick, "symbol_info_tick", symbol)

    def copy_rates_from_pos(
        self, symbol: str, timeframe: int, start_pos: int, count: int, /
    ) -> NDArray[np.void] | None:
        """Return bars by place from the end, oldest first; place 0 is still forming."""
        rows = self._ask(
            list[tuple[float, ...]], "copy_rates_from_pos", symbol, timeframe, start_pos, count
        )
        return None if rows is None else np.array(rows, RATES_DTYPE)

    def copy_ticks_from(
        self, symbol: str, date_from: int, count: int, flags: int, /
    ) -> NDArray[np.void] | None:
        """Return the first ticks at or after a second of server time."""
        rows = self._ask(
            list[tuple[float, ...]], "copy_ticks_from", symbol, date_from, count, flags
        )
        return None if rows is None else np.array(rows, TICKS_DTYPE)

    def positions_get(self) -> tuple[TradePosition, ...] | None:
        """Return the open positions."""
        return self._ask(tuple[TradePosition, ...], "positions_get")

    def orders_get(self) -> tuple[TradeOrder, ...] | None:
        """Return the orders that rest."""
        return self._ask(tuple[TradeOrder, ...], "orders_get")

    def history_orders_get(self, date_from: int, date_to: int, /) -> tuple[TradeOrder, ...] | None:
        """Return finished orders of a period, seconds of server time."""
        return self._ask(tuple[TradeOrder, ...], "history_orders_get", date_from, date_to)

    def history_deals_get(
        self, *period: int, ticket: int | None = None
    ) -> tuple[TradeDeal, ...] | None:
        """Return deals of a period, seconds of server time, or of an order."""
        options = {} if ticket is None else {"ticket": ticket}
        return self._ask(tuple[TradeDeal, ...], "history_deals_get", *period, **options)

    def order_send(self, request: Mapping[str, int | float | str], /) -> OrderSendResult | None:
        """Send a request to the trade server and wait."""
        return self._ask(OrderSendResult, "order_send", dict(request))

    def _ask(self, form: type[T], name: str, *arguments: object, **options: object) -> T | None:
        """Call a function through the pipe; None, with the package's codes, if that broke."""
        if self._pipe is None:
            self._error = (mt5.RES_E_INTERNAL_FAIL_CONNECT, "No IPC connection")
            return None
        call = msgspec.msgpack.encode(Call(name, arguments, options))
        try:
            send_body(self._pipe, call)
        except OSError as error:
            self._break(mt5.RES_E_INTERNAL_FAIL_SEND, f"IPC send failed: {error}")
            return None
        try:
            answer = msgspec.msgpack.decode(receive_body(self._pipe), type=Answer)
        except (OSError, EOFError) as error:
            self._break(mt5.RES_E_INTERNAL_FAIL_RECEIVE, f"IPC recv failed: {error}")
            return None
        self._error = answer.error
        return msgspec.msgpack.decode(answer.value, type=form | None)

    def _break(self, code: int, words: str) -> None:
        self.shutdown()
        self._error = (code, words)


def send_body(pipe: socket.socket, body: bytes) -> None:
    """Write one length-prefixed body."""
    pipe.sendall(len(body).to_bytes(LENGTH_BYTES, "big") + body)


def receive_body(pipe: socket.socket) -> bytes:
    """Read one length-prefixed body.

    Raises
    ------
    EOFError
        If the other end is gone.
    """
    return _exactly(pipe, int.from_bytes(_exactly(pipe, LENGTH_BYTES), "big"))


def _exactly(pipe: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = pipe.recv(count - len(parts))
        if not part:
            raise EOFError("the other end is gone")
        parts += part
    return bytes(parts)
