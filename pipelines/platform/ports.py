"""TCP ports: the usual one if it is free, else one the system gives."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Return True if nothing listens on the loopback `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose_port(preferred: int, taken: frozenset[int] = frozenset()) -> int:
    """Return `preferred` if it is free, else a free port of the system's choice.

    A server listens only seconds after its port was chosen; until this process ends, other
    processes that ask here are not given the same port.

    Parameters
    ----------
    preferred
        1 to 65535.
    taken
        Ports promised to others that do not listen yet.
    """
    if preferred not in taken and is_free(preferred) and reserve(preferred):
        return preferred
    while True:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        if port not in taken and reserve(port):
            return port


def reserve(port: int) -> bool:
    """Promise a port to this process until it ends; False if another process was promised it."""
    path = Path(tempfile.gettempdir()) / f"sextant-port-{port}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:  # another user's
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return False
    return True  # never closed: the promise holds until the process ends
