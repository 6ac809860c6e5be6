"""Frames: four bytes of length, then msgpack of ``[sequence, message]``; no I/O here.

The sequence counts from 1 in each direction of a connection, so that a frame that comes twice, or
not at all, is seen. The same frames go over the network and over a worker's pipes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec

from online.domain.errors import InvalidInput

LENGTH_BYTES = 4
MAX_TO_GATEWAY_BYTES = 64 * 1024
"""Largest frame a gateway reads: an order and its envelope take some 500 bytes."""
MAX_TO_SCORER_BYTES = 32 * 1024 * 1024
"""Largest frame a scorer reads: an account's whole history of deals fits."""

M = TypeVar("M")


class FrameFault(InvalidInput):
    """Bytes that are no frame of this protocol; the connection cannot go on."""

    code = "MALFORMED_FRAME"
    remedy = "Run the same release of Sextant on both ends, and nothing else on this port."


class FrameReader(Generic[M]):
    """Cuts a stream of bytes into messages.

    Parameters
    ----------
    messages
        The union of message types that may come.
    limit_bytes
        Largest frame accepted (> 0).

    Examples
    --------
    >>> FrameReader(int, 16).feed(FrameWriter().pack(7)).__next__()
    7
    """

    def __init__(self, messages: Any, limit_bytes: int) -> None:  # noqa: ANN401 - a typing form
        self._decoder: msgspec.msgpack.Decoder[tuple[int, M]] = msgspec.msgpack.Decoder(
            tuple[int, messages]
        )
        self._limit_bytes = limit_bytes
        self._buffer = bytearray()
        self._sequence = 0

    def feed(self, data: bytes) -> Iterator[M]:
        """Take bytes and yield the messages they complete.

        Raises
        ------
        FrameFault
            With code ``OVERSIZED_FRAME``, ``MALFORMED_FRAME``, ``REPLAYED_FRAME`` or
            ``MISSING_FRAME``.
        """
        buffer = self._buffer
        buffer += data
        while len(buffer) >= LENGTH_BYTES:
            length = int.from_bytes(buffer[:LENGTH_BYTES], "big")
            if length > self._limit_bytes:
                raise FrameFault(
                    f"a frame may have {self._limit_bytes} bytes, one of {length} was announced",
                    code="OVERSIZED_FRAME",
                )
            end = LENGTH_BYTES + length
            if len(buffer) < end:
                return
            body = bytes(buffer[LENGTH_BYTES:end])
            del buffer[:end]
            yield self._open(body)

    def _open(self, body: bytes) -> M:
        try:
            sequence, message = self._decoder.decode(body)
        except msgspec.DecodeError as error:
            raise FrameFault(f"a frame cannot be read: {error}") from error
        expected = self._sequence + 1
        if sequence < expected:
            raise FrameFault(
                f"frame {sequence} came again, expected {expected}", code="REPLAYED_FRAME"
            )
        if sequence > expected:
            raise FrameFault(
                f"frame {expected} was expected, {sequence} came", code="MISSING_FRAME"
            )
        self._sequence = sequence
        return message


class FrameWriter:
    """Packs messages into frames, counting them."""

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder()
        self._sequence = 0

    def pack(self, message: object) -> bytes:
        """Return the next frame, with `message` in it."""
        self._sequence += 1
        body = self._encoder.encode((self._sequence, message))
        return len(body).to_bytes(LENGTH_BYTES, "big") + body
