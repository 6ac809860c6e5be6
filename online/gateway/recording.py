"""Recorded sessions: every call of a terminal and its answer, one JSON object a line.

Made beside a real demo terminal, a session can be compared with the simulated one
(`online.gateway.comparison`). Login, name and the terminal's paths are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import msgspec

from online.domain.errors import InvalidInput
from online.gateway.terminal import Terminal

_UNTOLD = frozenset({"last_error", "initialize", "shutdown"})
_PRIVATE = frozenset({"login", "name", "path", "data_path", "commondata_path", "company"})
_PRIVATE_CALLS = frozenset({"account_info", "terminal_info"})


class RecordedCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One call.

    Parameters
    ----------
    at_ns
        When it returned, UTC.
    call
        The package's function.
    arguments, options
        As they were given.
    value
        Rows as objects, named as the package names them; null if the call failed.
    error
        Code and words of `last_error` after it.
    """

    at_ns: int
    call: str
    arguments: list[Any]
    options: dict[str, Any]
    value: Any
    error: tuple[int, str]


class _Recorder:
    """Stands before a terminal and writes down what passes."""

    def __init__(self, terminal: Terminal, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._terminal = terminal
        self._file = path.open("ab")
        self._error = (1, "Success")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a function of the package that is recorded when called."""
        function = getattr(self._terminal, name)
        if name in _UNTOLD:
            return cast("Callable[..., Any]", function)

        def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - of the package
            value = function(*arguments, **options)
            told = _plain(value)
            if name in _PRIVATE_CALLS and isinstance(told, dict):
                told = {key: each for key, each in told.items() if key not in _PRIVATE}
            recorded = RecordedCall(
                at_ns=time.time_ns(),
                call=name,
                arguments=list(arguments),
                options=options,
                value=told,
                error=self._terminal.last_error(),
            )
            self._file.write(msgspec.json.encode(recorded) + b"\n")
            self._file.flush()
            return value

        return call


def record_calls(terminal: Terminal, path: Path) -> Terminal:
    """Return a terminal whose calls are appended to a file.

    Parameters
    ----------
    path
        Of the session; its folder is made.
    """
    return cast("Terminal", _Recorder(terminal, path))


def read_session(path: Path) -> Iterator[RecordedCall]:
    """Yield the calls of a recorded session.

    Raises
    ------
    InvalidInput
        Naming the line that is no recorded call, or if the file cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            yield msgspec.json.decode(line, type=RecordedCall)
        except msgspec.DecodeError as error:
            raise InvalidInput(f"{path}, line {number}, is no recorded call: {error}") from error


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever the package returns
    """Return rows as objects, however deep."""
    if hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value
