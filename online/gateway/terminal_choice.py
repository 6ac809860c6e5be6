"""Which terminal a worker has, and how it is opened."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

import msgspec

from online.domain.errors import InvalidSettings, Unavailable
from online.gateway.remote_terminal import RemoteTerminal
from online.gateway.terminal import Login, Terminal


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
