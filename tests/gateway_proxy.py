"""A wire between scorer and gateway that can be cut, silenced and garbled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Self

from online.adapters.gateway_broker import GatewayBroker
from tests.gateway_world import World


class Proxy:
    """Stands between scorer and gateway and does harm."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.to_gateway = self.to_scorer = True
        self.harm = ""
        self.released = asyncio.Event()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers += [writer, far_writer]
        for source, sink, passes in (
            (reader, far_writer, lambda: self.to_gateway),
            (far_reader, writer, lambda: self.to_scorer),
        ):
            task = asyncio.create_task(self._pump(source, sink, passes))
            self._tasks.add(task)

    async def _harmed(self, data: bytes) -> bytes:
        half = len(data) // 2
        match self.harm:
            case "twice":
                return data * 2
            case "swapped":
                return data[half:] + data[:half]
            case "late":
                await self.released.wait()
        return data

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        passes: Callable[[], bool],
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                if passes():
                    sink.write(await self._harmed(data))
            sink.close()


async def through_proxy(
    world: World, story: Callable[[GatewayBroker, Proxy], Awaitable[Any]]
) -> Any:  # noqa: ANN401 - of the story
    async with Proxy(world.port) as proxy:
        broker = world.broker(port=proxy.port, reply_seconds=3.0)
        await broker.status()
        try:
            return await story(broker, proxy)
        finally:
            await broker.close()
