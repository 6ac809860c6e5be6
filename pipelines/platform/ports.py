"""TCP ports: the usual one if it is free, else one the system gives."""

from __future__ import annotations

import socket

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

    Parameters
    ----------
    preferred
        1 to 65535.
    taken
        Ports promised to others that do not listen yet.
    """
    if preferred not in taken and is_free(preferred):
        return preferred
    while True:
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port
