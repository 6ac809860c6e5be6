"""The TLS handshake of a connection that was accepted, its refusal told to the other end."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

from online.gateway.tls import GatewayContext

HANDSHAKE_SECONDS = 5.0
_FAREWELL_SECONDS = 1.0
_POLL_SECONDS = 0.01
_CHUNK_BYTES = 4_096


async def shake_hands(
    connection: socket.socket,
    spare: socket.socket,
    context: GatewayContext,
    protocol: Callable[[], asyncio.Protocol],
) -> None:
    """Turn an accepted connection into a protocol's.

    Parameters
    ----------
    connection
        Non-blocking; asyncio's from now on.
    spare
        A duplicate of it, to say why it was refused.
    context
        Of this connection alone.

    Raises
    ------
    OSError
        If the handshake fails; `ssl.SSLError` says why.
    """
    loop = asyncio.get_running_loop()
    try:
        await loop.connect_accepted_socket(
            protocol, connection, ssl=context, ssl_handshake_timeout=HANDSHAKE_SECONDS
        )
    except ssl.SSLError:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await _say_farewell(spare, context.alert)
        raise


async def _say_farewell(spare: socket.socket, alert: bytes) -> None:
    """Say why a connection was refused.

    The event loop is not asked to: Windows lets it wait for a socket under one handle alone.
    """
    spare.setblocking(False)  # noqa: FBT003 - the socket's own name for it
    spare.send(alert)
    spare.shutdown(socket.SHUT_WR)
    while True:  # what the client has already sent is read: else a reset overtakes the alert
        try:
            if not spare.recv(_CHUNK_BYTES):
                return
            pause_seconds = 0.0  # whoever sends without end must not hold all others
        except BlockingIOError:
            pause_seconds = _POLL_SECONDS
        await asyncio.sleep(pause_seconds)
