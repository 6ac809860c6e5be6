"""The connection to the gateway: who is let in, what ends it, and what a broken one costs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest

from online.adapters.gateway_broker import GatewayBroker
from online.domain.errors import Unavailable
from online.domain.order import OrderReply, OrderStatus
from online.gateway.certificates import issue
from online.gateway.frames import MAX_TO_SCORER_BYTES, FrameReader, FrameWriter
from online.gateway.messages import PROTOCOL, Beat, Hello, Refused, Role, Send, ToScorer
from online.gateway.tls import TlsFiles, client_context
from tests.gateway_world import (
    Terminal,
    World,
    closing,
    entry,
    eventually,
    fate_of,
    running_terminal,
    running_world,
)

pytestmark = pytest.mark.integration
LATE_SECONDS = 1.5
"""Longer than three of the world's heartbeats."""


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    """Return a terminal for the module."""
    with running_terminal() as running:
        yield running


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, terminal: Terminal) -> Iterator[World]:
    """Return one gateway that every test of the module connects to anew."""
    with running_world(tmp_path_factory.mktemp("gateway"), terminal) as running:
        asyncio.run(running.ready())
        yield running


class Proxy:
    """Stands between scorer and gateway and does harm."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.to_gateway = self.to_scorer = True
        self.harm = ""
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
                await asyncio.sleep(LATE_SECONDS)
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


async def raw(world: World, *chunks: bytes, role: str = "scorer") -> list[ToScorer]:
    """Send bytes over a proven connection and return what comes until it is closed."""
    folder = world.folder / "certificates"
    files = TlsFiles(folder / "authority.pem", folder / f"{role}.pem", folder / f"{role}.key")
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", world.port, ssl=client_context(files)
    )
    frames: FrameReader[ToScorer] = FrameReader(ToScorer, MAX_TO_SCORER_BYTES)
    heard: list[ToScorer] = []
    try:
        for chunk in chunks:
            writer.write(chunk)
        async with asyncio.timeout(10.0):
            while data := await reader.read(65_536):
                heard += frames.feed(data)
    finally:
        writer.close()
    return heard


def refusal(heard: list[ToScorer]) -> str:
    last = heard[-1]
    assert isinstance(last, Refused)
    return last.code


def hello(protocol: int = PROTOCOL, role: Role = Role.OPERATOR) -> Hello:
    return Hello(protocol, role)


def test_oversized_frame_is_refused_by_name_and_closed(world: World) -> None:
    heard = asyncio.run(raw(world, (1 << 30).to_bytes(4, "big")))
    assert refusal(heard) == "OVERSIZED_FRAME"


def test_malformed_frame_is_refused_by_name_and_closed(world: World) -> None:
    heard = asyncio.run(raw(world, (5).to_bytes(4, "big") + b"\xc1junk"))
    assert refusal(heard) == "MALFORMED_FRAME"


def test_wrong_version_is_refused_by_name_and_closed(world: World) -> None:
    heard = asyncio.run(raw(world, FrameWriter().pack(hello(PROTOCOL + 1))))
    assert refusal(heard) == "WRONG_VERSION"


def test_replayed_frame_is_refused_by_name_and_closed(world: World) -> None:
    writer = FrameWriter()
    begin, order = writer.pack(hello(role=Role.SCORER)), writer.pack(Send(1, entry(900), 2_000))
    heard = asyncio.run(raw(world, begin, order, order))
    assert refusal(heard) == "REPLAYED_FRAME"


def test_question_before_hello_is_refused(world: World) -> None:
    heard = asyncio.run(raw(world, FrameWriter().pack(Beat())))
    assert refusal(heard) == "NO_HELLO"


def test_operator_certificate_cannot_trade(world: World) -> None:
    heard = asyncio.run(raw(world, FrameWriter().pack(hello(role=Role.SCORER)), role="operator"))
    assert refusal(heard) == "WRONG_CERTIFICATE"


def test_operator_session_sends_no_order(world: World, terminal: Terminal) -> None:
    intent = entry(901)

    async def story() -> OrderReply:
        operator = world.broker(Role.OPERATOR)
        try:
            return await operator.send(intent)
        finally:
            await operator.close()

    assert asyncio.run(story()).status is OrderStatus.NOT_SENT
    assert terminal.deals_of(intent.magic) == 0


@pytest.mark.parametrize("fault", ["expired", "stranger", "none"])
def test_client_without_a_valid_certificate_is_refused_on_both_sides(
    world: World, tmp_path: Path, fault: str
) -> None:
    good = world.folder / "certificates"
    if fault == "expired":
        (tmp_path / "authority.pem").write_bytes((good / "authority.pem").read_bytes())
        (tmp_path / "authority.key").write_bytes((good / "authority.key").read_bytes())
        issue(tmp_path, ["127.0.0.1"], days=1, now=datetime.now(UTC) - timedelta(days=3))
    else:
        issue(tmp_path, ["127.0.0.1"])
    before = len(world.log)
    expected = {
        "expired": "certificate has expired",
        "stranger": "unable to get local issuer certificate",
        "none": "peer did not return a certificate",
    }[fault]

    async def story() -> str:
        if fault == "none":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(good / "authority.pem")
            reader, _ = await asyncio.open_connection("127.0.0.1", world.port, ssl=context)
            with pytest.raises((OSError, EOFError)) as seen:
                await reader.readexactly(1)
            return str(seen.value)
        tls = TlsFiles(good / "authority.pem", tmp_path / "scorer.pem", tmp_path / "scorer.key")
        broker = world.broker(tls=tls, answer_seconds=1.5)
        try:
            with pytest.raises(Unavailable) as failed:
                await broker.observe("EURUSD", 0)
            return str(failed.value)
        finally:
            await broker.close()

    said = asyncio.run(story())
    if fault == "expired":
        assert "refused this certificate: certificate expired" in said
    if fault == "stranger":
        assert "refused this certificate: unknown ca" in said

    async def is_logged() -> bool:
        return expected in world.log[before:].replace("_", " ").lower()

    asyncio.run(eventually(is_logged))


@pytest.mark.parametrize("fault", ["stranger", "host"])
def test_gateway_without_a_valid_certificate_is_refused_by_the_scorer(
    world: World, tmp_path: Path, fault: str
) -> None:
    good = world.folder / "certificates"
    issue(tmp_path, ["127.0.0.1"])
    authority = (tmp_path if fault == "stranger" else good) / "authority.pem"
    host = "127.0.0.1" if fault == "stranger" else "localhost"
    tls = TlsFiles(authority, good / "scorer.pem", good / "scorer.key")

    async def story() -> str:
        broker = world.broker(tls=tls, host=host, answer_seconds=1.5)
        try:
            with pytest.raises(Unavailable) as failed:
                await broker.observe("EURUSD", 0)
            return str(failed.value)
        finally:
            await broker.close()

    said = asyncio.run(story())
    reason = "certificate is refused" if fault == "stranger" else "localhost"
    assert reason in said


def test_link_cut_before_the_order_goes_out_sends_nothing(world: World, terminal: Terminal) -> None:
    intent = entry(910)

    async def story(broker: GatewayBroker, proxy: Proxy) -> tuple[OrderReply | None, OrderReply]:
        proxy.to_gateway = False
        sending = asyncio.create_task(broker.send(intent))
        await asyncio.sleep(0)  # the frame is written to a wire that leads nowhere
        proxy.cut()
        with pytest.raises(Unavailable):
            await sending
        proxy.to_gateway = True
        fate = await fate_of(broker, intent)
        return fate, await broker.send(intent)

    found, repeated = asyncio.run(through_proxy(world, story))
    assert found.status is OrderStatus.NOT_SENT
    assert repeated == found, "what was once declared not sent must never be sent"
    assert terminal.deals_of(intent.magic) == 0


@pytest.mark.parametrize("half_open", [False, True])
def test_link_cut_after_the_order_went_out_leaves_one_deal(
    world: World, terminal: Terminal, *, half_open: bool
) -> None:
    intent = entry(920 + half_open)

    async def story(broker: GatewayBroker, proxy: Proxy) -> OrderReply:
        proxy.to_scorer = False  # the gateway's words are lost; with `half_open` nobody is told
        sending = asyncio.create_task(broker.send(intent))

        async def is_filled() -> bool:
            return terminal.deals_of(intent.magic) == 1

        await eventually(is_filled)
        if not half_open:
            proxy.cut()
        with pytest.raises(Unavailable):
            await sending
        proxy.to_scorer = True
        return await fate_of(broker, intent)

    found = asyncio.run(through_proxy(world, story))
    assert found.status is OrderStatus.FILLED
    assert terminal.deals_of(intent.magic) == 1


@pytest.mark.parametrize("harm", ["twice", "swapped", "late"])
def test_bytes_doubled_swapped_or_late_end_the_link_and_double_nothing(
    world: World, terminal: Terminal, harm: str
) -> None:
    intent = entry(930 + len(harm))

    async def story(broker: GatewayBroker, proxy: Proxy) -> OrderReply:
        proxy.harm = harm
        with pytest.raises(Unavailable):
            await broker.send(intent)
        proxy.harm = ""
        return await fate_of(broker, intent)

    found = asyncio.run(through_proxy(world, story))
    assert terminal.deals_of(intent.magic) == (found.status is OrderStatus.FILLED)


def test_newer_scorer_fences_the_older(world: World, terminal: Terminal) -> None:
    intent = entry(940)

    async def story(older: GatewayBroker) -> tuple[OrderReply, OrderReply, str]:
        await older.observe("EURUSD", 0)
        newer = world.broker()
        try:
            await newer.observe("EURUSD", 0)
            late = await older.send(intent)
            with pytest.raises(Unavailable) as failed:
                await older.observe("EURUSD", 0)
            return late, await newer.send(entry(941)), failed.value.code
        finally:
            await newer.close()

    late, sent, code = asyncio.run(world.run(story))
    assert (late.status, code) == (OrderStatus.NOT_SENT, "FENCED")
    assert sent.status is OrderStatus.FILLED
    assert terminal.deals_of(intent.magic) == 0


def test_intent_id_of_another_order_is_not_sent(world: World, terminal: Terminal) -> None:
    async def story(broker: GatewayBroker) -> OrderReply:
        await broker.send(entry(950))
        return await broker.send(entry(951, intent_id="entry-950"))

    reply = asyncio.run(world.run(story))
    assert reply.status is OrderStatus.NOT_SENT
    assert "INTENT_DIFFERS" in reply.comment
    assert terminal.deals_of(entry(951).magic) == 0


def test_order_no_terminal_can_take_is_not_sent(world: World) -> None:
    async def story(broker: GatewayBroker) -> list[OrderReply]:
        bad: tuple[dict[str, Any], ...] = (
            {"volume_lots": float("nan")},
            {"comment": "x" * 25},
            {"comment": "größer"},
            {"stop": 0.0},
            {"magic": -1},
        )
        return [await broker.send(entry(960, **changes)) for changes in bad]

    replies = asyncio.run(world.run(story))
    assert {reply.status for reply in replies} == {OrderStatus.NOT_SENT}
    assert all("INVALID_INTENT" in reply.comment for reply in replies)


def test_price_beyond_the_collar_is_not_sent(world: World, terminal: Terminal) -> None:
    async def story(broker: GatewayBroker) -> OrderReply:
        return await broker.send(entry(970, quoted=1.0990))

    reply = asyncio.run(world.run(story))
    assert reply.status is OrderStatus.NOT_SENT
    assert "collar" in reply.comment
    assert terminal.deals_of(entry(970).magic) == 0


def test_entries_wait_while_automated_trading_is_off(world: World, terminal: Terminal) -> None:
    async def story(broker: GatewayBroker) -> tuple[OrderReply, OrderReply]:
        opened = await broker.send(entry(980))
        terminal.order("switch", trade_allowed=False)

        async def is_off() -> bool:
            return not (await broker.status()).trade_allowed

        await eventually(is_off)
        refused = await broker.send(entry(981))
        terminal.order("switch", trade_allowed=True)
        closed = await broker.send(closing(982, entry(980), opened.position))
        return refused, closed

    refused, closed = asyncio.run(world.run(story))
    assert refused.status is OrderStatus.NOT_SENT
    assert closed.status is OrderStatus.FILLED


def test_position_whose_magic_the_server_lost_is_still_ours(
    world: World, terminal: Terminal
) -> None:
    intent = entry(990)

    async def story(broker: GatewayBroker) -> tuple[set[int], set[int]]:
        terminal.order("fault", kind="magic_dropped")
        reply = await broker.send(intent)
        seen = await broker.observe("EURUSD", 0)
        held = {p.magic for p in seen.positions or () if p.ticket == reply.position}
        return held, {d.magic for d in seen.deals if d.position == reply.position}

    assert asyncio.run(world.run(story)) == ({intent.magic}, {intent.magic})
