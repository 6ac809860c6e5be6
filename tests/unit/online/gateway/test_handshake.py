"""A connection that is refused is told why, and holds up nobody."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from online.gateway.handshake import _say_farewell

pytestmark = pytest.mark.lean
MOST_READS = 100_000


class Flood:
    """A connection on which bytes come faster than they are read."""

    def __init__(self) -> None:
        self.reads = 0
        self.sent = b""

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - as a socket's
        assert not flag

    def send(self, data: bytes) -> int:
        self.sent += data
        return len(data)

    def shutdown(self, how: int) -> None:
        pass

    def recv(self, most: int) -> bytes:
        self.reads += 1
        assert self.reads < MOST_READS, "nobody else had a turn meanwhile"
        return bytes(most)


def test_who_was_refused_and_sends_without_end_holds_up_nobody() -> None:
    flood = Flood()

    async def story() -> None:
        farewell = asyncio.create_task(_say_farewell(cast("Any", flood), b"alert"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not farewell.done()
        farewell.cancel()
        with pytest.raises(asyncio.CancelledError):
            await farewell

    asyncio.run(story())
    assert flood.sent == b"alert"
