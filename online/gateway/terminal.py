"""The terminal as the workers see it: those functions of the MetaTrader5 package they call.

The real package and the simulated terminal both fit, so a worker does not know which it has.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TypedDict, Unpack, cast, overload

import msgspec

from online.domain.errors import InvalidSettings, Unavailable
from online.simulator.info_tuples import AccountInfo, SymbolInfo, TerminalInfo, Tick
from online.simulator.trade_tuples import (
    OrderSendResult,
    TradeDeal,
    TradeOrder,
    TradePosition,
)


class Login(TypedDict, total=False):
    """Keywords of `Terminal.initialize`; one that is not needed is not given."""

    login: int
    password: str
    server: str
    timeout: int
    portable: bool


class Terminal(Protocol):
    """The MetaTrader5 package, as far as it is used; None is an error, ``()`` is empty."""

    def initialize(self, path: str | None = None, /, **login: Unpack[Login]) -> bool:
        """Connect to the terminal, starting it where needed."""

    def shutdown(self) -> None:
        """Close the connection."""

    def last_error(self) -> tuple[int, str]:
        """Return code and words of the last call."""

    def terminal_info(self) -> TerminalInfo | None:
        """Return state and settings of the terminal."""

    def account_info(self) -> AccountInfo | None:
        """Return the account."""

    def symbol_select(self, symbol: str, enable: bool, /) -> bool:  # noqa: FBT001 - MetaTrader's
        """Show a symbol in the terminal's Market Watch: only then it has prices."""

    def symbol_info(self, symbol: str, /) -> SymbolInfo | None:
        """Return the properties of a symbol."""

    def symbol_info_tick(self, symbol: str, /) -> Tick | None:
        """Return the latest prices of a symbol."""

    def positions_get(self) -> tuple[TradePosition, ...] | None:
        """Return the open positions."""

    def orders_get(self) -> tuple[TradeOrder, ...] | None:
        """Return the orders that rest."""

    def history_orders_get(self, date_from: int, date_to: int, /) -> tuple[TradeOrder, ...] | None:
        """Return finished orders of a period, seconds of server time."""

    @overload  # of a period, seconds of server time; or of an order
    def history_deals_get(
        self, date_from: int, date_to: int, /
    ) -> tuple[TradeDeal, ...] | None: ...

    @overload
    def history_deals_get(self, *, ticket: int) -> tuple[TradeDeal, ...] | None: ...

    def order_send(self, request: Mapping[str, int | float | str], /) -> OrderSendResult | None:
        """Send a request to the trade server and wait."""


class RealTerminal(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="metatrader5", tag_field="kind"
):
    """The installed MetaTrader 5 terminal, Windows only.

    Parameters
    ----------
    path
        Of ``terminal64.exe``; the terminal that was used last where empty.
    login, server
        Of the account that must be logged in; the terminal's own where 0 and empty.
    password_file
        Secret file with the account's password; empty once the terminal has saved it.
    portable
        Whether the terminal runs in portable mode.
    login_timeout_milliseconds
        Bounds the login alone; every other call is bounded by the supervisor.
    """

    path: str = ""
    login: int = 0
    server: str = ""
    password_file: str = ""
    portable: bool = False
    login_timeout_milliseconds: int = 60_000


class SimulatedChoice(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="simulated", tag_field="kind"
):
    """A simulated terminal that runs as a process of its own (`sextant gateway terminal`).

    Parameters
    ----------
    host, port
        Where it listens.
    """

    host: str = "127.0.0.1"
    port: int = 8221


TerminalChoice = RealTerminal | SimulatedChoice


def open_terminal(choice: TerminalChoice) -> Terminal:
    """Return the terminal, connected.

    Raises
    ------
    InvalidSettings
        If the MetaTrader5 package is asked for and not installed.
    Unavailable
        If the terminal does not answer, with the code and words of its `last_error`.
    """
    terminal = _real_package() if isinstance(choice, RealTerminal) else _remote(choice)
    connect(terminal, choice)
    return terminal


def connect(terminal: Terminal, choice: TerminalChoice) -> None:
    """Connect, or connect anew after the pipe broke: nothing reconnects by itself.

    Raises
    ------
    Unavailable
        As `open_terminal`.
    """
    terminal.shutdown()
    path = choice.path if isinstance(choice, RealTerminal) else ""
    login = _login(choice)
    if not (terminal.initialize(path, **login) if path else terminal.initialize(**login)):
        code, words = terminal.last_error()
        raise Unavailable(
            f"the terminal does not answer: {words} ({code})",
            code="TERMINAL_UNAVAILABLE",
            remedy="Start the terminal, log in and allow algorithmic trading and the Python API.",
        )


def _real_package() -> Terminal:
    try:
        package = importlib.import_module("MetaTrader5")
    except ImportError as error:
        raise InvalidSettings(
            "the MetaTrader5 package is not installed; it exists for Windows alone",
            remedy='On Windows: pip install sextant[gateway]. Elsewhere: kind = "simulated".',
        ) from error
    return cast("Terminal", package)


def _remote(choice: SimulatedChoice) -> Terminal:
    from online.gateway.remote_terminal import RemoteTerminal  # noqa: PLC0415 - one arm's alone

    return RemoteTerminal(choice.host, choice.port)


def _login(choice: TerminalChoice) -> Login:
    if isinstance(choice, SimulatedChoice):
        return {}
    login: Login = {"timeout": choice.login_timeout_milliseconds}
    if choice.login:
        login["login"], login["server"] = choice.login, choice.server
    if choice.password_file:
        login["password"] = _read_secret(Path(choice.password_file))
    if choice.portable:
        login["portable"] = True
    return login


def _read_secret(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"password_file {path} cannot be read: {error}") from error
