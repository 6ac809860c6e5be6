"""Leaning: a command that uses the servers another one started keeps them until it ends.

Who leans shares a lock of the home's; who would stop its servers waits until it has the lock for
itself. The system takes the lock from a process that dies.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import IO

from pipelines.home import Home

_leaning: dict[Path, IO[bytes]] = {}
"""What this process leans on, by the home; held until it ends."""


def lean(home: Home) -> None:
    """Keep the servers that run on a home; one that is about to stop them is waited for."""
    path = _path(home)
    if path not in _leaning:
        held = path.open("ab")
        fcntl.flock(held, fcntl.LOCK_SH)
        _leaning[path] = held


def stand_alone(home: Home) -> None:
    """Let go of what `lean` held."""
    held = _leaning.pop(_path(home), None)
    if held is not None:
        held.close()


def await_leaning(home: Home, tell: Callable[[str], None]) -> IO[bytes]:
    """Wait until nobody leans on a home's servers; nobody can before what is returned is closed.

    Parameters
    ----------
    home
        Whose servers this process started.
    tell
        Told that others are waited for, if they are.
    """
    stand_alone(home)
    held = _path(home).open("ab")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        tell("done; the servers stay for another command that uses them")
        fcntl.flock(held, fcntl.LOCK_EX)
    return held


def _path(home: Home) -> Path:
    home.run.mkdir(parents=True, exist_ok=True)
    return (home.run / "leaning").resolve()
