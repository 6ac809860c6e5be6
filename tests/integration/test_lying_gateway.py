"""A gateway that speaks nonsense, or another version: the scorer ends the link and says why."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from online.adapters.gateway_address import GatewayAddress
from online.adapters.gateway_broker import GatewayBroker
from online.domain.errors import Unavailable
from online.domain.order import OrderStatus
from online.gateway.certificates import issue
from online.gateway.frames import MAX_TO_GATEWAY_BYTES, FrameReader, FrameWriter
from online.gateway.messages import (
    FAULT,
    PROTOCOL,
    Accepted,
    Failed,
    Hello,
    Send,
    ToGateway,
    Welcome,
)
from online.gateway.tls import TlsFiles, gateway_context
from tests.gateway_world import entry

pytestmark = pytest.mark.integration
WELCOME = Welcome(
    protocol=PROTOCOL,
    epoch=1,
    gateway=1,
    inbox="inbox",
    login=7,
    server="Server",
    real=False,
    heartbeat_seconds=30.0,
)
Speech = Callable[[FrameWriter], bytes]
Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def oversized(_: FrameWriter) -> bytes:
    return (1 << 30).to_bytes(4, "big")


def malformed(_: FrameWriter) -> bytes:
    return (5).to_bytes(4, "big") + b"\xc1junk"


def replayed(writer: FrameWriter) -> bytes:
    frame = writer.pack(WELCOME)
    return frame + frame


def later_version(writer: FrameWriter) -> bytes:
    return writer.pack(msgspec.structs.replace(WELCOME, protocol=PROTOCOL + 1))


def unasked(writer: FrameWriter) -> bytes:
    return writer.pack(Accepted(999))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    issue(folder, ["127.0.0.1"])
    return folder


def files(folder: Path, name: str) -> TlsFiles:
    return TlsFiles(folder / "authority.pem", folder / f"{name}.pem", folder / f"{name}.key")


async def facing(
    certificates: Path, speech: Speech, story: Callable[[GatewayBroker], Awaitable[None]]
) -> None:
    """Tell a story with a broker whose gateway answers every greeting with a speech."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # the test ends before the link does
            await reader.read(1)
            writer.write(speech(FrameWriter()))
            await reader.read()
            writer.close()

    await facing_server(certificates, serve, story)


async def facing_server(
    certificates: Path, serve: Server, story: Callable[[GatewayBroker], Awaitable[None]]
) -> None:
    """Tell a story with a broker whose gateway is a server."""
    context = gateway_context(files(certificates, "gateway"))
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    broker = GatewayBroker(
        GatewayAddress("127.0.0.1", port, files(certificates, "scorer"), 1.0, 2.0, 2.0)
    )
    try:
        await story(broker)
    finally:
        await broker.close()
        server.close()


async def told(broker: GatewayBroker) -> Unavailable:
    """Ask until the broker says more than that it is not connected yet."""
    async with asyncio.timeout(20.0):
        while True:
            with pytest.raises(Unavailable) as caught:
                await broker.observe("EURUSD", 0)
            if "not connected" not in str(caught.value):
                return caught.value


@pytest.mark.parametrize(
    ("speech", "reason"),
    [
        (oversized, "OVERSIZED_FRAME"),
        (malformed, "MALFORMED_FRAME"),
        (replayed, "REPLAYED_FRAME"),
        (later_version, "WRONG_VERSION"),
        (unasked, "no welcome"),
    ],
)
def test_nonsense_ends_the_link_is_named_and_sends_nothing(
    certificates: Path, speech: Speech, reason: str
) -> None:
    async def story(broker: GatewayBroker) -> None:
        error = await told(broker)
        assert reason in f"{error.code}: {error}"
        reply = await broker.send(entry(1))
        assert reply.status is OrderStatus.NOT_SENT

    asyncio.run(facing(certificates, speech, story))


@pytest.mark.parametrize(
    ("code", "proven"), [("INBOX_UNAVAILABLE", OrderStatus.NOT_SENT), (FAULT, None)]
)
def test_a_failure_that_the_gateway_did_not_foresee_is_no_proof_that_nothing_was_sent(
    certificates: Path, code: str, proven: OrderStatus | None
) -> None:
    async def failing(stream: asyncio.StreamReader, reply: asyncio.StreamWriter) -> None:
        said, heard = FrameWriter(), FrameReader[ToGateway](ToGateway, MAX_TO_GATEWAY_BYTES)
        while data := await stream.read(1 << 16):
            for message in heard.feed(data):
                if isinstance(message, Hello):
                    reply.write(said.pack(WELCOME))
                elif isinstance(message, Send):
                    reply.write(said.pack(Failed(message.number, code, "why")))
        reply.close()

    async def story(broker: GatewayBroker) -> None:
        if proven is None:
            with pytest.raises(Unavailable, match="why"):
                await broker.send(entry(1))
        else:
            assert (await broker.send(entry(1))).status is proven

    asyncio.run(facing_server(certificates, failing, story))
