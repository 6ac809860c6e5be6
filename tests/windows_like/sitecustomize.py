"""Python as on Windows, for our own modules: on the path of a process, it is imported at its start.

What Windows lacks is absent: modules, names of `os`, `signal` and `socket`, signal handlers of the
event loop. What it does otherwise is done so: `os.kill` of a process that is gone, replacing a
file that somebody has open, and text that is read without saying its encoding.
"""

from __future__ import annotations

import asyncio
import builtins
import errno
import os
import pathlib
import signal
import socket
import sys
import warnings
from types import ModuleType
from typing import Any

OURS = ("online", "pipelines.commands", "pipelines.lost_reply", "pipelines.cli", "pipelines.home")
ABSENT_MODULES = {"uvloop", "fcntl", "resource", "termios", "pwd", "grp", "readline", "syslog"}
ABSENT = {
    "os": {
        "fork", "forkpty", "getuid", "geteuid", "getgid", "getpgid", "setsid", "killpg", "fchmod",
        "chown", "fdatasync", "sync", "uname", "mkfifo", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC",
        "O_NONBLOCK", "O_SYNC", "O_DSYNC", "register_at_fork", "sched_getaffinity", "statvfs",
        "WNOHANG", "pread", "pwrite", "posix_fallocate", "sysconf", "wait", "waitid",
    },
    "signal": {
        "SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGSTOP", "SIGCONT", "SIGCHLD", "SIGPIPE",
        "SIGQUIT", "SIGALRM", "alarm", "pause", "setitimer", "siginterrupt",
    },
    "socket": {"AF_UNIX", "socketpair_unix", "SO_REUSEPORT", "SCM_RIGHTS", "CMSG_LEN"},
}  # fmt: skip
_ended = os.kill


def _kill(process_id: int, number: int) -> None:
    """End a process whatever the number, as TerminateProcess does; one that is gone is no name."""
    try:
        _ended(process_id, signal.SIGKILL)
    except ProcessLookupError:
        raise OSError(errno.EINVAL, "[WinError 87] The parameter is incorrect", number) from None


CHANGED: dict[str, dict[str, Any]] = {
    "os": {"name": "nt", "kill": _kill},
    "sys": {"platform": "win32"},
}


class _AsOnWindows(ModuleType):
    """A module without what Windows lacks."""

    def __init__(self, real: ModuleType) -> None:
        super().__init__(real.__name__)
        self.__dict__["_real"] = real

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any name of a module
        real = self.__dict__["_real"]
        changed = CHANGED.get(real.__name__, {})
        if name in changed:
            return changed[name]
        if name in ABSENT.get(real.__name__, ()):
            raise AttributeError(f"module {real.__name__!r} has no attribute {name!r} on Windows")
        return getattr(real, name)


_SHOWN = {module.__name__: _AsOnWindows(module) for module in (os, sys, signal, socket)}
_import = builtins.__import__


def _import_as_on_windows(
    name: str,
    globals_: dict[str, Any] | None = None,
    locals_: dict[str, Any] | None = None,
    fromlist: tuple[str, ...] = (),
    level: int = 0,
) -> ModuleType:
    """Import for who asks: our own modules see Windows."""
    asks = (globals_ or {}).get("__name__", "")
    if asks == "__main__":
        spec = (globals_ or {}).get("__spec__")
        asks = "" if spec is None else spec.name
    if asks.startswith(OURS) and not level:
        if name in ABSENT_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in _SHOWN:
            return _SHOWN[name]
    return _import(name, globals_, locals_, fromlist, level)


def _refuse_handlers(*_: object) -> None:
    raise NotImplementedError


_replace = pathlib.Path.replace


def _replace_closed(self: pathlib.Path, target: Any) -> pathlib.Path:  # noqa: ANN401 - pathlib's
    """Replace a file that nobody in this process has open."""
    place = os.path.realpath(target)
    for descriptor in pathlib.Path("/proc/self/fd").iterdir():
        try:
            held = str(descriptor.readlink())
        except OSError:
            continue
        if held == place:
            raise PermissionError(errno.EACCES, "[WinError 5] Access is denied", str(target))
    return _replace(self, target)


builtins.__import__ = _import_as_on_windows  # type: ignore[assignment]
asyncio.SelectorEventLoop.add_signal_handler = _refuse_handlers  # type: ignore[method-assign,assignment]
pathlib.Path.replace = _replace_closed  # type: ignore[method-assign,assignment]
for ours in OURS:
    warnings.filterwarnings("error", category=EncodingWarning, module=ours.replace(".", r"\."))
