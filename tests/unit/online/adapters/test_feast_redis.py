"""The reader against servers that are wrong, slow or gone; its layout against known bytes."""

from __future__ import annotations

import asyncio
import math
import re
import struct
from collections.abc import Awaitable, Callable

import hypothesis.strategies as st
import pytest
from hypothesis import given

from online.adapters.clocks import SystemClock, VirtualClock
from online.adapters.feast_redis import (
    FeastRedisReader,
    decode_bytes,
    decode_float,
    decode_floats,
    decode_timestamp_ns,
    decode_transforms,
    entity_key,
    hash_field,
)
from online.adapters.redis_connection import RedisAddress, RedisConnection, pack_command
from online.domain.errors import InvalidInput, InvalidSettings, Unavailable
from online.domain.vector import VectorReading
from tests.fakes import make_contract

pytestmark = pytest.mark.lean
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
NOTHING = VectorReading((None,) * 4, (None, None))
EMPTY_REPLY = b"*6\r\n" + b"$-1\r\n" * 6


def always(reply: bytes) -> Answer:
    """Return a server that answers everything alike."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            writer.write(reply)

    return answer


def read(
    answer: Answer, *, times: int = 1, timeout_seconds: float = 30.0
) -> list[VectorReading | BaseException]:
    """Return what the reader makes of a server, for reads that run at once."""

    async def story() -> list[VectorReading | BaseException]:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader = FeastRedisReader(
            RedisAddress(host="127.0.0.1", port=port), "test", timeout_seconds=timeout_seconds
        )
        reads = (reader.read("EURUSD", make_contract()) for _ in range(times))
        found = await asyncio.gather(*reads, return_exceptions=True)
        await reader.close()
        server.close()
        return found

    return asyncio.run(story())


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        (b"-WRONGTYPE Operation against a key\r\n", "WRONGTYPE"),
        (b"-LOADING the dataset\r\n", "LOADING"),
        (b"+OK\r\n", "answered HMGET with"),
        (b"*1\r\n$-1\r\n", "answered HMGET with"),
        (b"*6\r\n" + b"$3\r\nabc\r\n" * 6, "expected a float32"),
        (b"*6\r\n" + b"$-1\r\n" * 4 + b"$2\r\n\x08\xff\r\n" * 2, "cut short"),
        (b"*6\r\n" + b"$-1\r\n" * 4 + b"$2\r\n\x18\x01\r\n" * 2, "expected a Timestamp"),
        (
            b"*6\r\n" + b"$-1\r\n" * 4 + b"$15\r\n\x08" + b"\xff" * 14 + b"\r\n$0\r\n\r\n",
            "expected a Timestamp",
        ),
        (
            b"*6\r\n" + b"$-1\r\n" * 4 + b"$6\r\n\x08\xff\xff\xff\xff\x7f\r\n" * 2,
            "expected one of 64 bits",
        ),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no Redis reply"),
    ],
)
def test_an_answer_that_is_no_vector_is_unavailable(reply: bytes, named: str) -> None:
    (error,) = read(always(reply))
    assert isinstance(error, Unavailable)
    assert named in str(error)


def test_a_server_that_does_not_answer_is_unavailable_in_time() -> None:
    found = read(always(b""), times=3, timeout_seconds=0.2)
    assert all(isinstance(error, Unavailable) for error in found)
    assert "within 0.2 s" in str(found[0])


def test_a_server_that_hangs_up_is_unavailable() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.close()

    (error,) = read(hang_up)
    assert isinstance(error, Unavailable)
    assert "connection was lost" in str(error)


def test_a_server_that_comes_back_is_read_again() -> None:
    calls: list[int] = []

    async def once_broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls.append(1)
        while await reader.read(4096):
            if len(calls) == 1:
                writer.close()
                return
            writer.write(EMPTY_REPLY)

    async def story() -> None:
        server = await asyncio.start_server(once_broken, "127.0.0.1", 0)
        address = RedisAddress(port=server.sockets[0].getsockname()[1])
        reader = FeastRedisReader(address, "test")
        with pytest.raises(Unavailable):
            await reader.read("EURUSD", make_contract())
        assert await reader.read("EURUSD", make_contract()) == NOTHING
        await reader.close()
        assert await reader.read("EURUSD", make_contract()) == NOTHING
        await reader.close()
        server.close()

    asyncio.run(story())


def test_a_late_reply_is_never_taken_for_the_next_ones() -> None:
    given_up = asyncio.Event()

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(4096)
        if b"FIRST" in first:
            await given_up.wait()
            writer.write(b"+first\r\n")
        else:
            writer.write(b"+second\r\n")

    async def story() -> None:
        server = await asyncio.start_server(late, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connection = RedisConnection(RedisAddress(port=port), timeout_seconds=0.05)
        with pytest.raises(Unavailable):
            await connection.execute(pack_command(b"FIRST"))
        given_up.set()
        connection._timeout_seconds = 30.0
        assert await connection.execute(pack_command(b"SECOND")) == b"second"
        await connection.close()
        server.close()

    asyncio.run(story())


@pytest.mark.parametrize("more", [b"+stale\r\n", b"+sta"])
def test_a_reply_that_nobody_asked_for_is_never_taken_for_the_next_ones(more: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(4096):
            writer.write(b"+first\r\n" + more if b"FIRST" in asked else b"+second\r\n")

    async def story() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connection = RedisConnection(RedisAddress(port=port), timeout_seconds=30.0)
        assert await connection.execute(pack_command(b"FIRST")) == b"first"
        assert await connection.execute(pack_command(b"SECOND")) == b"second"
        await connection.close()
        server.close()

    asyncio.run(story())


def test_a_reply_in_many_pieces_is_put_together() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        for i in range(len(EMPTY_REPLY)):
            writer.write(EMPTY_REPLY[i : i + 1])
            await writer.drain()

    assert read(slow) == [NOTHING]


def test_a_password_and_a_database_are_sent_first_and_a_refusal_is_told() -> None:
    seen: list[bytes] = []

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while words := await reader.read(4096):
            seen.append(words)
            writer.write(b"+OK\r\n" if b"right" in words or b"SELECT" in words else b"-ERR no\r\n")

    async def story() -> None:
        server = await asyncio.start_server(guarded, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        right = RedisAddress.parse(f"redis://me:right%21@127.0.0.1:{port}/3")
        with pytest.raises(Unavailable, match="ERR no"):
            await FeastRedisReader(right, "test").ping()
        wrong = RedisAddress.parse(f"redis://:wrong@127.0.0.1:{port}")
        with pytest.raises(Unavailable, match="AUTH"):
            await FeastRedisReader(wrong, "test").ping()
        assert "wrong" not in str(wrong)
        server.close()

    asyncio.run(story())
    assert b"me" in seen[0]
    assert b"right!" in seen[0]
    assert b"SELECT" in seen[1]


def test_a_server_that_is_not_there_is_unavailable() -> None:
    async def story(address: RedisAddress) -> None:
        with pytest.raises(Unavailable, match="cannot be reached"):
            await FeastRedisReader(address, "test").read("EURUSD", make_contract())

    for address in (RedisAddress("/nowhere/valkey.sock"), RedisAddress(port=9)):
        asyncio.run(story(address))


@pytest.mark.parametrize(
    "url", ["http://x", "redis://", "unix://", "redis://x:port", "redis://x/y"]
)
def test_a_url_that_is_none_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(InvalidSettings):
        RedisAddress.parse(url)


def test_urls_of_every_kind_are_read() -> None:
    assert RedisAddress.parse("unix:///run/valkey.sock").socket_path == "/run/valkey.sock"
    assert RedisAddress.parse("rediss://store").tls is True
    assert str(RedisAddress.parse("redis://:secret@store:6380/2")) == "store:6380/2"


def test_the_key_and_fields_are_feasts_known_bytes() -> None:
    key = entity_key("demo", "symbol", "EURUSD")
    assert key.hex() == (
        "010000000200000006000000" + b"symbol".hex()
        + "0200000006000000" + b"EURUSD".hex() + b"demo".hex()
    )  # fmt: skip
    assert len(hash_field("view", "feature")) == 4


CELLS = st.one_of(
    st.floats(width=32).map(lambda number: b"\x35" + struct.pack("<f", number)),
    st.sampled_from([None, b"", b"\x29" + struct.pack("<d", 0.1), b"\x35", b"\x295555"]),
    st.sampled_from([b"\x35" + struct.pack("<f", 1.5) * 2 + b"\x35", b"\x35nanan"]),
)


@given(st.lists(CELLS, max_size=5) | st.lists(st.just(b"\x35\0\0\x80\x3f"), max_size=80))
def test_a_vector_is_decoded_as_each_of_its_cells_is(cells: list[bytes | None]) -> None:
    try:
        expected = tuple(decode_float(cell) for cell in cells)
    except Unavailable as error:
        with pytest.raises(Unavailable, match=re.escape(str(error))):
            decode_floats(cells)
        return
    assert list(map(repr, decode_floats(cells))) == list(map(repr, expected))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (None, None),
        (b"", None),
        (bytes.fromhex("350000c07f"), None),
        (bytes.fromhex("350000807f"), math.inf),
        (bytes.fromhex("29") + bytes.fromhex("9a9999999999b93f"), 0.10000000149011612),
        (bytes.fromhex("29") + bytes.fromhex("ffffffffffffefff"), -math.inf),
    ],
)
def test_values_are_decoded_as_float32(cell: bytes | None, expected: float | None) -> None:
    assert decode_float(cell) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (None, None),
        (b"", 0),
        (bytes.fromhex("0801"), 1_000_000_000),
        (bytes.fromhex("1005"), 5),
        (bytes.fromhex("08ffffffffffffffffff01"), -1_000_000_000),
    ],
)
def test_stamps_are_decoded_before_and_after_1970(cell: bytes | None, expected: int | None) -> None:
    assert decode_timestamp_ns(cell) == expected


@pytest.mark.parametrize("size", [0, 1, 127, 128, 3200, 16_384])
def test_bytes_are_decoded_whatever_their_count(size: int) -> None:
    content = bytes(range(256)) * 65
    count, prefix = size, bytearray(b"\x0a")
    while count > 0x7F:
        prefix.append(count & 0x7F | 0x80)
        count >>= 7
    prefix.append(count)
    assert decode_bytes(bytes(prefix) + content[:size]) == content[:size]


@pytest.mark.parametrize("cell", [None, b""])
def test_absent_bytes_are_none(cell: bytes | None) -> None:
    assert decode_bytes(cell) is None


@pytest.mark.parametrize(
    "cell", ["0a", "0a02ab", "0a01abcd", "0a80", "350000803f", "0a" + "ff" * 12]
)
def test_what_is_no_bytes_is_refused(cell: str) -> None:
    with pytest.raises(Unavailable, match="expected bytes"):
        decode_bytes(bytes.fromhex(cell))


def test_a_virtual_clock_only_moves_forward() -> None:
    clock = VirtualClock(5)
    clock.set(7)
    clock.set(7)
    with pytest.raises(InvalidInput, match="stands at 7"):
        clock.set(6)
    assert clock.now_ns() == 7


def test_the_system_clock_is_after_2020() -> None:
    assert SystemClock().now_ns() > 1_577_836_800_000_000_000


@pytest.mark.parametrize("cell", [b"{", b"[]", b'{"rsi_14": 1}', b'{"rsi_14": "\xff"}'])
def test_what_tells_no_transforms_is_refused(cell: bytes) -> None:
    with pytest.raises(Unavailable, match="expected digests"):
        decode_transforms(cell)


def test_a_server_that_is_slow_to_greet_keeps_no_connection_of_ours() -> None:
    given_up = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(4096)
            asyncio.get_running_loop().call_later(0.03, writer.write, b"+OK\r\n")
            while await reader.read(4096):
                pass
        except ConnectionError:  # given up before it was taken
            pass
        finally:
            given_up.set()

    async def story() -> None:
        server = await asyncio.start_server(slow, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        address = RedisAddress.parse(f"redis://:nobodys@127.0.0.1:{port}/2")
        with pytest.raises(Unavailable):
            await RedisConnection(address, timeout_seconds=0.05).execute(pack_command(b"PING"))
        await asyncio.wait_for(given_up.wait(), 30.0)
        server.close()

    asyncio.run(story())


def test_a_stores_name_that_cannot_be_is_unavailable() -> None:
    reader = FeastRedisReader(RedisAddress.parse("redis://store..local:6379/0"), "test")
    with pytest.raises(Unavailable, match="cannot be reached"):
        asyncio.run(reader.read("EURUSD", make_contract()))
