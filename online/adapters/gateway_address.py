"""Where a gateway is, and how long it is waited for."""

from __future__ import annotations

import msgspec

from online.gateway.tls import TlsFiles


class GatewayAddress(msgspec.Struct, frozen=True):
    """Where a gateway is and how long to wait for it.

    Parameters
    ----------
    host, port
        Of the gateway; its certificate must name the host.
    tls
        The authority of the gateway's certificate, and one's own.
    answer_seconds
        Longest wait for an answer that is not an order's (> 0).
    reply_seconds
        Longest wait for an order's reply (> 0); longer than the gateway's call timeout.
    patience_seconds
        How long after its arrival the gateway may still begin to send an order (> 0).
    """

    host: str
    port: int
    tls: TlsFiles
    answer_seconds: float = 2.0
    reply_seconds: float = 15.0
    patience_seconds: float = 2.0
