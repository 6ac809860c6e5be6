"""A connection that carries frames, on either end; asyncio's part of the protocol."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from online.gateway.frames import FrameFault, FrameReader, FrameWriter
from online.gateway.messages import Beat, Refused
from online.gateway.tls import common_name, describe_refusal

M = TypeVar("M")
SILENT_BEATS = 3
"""Heartbeats that may be missed before a connection counts as dead."""
_MAX_UNREAD_BYTES = 64 * 1024 * 1024
_log = logging.getLogger(__name__)


class FrameLink(asyncio.Protocol, Generic[M]):
    """One end of a connection.

    Parameters
    ----------
    messages
        The union of message types that may come.
    limit_bytes
        Largest frame accepted (> 0).
    on_message
        Called with every message, in order.
    on_lost
        Called once, with the reason, when the connection is gone.
    on_pause
        Called when all that came at once has been given to `on_message`.
    """

    def __init__(
        self,
        messages: Any,  # noqa: ANN401 - a typing form
        limit_bytes: int,
        on_message: Callable[[M], None],
        on_lost: Callable[[str], None],
        on_pause: Callable[[], None] = lambda: None,
    ) -> None:
        self._reader: FrameReader[M] = FrameReader(messages, limit_bytes)
        self._writer = FrameWriter()
        self._on_message = on_message
        self._on_lost = on_lost
        self._on_pause = on_pause
        self._transport: asyncio.Transport | None = None
        self._reason = ""
        self._beating: asyncio.TimerHandle | None = None
        self._heard_at_seconds = 0.0

    @property
    def alive(self) -> bool:
        """True while frames can go out."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def peer(self) -> str:
        """Address of the other end."""
        address = None if self._transport is None else self._transport.get_extra_info("peername")
        return f"{address[0]}:{address[1]}" if address else "somebody"

    @property
    def peer_name(self) -> str:
        """Common name of the other end's certificate."""
        if self._transport is None:
            return ""
        return common_name(self._transport.get_extra_info("peercert"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; asyncio calls this."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass
        self._heard_at_seconds = asyncio.get_running_loop().time()

    def data_received(self, data: bytes) -> None:
        """Take bytes; what is no frame of ours ends the connection with a named error."""
        self._heard_at_seconds = asyncio.get_running_loop().time()
        try:
            for message in self._reader.feed(data):
                if not self.alive:
                    return
                self._on_message(message)
        except FrameFault as fault:
            self.refuse(fault.code, str(fault))
        finally:
            self._on_pause()

    def connection_lost(self, error: Exception | None) -> None:
        """End; asyncio calls this."""
        self._transport = None
        if self._beating is not None:
            self._beating.cancel()
        if not self._reason and isinstance(error, OSError):
            self._reason = describe_refusal(error)
        self._on_lost(self._reason or "the other end closed the connection")

    def say(self, message: object) -> bool:
        """Send a message; tell whether it was handed to the network."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        transport.write(self._writer.pack(message))
        if transport.get_write_buffer_size() > _MAX_UNREAD_BYTES:
            self.drop("the other end reads nothing")
        return True

    def beat(self, every_seconds: float) -> None:
        """Keep saying that this end lives, and end the connection when the other falls silent."""
        loop = asyncio.get_running_loop()
        silent_seconds = loop.time() - self._heard_at_seconds
        if silent_seconds > SILENT_BEATS * every_seconds:
            self.drop(f"nothing was heard for {silent_seconds:.1f} s")
            return
        if self.say(Beat()):
            self._beating = loop.call_later(every_seconds, self.beat, every_seconds)

    def refuse(self, code: str, message: str) -> None:
        """Tell the other end why, then close."""
        _log.warning("connection with %s ended: %s: %s", self.peer, code, message)
        self._reason = self._reason or f"{code}: {message}"
        self.say(Refused(code, message))
        self.close(message)

    def close(self, reason: str) -> None:
        """Close once everything said has gone out."""
        self._reason = self._reason or reason
        if self._transport is not None:
            self._transport.close()

    def drop(self, reason: str) -> None:
        """Close at once: the other end is not there."""
        self._reason = self._reason or reason
        if self._transport is not None:
            self._transport.abort()
