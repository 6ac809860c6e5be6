"""The note of an order's calls, which outlives the worker that made them.

A worker writes down what it is about to send before the terminal hears of it, and the answer as
soon as it has it. Where the worker hangs, dies or fails to tell, the supervisor reads here what
was sent. The file is mapped into memory: a note costs no system call, and waits for no disk.
"""

from __future__ import annotations

import logging
import mmap
import zlib
from pathlib import Path

import msgspec

from online.domain.errors import InvalidSettings
from online.domain.terminal_call import TerminalCall, without_answer

NOTE = "orders.calls"
"""Name of the file in the gateway's folder."""
NOTE_BYTES = 256 * 1024
"""Length of the file: the calls of an order take some 700 bytes, at their longest a half of it."""
_SIZES = 4
_HEAD = 2 * _SIZES
_NOTHING = bytes(_HEAD)
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(tuple[str, tuple[TerminalCall, ...]])
_log = logging.getLogger(__name__)


class CallNote:
    """The worker's end: it alone writes.

    Parameters
    ----------
    path
        Made with its folder if absent; what stands there stays until the first order.

    Raises
    ------
    InvalidSettings
        If the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.stat().st_size != NOTE_BYTES:
                path.write_bytes(bytes(NOTE_BYTES))  # written, so that the room is there
            with path.open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), NOTE_BYTES)
        except OSError as error:
            raise InvalidSettings(f"{path} cannot hold an order's calls: {error}") from error

    def write(self, intent_id: str, calls: tuple[TerminalCall, ...]) -> None:
        """Write down the calls of the order that is being sent, over those of the one before."""
        body = _ENCODER.encode((intent_id, calls))
        end = _HEAD + len(body)
        self._map[:_HEAD] = _NOTHING  # whoever dies in between leaves no note
        if end > NOTE_BYTES:
            _log.error("the calls of %s take %d bytes: they are not noted", intent_id, len(body))
            return
        self._map[_HEAD:end] = body
        self._map[:_HEAD] = len(body).to_bytes(_SIZES, "big") + _seal(body)

    def close(self) -> None:
        """Leave the note as it is."""
        self._map.close()


def read_note(path: Path, intent_id: str, why: str) -> tuple[TerminalCall, ...]:
    """Return the calls that a worker noted of an order; of another's, or none, there are none.

    Parameters
    ----------
    why
        Why nobody saw the last call return, if nobody did.
    """
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), NOTE_BYTES, access=mmap.ACCESS_READ) as noted,
        ):
            head = noted[:_HEAD]
            body = noted[_HEAD : _HEAD + int.from_bytes(head[:_SIZES], "big")]
    except (OSError, ValueError):  # none was made, or it is no note
        return ()
    if not body or head[_SIZES:] != _seal(body):
        return ()
    try:
        noted_of, calls = _DECODER.decode(body)
    except msgspec.DecodeError:
        return ()
    if noted_of != intent_id:
        return ()
    return tuple(without_answer(call, why) for call in calls)


def _seal(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(_SIZES, "big")
