"""The pipe between a Python program and its terminal, and the last error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from online.simulator import constants as mt5
from online.simulator.client import ClientTerminal
from online.simulator.faults import Fault, FaultKind
from online.simulator.info_tuples import TerminalInfo
from online.simulator.told import BUILD, tell_terminal

T = TypeVar("T")
_SUCCESS = (mt5.RES_S_OK, "Success")
_BREAKS_AFTER = {
    FaultKind.REPLY_LOST: (mt5.RES_E_INTERNAL_FAIL_RECEIVE, "IPC recv failed"),
    FaultKind.DESYNCHRONISED: (mt5.RES_E_INTERNAL_FAIL, "IPC call failed"),
}


class CallFailed(Exception):  # not an error of Sextant: the package's own, as data
    """A call that ends with None; it never leaves the simulator.

    Parameters
    ----------
    code, text
        What `last_error` will say.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Connection:
    """One program's pipe to the terminal; nothing mends it but `initialize`.

    Parameters
    ----------
    client
        The terminal that `initialize` finds; None if there is none to be found.
    """

    def __init__(self, client: ClientTerminal | None = None) -> None:
        self._client = client
        self._pipe: ClientTerminal | None = None
        self._error = _SUCCESS

    def attach(self, client: ClientTerminal | None) -> None:
        """Replace the terminal that `initialize` finds; an open pipe to another one is closed."""
        self._client, self._pipe = client, None

    def initialize(
        self,
        _path: str | None = None,
        *,
        login: int | None = None,
        password: str | None = None,
        server: str | None = None,
        timeout: int = 60_000,
        portable: bool = False,
    ) -> bool:
        """Open the pipe, closing an earlier one first; True if the terminal let us in.

        `timeout` and `portable` have no meaning here.
        """
        del timeout, portable
        self._error, self._pipe = _SUCCESS, None
        if self._client is None:
            text = "IPC initialize failed, MetaTrader 5 x64 not found"
            return self._fails(mt5.RES_E_INTERNAL_FAIL_INIT, text)
        if not self._client.admits(login, password, server):
            return self._fails(mt5.RES_E_AUTH_FAILED, "Terminal: Authorization failed")
        self._pipe = self._client
        return True

    def login(
        self,
        login: int,
        *,
        password: str | None = None,
        server: str | None = None,
        timeout: int = 60_000,
    ) -> bool:
        """Log in to an account; there is one, so this only checks the credentials."""
        del timeout
        self._error = _SUCCESS
        if self._pipe is None:
            return self._fails(mt5.RES_E_INTERNAL_FAIL_CONNECT, "No IPC connection")
        if not self._pipe.admits(login, password, server):
            return self._fails(mt5.RES_E_AUTH_FAILED, "Terminal: Authorization failed")
        return True

    def shutdown(self) -> None:
        """Close the pipe."""
        self._error, self._pipe = _SUCCESS, None

    def last_error(self) -> tuple[int, str]:
        """Return code and text of the call before."""
        return self._error

    def version(self) -> tuple[int, int, str] | None:
        """Return the terminal's version, build and build date."""
        return self._ask("version", lambda _: (500, BUILD, "1 Nov 2026"))

    def terminal_info(self) -> TerminalInfo | None:
        """Return state and switches of the terminal."""
        return self._ask("terminal_info", tell_terminal)

    def _ask(self, name: str, work: Callable[[ClientTerminal], T]) -> T | None:
        """Carry out a call through the pipe, faults included; None if it failed."""
        self._error = _SUCCESS
        pipe = self._pipe
        if pipe is None:
            self._fails(mt5.RES_E_INTERNAL_FAIL_CONNECT, "No IPC connection")
            return None
        pipe.current_faults = faults = pipe.faults.next(name)
        try:
            self._before(pipe, faults)
            answer = work(pipe)
            self._after(pipe, faults)
        except CallFailed as failure:
            self._fails(failure.code, failure.text)
            return None
        return answer

    def _before(self, pipe: ClientTerminal, faults: tuple[Fault, ...]) -> None:
        for fault in faults:
            if fault.kind is FaultKind.PIPE_BROKEN:
                self._pipe = None
                raise CallFailed(mt5.RES_E_INTERNAL_FAIL_SEND, "IPC send failed")
            if fault.kind is FaultKind.HANG_BEFORE:
                pipe.hang()
            if fault.kind is FaultKind.DISCONNECTED:
                pipe.connected = False

    def _after(self, pipe: ClientTerminal, faults: tuple[Fault, ...]) -> None:
        for fault in faults:
            if fault.kind is FaultKind.SLOW:
                pipe.wait(fault.seconds)
            if fault.kind is FaultKind.HANG_AFTER:
                pipe.hang()
            if fault.kind in _BREAKS_AFTER:
                self._pipe = None
                raise CallFailed(*_BREAKS_AFTER[fault.kind])

    def _fails(self, code: int, text: str) -> bool:
        """Remember an error; return False for the calls that answer so."""
        self._error = (code, text)
        return False

    def _refuse_arguments(self, text: str = "Invalid arguments") -> None:
        """Answer None to a call whose arguments the package cannot read."""
        self._fails(mt5.RES_E_INVALID_PARAMS, text)
