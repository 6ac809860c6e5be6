"""Who is let in at the gateway, and which bytes end a connection."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from online.adapters.gateway_broker import GatewayBroker
from online.domain.errors import Unavailable
from online.domain.order import OrderReply, OrderStatus
from online.domain.trading_state import TradingState
from online.gateway.certificates import issue
from online.gateway.frames import MAX_TO_SCORER_BYTES, FrameReader, FrameWriter
from online.gateway.messages import PROTOCOL, Beat, Hello, Refused, Role, Send, ToScorer
from online.gateway.tls import TlsFiles, client_context
from tests.gateway_world import (
    Terminal,
    World,
    entry,
    eventually,
)

pytestmark = pytest.mark.integration


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


def test_certificates_that_were_renewed_are_used_by_a_scorer_that_runs(world: World) -> None:
    folder, hosts = world.folder / "certificates", ["127.0.0.1"]
    past = datetime.now(UTC) - timedelta(days=3)

    async def is_let_in(broker: GatewayBroker) -> bool:
        try:
            await broker.observe("EURUSD", 0)
        except Unavailable as error:
            told.add(str(error))
            return False
        return True

    async def story() -> None:
        broker = world.broker(answer_seconds=0.3)
        try:
            assert not await is_let_in(broker)
            (folder / "scorer.key").unlink()

            async def is_told() -> bool:
                return await is_let_in(broker) or any("absent" in words for words in told)

            await eventually(is_told)
            issue(folder, hosts)
            await eventually(lambda: is_let_in(broker))
        finally:
            await broker.close()

    told: set[str] = set()
    issue(folder, hosts, days=1, now=past)
    try:
        asyncio.run(story())
    finally:
        issue(folder, hosts)


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


def test_an_older_tls_is_spoken_by_neither_end(world: World) -> None:
    folder = world.folder / "certificates"
    files = TlsFiles(folder / "authority.pem", folder / "scorer.pem", folder / "scorer.key")
    context = client_context(files)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        asyncio.run(asyncio.open_connection("127.0.0.1", world.port, ssl=context))


@pytest.mark.parametrize("role", [Role.SCORER, Role.READER])
def test_only_an_operator_resumes_or_halts(world: World, role: Role) -> None:
    async def story() -> TradingState:
        broker = world.broker(role)
        try:
            for forbidden in (
                broker.climb("ann", "a test", flatten=True),
                broker.climb("ann", "a test", flatten=False),
                broker.resume("ann"),
            ):
                with pytest.raises(Unavailable) as refused:
                    await forbidden
                assert refused.value.code == "NOT_ALLOWED"
            return (await broker.status()).state
        finally:
            await broker.close()

    assert asyncio.run(story()) is TradingState.ACTIVE


async def assert_refused(broker: GatewayBroker, reason: str) -> None:
    """Ask until the broker says that it has no connection, and for that reason."""

    async def is_told() -> bool:
        with pytest.raises(Unavailable) as failed:
            await broker.observe("EURUSD", 0)
        return reason in str(failed.value)

    try:
        await eventually(is_told)
    finally:
        await broker.close()


@pytest.mark.parametrize("fault", ["expired", "early", "stranger", "server", "none"])
def test_client_without_a_valid_certificate_is_refused_on_both_sides(
    world: World, tmp_path: Path, fault: str
) -> None:
    good = world.folder / "certificates"
    if fault in {"expired", "early"}:  # early: the clock of this host or of the maker's is wrong
        (tmp_path / "authority.pem").write_bytes((good / "authority.pem").read_bytes())
        (tmp_path / "authority.key").write_bytes((good / "authority.key").read_bytes())
        off = timedelta(days=-3 if fault == "expired" else 3)
        issue(tmp_path, ["127.0.0.1"], days=1, now=datetime.now(UTC) + off)
    else:
        issue(tmp_path, ["127.0.0.1"])
    before = len(world.log)
    expected = {
        "expired": "certificate has expired",
        "early": "certificate is not yet valid",
        "stranger": "unable to get local issuer certificate",
        "server": "unsuitable certificate purpose",
        "none": "peer did not return a certificate",
    }[fault]

    told = {
        "expired": "certificate expired",
        "early": "bad certificate",
        "stranger": "unknown ca",
        "server": "unsupported certificate",
    }

    async def story() -> None:
        if fault == "none":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(good / "authority.pem")
            reader, _ = await asyncio.open_connection("127.0.0.1", world.port, ssl=context)
            with pytest.raises((OSError, EOFError)):
                await reader.readexactly(1)
            return
        own = good / "gateway" if fault == "server" else tmp_path / "scorer"
        tls = TlsFiles(good / "authority.pem", own.with_suffix(".pem"), own.with_suffix(".key"))
        broker = world.broker(tls=tls, answer_seconds=0.1)
        await assert_refused(broker, f"refused this certificate: {told[fault]}")

    asyncio.run(story())

    async def is_logged() -> bool:
        return expected in world.log[before:].replace("_", " ").lower()

    asyncio.run(eventually(is_logged))


def test_gateway_whose_certificate_has_expired_is_refused_by_the_scorer(
    world: World, tmp_path: Path
) -> None:
    good = world.folder / "certificates"
    for name in ("authority.pem", "authority.key"):
        (tmp_path / name).write_bytes((good / name).read_bytes())
    issue(tmp_path, ["127.0.0.1"], days=1, now=datetime.now(UTC) - timedelta(days=3))
    kept = {name: (good / name).read_bytes() for name in ("gateway.pem", "gateway.key")}

    async def story() -> None:
        await assert_refused(world.broker(answer_seconds=0.1), "certificate has expired")

    try:
        for name in kept:  # the next connection uses the files as they are now
            (good / name).write_bytes((tmp_path / name).read_bytes())
        asyncio.run(story())
    finally:
        for name, held in kept.items():
            (good / name).write_bytes(held)


@pytest.mark.parametrize("fault", ["stranger", "host"])
def test_gateway_without_a_valid_certificate_is_refused_by_the_scorer(
    world: World, tmp_path: Path, fault: str
) -> None:
    good = world.folder / "certificates"
    issue(tmp_path, ["127.0.0.1"])
    authority = (tmp_path if fault == "stranger" else good) / "authority.pem"
    host = "127.0.0.1" if fault == "stranger" else "localhost"
    tls = TlsFiles(authority, good / "scorer.pem", good / "scorer.key")

    reason = "certificate is refused" if fault == "stranger" else "localhost"

    async def story() -> None:
        await assert_refused(world.broker(tls=tls, host=host, answer_seconds=0.1), reason)

    asyncio.run(story())
