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
        spare.setblocking(False)  # noqa: FBT003 - the socket's own name for it
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await loop.sock_sendall(spare, context.alert)
                spare.shutdown(socket.SHUT_WR)
                # What the client has already sent is read: else a reset overtakes the alert.
                while await loop.sock_recv(spare, _CHUNK_BYTES):
                    pass
        raise
