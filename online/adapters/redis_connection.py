"""One lean connection to Redis: many requests in flight, replies in order.

A general client costs more processor time a command than the rest of a feature read; the scorer
sends one prepared command again and again. Parsing is hiredis'.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import hiredis

from online.domain.errors import InvalidSettings, Unavailable

Reply = object
"""What hiredis makes of a reply: bytes, int, None, a list of these, or an error."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """Where a Redis server listens.

    Parameters
    ----------
    socket_path
        Unix socket; empty for TCP.
    host, port
        For TCP.
    database
        Number (>= 0).
    username, password
        Empty where none is asked for.
    tls
        True for TLS with the system's certificate authorities.
    """

    socket_path: str = ""
    host: str = "127.0.0.1"
    port: int = 6379
    database: int = 0
    username: str = ""
    password: str = ""
    tls: bool = False

    @classmethod
    def parse(cls, url: str) -> RedisAddress:
        """Return the address in a ``redis://``, ``rediss://`` or ``unix://`` URL.

        Raises
        ------
        InvalidSettings
            If it is no such URL.

        Examples
        --------
        >>> RedisAddress.parse("redis://:secret@store:6380/2").database
        2
        """
        try:
            parts = urlsplit(url)
            scheme, port = parts.scheme, parts.port or 6379
            username, password = unquote(parts.username or ""), unquote(parts.password or "")
            if scheme == "unix" and parts.path:
                return cls(parts.path, username=username, password=password)
            if scheme in {"redis", "rediss"} and parts.hostname:
                database = int(parts.path.strip("/") or 0)
                tls = scheme == "rediss"
                return cls("", parts.hostname, port, database, username, password, tls)
        except ValueError as error:
            raise InvalidSettings(f"a Redis URL cannot be read: {error}") from error
        raise InvalidSettings(
            f"a Redis URL begins with redis://, rediss:// or unix:///, got scheme {scheme!r}"
        )

    def __str__(self) -> str:
        """Return the address without its secrets."""
        return self.socket_path or f"{self.host}:{self.port}/{self.database}"


def pack_command(*words: bytes) -> bytes:
    """Return a command in Redis' wire form.

    Examples
    --------
    >>> len(pack_command(b"PING"))
    14
    """
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


class _Wire(asyncio.Protocol):
    """Hands replies to the requests that wait, oldest first."""

    def __init__(self) -> None:
        self.waiting: deque[asyncio.Future[Reply]] = deque()
        self.transport: asyncio.Transport | None = None
        self._parser = hiredis.Reader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream's; uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._parser.feed(data)
        try:
            while self.waiting and (reply := self._parser.gets()) is not False:
                waiter = self.waiting.popleft()
                if not waiter.done():
                    waiter.set_result(reply)
        except hiredis.ProtocolError as error:
            self.close(f"it sent what is no Redis reply: {error}")
            return
        if not self.waiting and self._parser.has_data():  # the next one would be answered by it
            self.close("it sent what nobody asked for")

    def connection_lost(self, exc: Exception | None) -> None:
        self.close(f"the connection was lost: {exc or 'closed by the server'}")

    def close(self, reason: str) -> None:
        """Close and tell everybody who waits."""
        transport, self.transport = self.transport, None
        if transport is not None:
            transport.abort()
        while self.waiting:
            waiter = self.waiting.popleft()
            if not waiter.done():
                waiter.set_exception(Unavailable(f"Redis: {reason}"))


class RedisConnection:
    """A connection that is opened when first used and again after it broke.

    Parameters
    ----------
    address
        The server.
    timeout_seconds
        Longest wait for connecting and for a reply (> 0).
    """

    def __init__(self, address: RedisAddress, timeout_seconds: float) -> None:
        self._address = address
        self._timeout_seconds = timeout_seconds
        self._wire: _Wire | None = None
        self._opening = asyncio.Lock()

    async def execute(self, command: bytes) -> Reply:
        """Send a packed command and return its reply.

        Raises
        ------
        Unavailable
            If the server does not answer in time, or answers with an error.
        """
        wire = self._wire
        if wire is None or wire.transport is None:
            wire = await self._open()
        reply = await self._ask(wire, command)
        if isinstance(reply, hiredis.ReplyError):
            raise Unavailable(f"Redis at {self._address} refuses: {reply}")
        return reply

    async def close(self) -> None:
        """Close the connection; a later command opens it again."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close("closed by the scorer")

    async def _ask(self, wire: _Wire, command: bytes) -> Reply:
        if wire.transport is None:
            raise Unavailable(f"Redis at {self._address}: the connection was lost")
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Reply] = loop.create_future()
        wire.waiting.append(waiter)
        wire.transport.write(command)
        # A late reply would be taken for the next one's: the connection ends with the wait.
        reason = f"no reply from {self._address} within {self._timeout_seconds} s"
        alarm = loop.call_later(self._timeout_seconds, wire.close, reason)
        try:
            return await waiter
        finally:
            alarm.cancel()

    async def _open(self) -> _Wire:
        async with self._opening:
            if self._wire is not None and self._wire.transport is not None:
                return self._wire
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    self._wire = await self._connect()
            except (OSError, ValueError) as error:  # the latter of a name that cannot be
                raise Unavailable(
                    f"Redis at {self._address} cannot be reached: {type(error).__name__} {error}"
                ) from error
            return self._wire

    async def _connect(self) -> _Wire:
        loop, address = asyncio.get_running_loop(), self._address
        if address.socket_path:
            _, wire = await loop.create_unix_connection(_Wire, address.socket_path)
        else:
            context = ssl.create_default_context() if address.tls else None
            _, wire = await loop.create_connection(_Wire, address.host, address.port, ssl=context)
        try:
            await self._greet(wire)
        except BaseException:  # whatever it was, nobody else will close the connection
            wire.close("its greeting was not answered")
            raise
        return wire

    async def _greet(self, wire: _Wire) -> None:
        """Say who we are and which database is meant."""
        address, greetings = self._address, list[tuple[bytes, ...]]()
        if address.password:
            login = (
                (address.username, address.password) if address.username else (address.password,)
            )
            greetings.append((b"AUTH", *(word.encode() for word in login)))
        if address.database:
            greetings.append((b"SELECT", b"%d" % address.database))
        for words in greetings:
            reply = await self._ask(wire, pack_command(*words))
            if isinstance(reply, hiredis.ReplyError):
                raise Unavailable(f"Redis at {address} refuses {words[0].decode()}: {reply}")
