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

_CHUNK_BYTES = 65_536
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


_ANSWERS = msgspec.msgpack.Decoder(Answer)


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
        self._bodies: BodyPipe | None = None
        self._error = (mt5.RES_S_OK, "Success")
        self._decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}

    def initialize(self, path: str | None = None, /, **login: Unpack[Login]) -> bool:
        """Connect to the terminal."""
        try:
            pipe = socket.create_connection(self._address, timeout=5.0)
            pipe.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pipe.settimeout(None)  # as the package: a read waits for ever
        except OSError as error:
            self._error = (mt5.RES_E_INTERNAL_FAIL_INIT, f"IPC initialize failed, {error}")
            return False
        self._pipe, self._bodies = pipe, BodyPipe(pipe)
        return bool(self._ask(bool, "initialize", path, **login))

    def shutdown(self) -> None:
        """Close the connection."""
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = self._bodies = None

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
        if self._bodies is None:
            self._error = (mt5.RES_E_INTERNAL_FAIL_CONNECT, "No IPC connection")
            return None
        call = msgspec.msgpack.encode(Call(name, arguments, options))
        try:
            self._bodies.send(call)
        except OSError as error:
            self._break(mt5.RES_E_INTERNAL_FAIL_SEND, f"IPC send failed: {error}")
            return None
        try:
            answer = _ANSWERS.decode(self._bodies.receive())
        except (OSError, EOFError) as error:
            self._break(mt5.RES_E_INTERNAL_FAIL_RECEIVE, f"IPC recv failed: {error}")
            return None
        self._error = answer.error
        if form not in self._decoders:
            self._decoders[form] = msgspec.msgpack.Decoder(form | None)
        value: T | None = self._decoders[form].decode(answer.value)
        return value

    def _break(self, code: int, words: str) -> None:
        self.shutdown()
        self._error = (code, words)


class BodyPipe:
    """Length-prefixed bodies over a socket.

    Parameters
    ----------
    pipe
        Connected, blocking; closed by whoever made it.
    """

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._rest = b""

    def send(self, body: bytes) -> None:
        """Write one body."""
        self._pipe.sendall(len(body).to_bytes(LENGTH_BYTES, "big") + body)

    def receive(self) -> bytes:
        """Read one body.

        Raises
        ------
        EOFError
            If the other end is gone.
        """
        data = self._rest or self._more()
        while len(data) < LENGTH_BYTES:
            data += self._more()
        end = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "big")
        if len(data) < end:
            parts, missing = [data], end - len(data)
            while missing > 0:
                parts.append(self._more())
                missing -= len(parts[-1])
            data = b"".join(parts)
        self._rest = data[end:]
        return data[LENGTH_BYTES:end]

    def _more(self) -> bytes:
        part = self._pipe.recv(_CHUNK_BYTES)
        if not part:
            raise EOFError("the other end is gone")
        return part
