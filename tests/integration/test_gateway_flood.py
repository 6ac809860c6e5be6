"""A gateway that is called by many who are not known: it has few places, and keeps none."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import uvloop

from online.gateway.certificates import issue
from online.gateway.handshake_places import PLACES, PLACES_OF_AN_ADDRESS, HandshakePlaces
from online.gateway.inbox import Inbox, open_inbox
from online.gateway.supervisor import _listen
from online.gateway.tls import TlsFiles, client_context
from tests.gateway_house import House
from tests.gateway_world import eventually

pytestmark = pytest.mark.integration
HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"
Story = Callable[[House, int], Awaitable[None]]


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = open_inbox(tmp_path / "inbox.db")
    yield opened
    opened.close()


@pytest.fixture(params=["asyncio", "uvloop"])
def tell(tmp_path: Path, inbox: Inbox, request: pytest.FixtureRequest) -> Callable[[Story], None]:
    """Return what tells a story of a gateway that listens at a port."""
    issue(tmp_path, [HERE])
    loop = uvloop.new_event_loop if request.param == "uvloop" else None

    def tell(story: Story) -> None:
        async def whole() -> None:
            house = House(tmp_path, inbox)
            with _listen(HERE, 0) as listener:
                accepting = asyncio.create_task(house.gateway._accept(listener))
                try:
                    async with asyncio.timeout(20.0):
                        await story(house, listener.getsockname()[1])
                finally:
                    accepting.cancel()
                    with suppress(asyncio.CancelledError):
                        await accepting

        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(whole())

    return tell


async def call(folder: Path, port: int, address: str) -> asyncio.StreamWriter:
    """Shake hands as an operator who calls from an address."""
    names = ("authority.pem", "operator.pem", "operator.key")
    files = TlsFiles(*(folder / name for name in names))
    _, writer = await asyncio.open_connection(
        HERE, port, ssl=client_context(files), local_addr=(address, 0)
    )
    return writer


def is_open(connection: socket.socket) -> bool:
    try:
        return bool(connection.recv(1, socket.MSG_DONTWAIT))
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_who_opens_many_connections_has_few_places_and_keeps_out_no_other(
    tell: Callable[[Story], None], tmp_path: Path
) -> None:
    async def story(house: House, port: int) -> None:
        loop = asyncio.get_running_loop()
        with ExitStack() as calls:
            silent = []
            for _ in range(5 * PLACES_OF_AN_ADDRESS):
                connection = calls.enter_context(socket.socket())
                connection.settimeout(0.0)
                await loop.sock_connect(connection, (HERE, port))
                silent.append(connection)

            async def is_settled() -> bool:
                return sum(map(is_open, silent)) == PLACES_OF_AN_ADDRESS

            await eventually(is_settled)
            with pytest.raises(ConnectionError):
                await call(tmp_path, port, HERE)
            writer = await call(tmp_path, port, ELSEWHERE)
            writer.close()

        async def is_empty() -> bool:
            return not house.gateway._handshakes._taken

        await eventually(is_empty)
        writer = await call(tmp_path, port, HERE)
        writer.close()

    tell(story)


def test_all_places_together_are_few(caplog: pytest.LogCaptureFixture) -> None:
    places = HandshakePlaces()
    callers = [f"10.0.0.{number % 20}" for number in range(2 * PLACES)]
    let_in = [address for address in callers if places.take(address)]
    assert len(let_in) == PLACES
    for address in let_in:
        places.give_back(address)
    assert not places._taken
    assert places.take("10.0.1.1")
    assert [record.message for record in caplog.records] == [
        "10.0.0.8 was refused: too many are at their handshake",
        f"{PLACES} connections were refused meanwhile",
    ]
