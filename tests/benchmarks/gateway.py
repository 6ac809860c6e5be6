"""An order's own part at the gateway: handed over, durable, filled by the simulator, replied.

Everything is real: a scorer's and a gateway's process, TLS on loopback, the inbox's fsync, the
worker's pipes and the simulated terminal's process. The disk's own fsync is measured in the same
run, on the inbox's disk, by the statement the inbox runs: into a log as SQLite keeps it by itself,
which grows to a thousand pages first, and into one that has its length from the start as the
inbox's has (`online.prepared_log`), which is the wait that is left.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import uvloop

from online.gateway.frames import MAX_TO_SCORER_BYTES
from online.gateway.link import FrameLink
from online.gateway.messages import (
    PROTOCOL,
    Accepted,
    Beat,
    Hello,
    Replied,
    Role,
    Send,
    ToScorer,
    Welcome,
)
from online.gateway.tls import TlsFiles, client_context
from online.prepared_log import LOG_BYTES, prepare_log
from tests.benchmarks.report import Target, percentile_milliseconds, render
from tests.gateway_world import World, entry, running_terminal, running_world

WARM_UP = 50
WINDOW = 512
"""Orders without a reply at any time; a gateway takes twice as many questions at once."""
TARGETS = (
    Target("ack_p50_beyond_fsync_ms", "<=", 0.3),
    Target("ack_p99_ms", "<=", 1.2),
    Target("orders_per_second", ">=", 1_000),
)


class Meter:
    """A scorer that notes when its order was durable and when it was answered."""

    def __init__(self) -> None:
        self.link: FrameLink[ToScorer] = FrameLink(
            ToScorer, MAX_TO_SCORER_BYTES, self._take, self._lost
        )
        self.welcome: asyncio.Future[Welcome] = asyncio.get_running_loop().create_future()
        self.accepted: dict[int, float] = {}
        self.replied: dict[int, float] = {}
        self.statuses: set[str] = set()
        self.window = asyncio.Semaphore(WINDOW)
        self._expected = 0
        self._done = asyncio.Event()

    async def send(self, numbers: range) -> dict[int, float]:
        """Send orders, all at once, wait for every reply, and return when each was sent."""
        sent: dict[int, float] = {}
        self.expect(len(numbers))
        for number in numbers:
            await self.window.acquire()
            sent[number] = time.perf_counter()
            self.link.say(Send(number, entry(number, 0.01), 60_000))
        await self.all_replied()
        return sent

    def expect(self, count: int) -> None:
        """Take note that so many orders more will be replied to."""
        self._expected, self._done = len(self.replied) + count, asyncio.Event()

    async def all_replied(self) -> None:
        """Wait until every expected order was."""
        async with asyncio.timeout(120.0):
            await self._done.wait()

    def _take(self, message: ToScorer) -> None:
        now = time.perf_counter()
        match message:
            case Welcome():
                self.welcome.set_result(message)
            case Accepted():
                self.accepted[message.number] = now
            case Replied():
                self.replied[message.number] = now
                self.window.release()
                self.statuses.add(message.reply.status)
                if len(self.replied) == self._expected:
                    self._done.set()
            case Beat():
                pass
            case _:
                raise SystemExit(f"the gateway said {message}")

    def _lost(self, reason: str) -> None:
        if not self._done.is_set():
            raise SystemExit(f"the link was cut: {reason}")


async def measure(world: World, orders: int) -> dict[str, float]:
    """Return the figures of orders sent one after the other, and then all at once."""
    await world.ready()
    folder = world.folder / "certificates"
    files = TlsFiles(folder / "authority.pem", folder / "scorer.pem", folder / "scorer.key")
    meter = Meter()
    await asyncio.get_running_loop().create_connection(
        lambda: meter.link, "127.0.0.1", world.port, ssl=client_context(files)
    )
    meter.link.say(Hello(PROTOCOL, Role.SCORER))
    meter.link.beat((await meter.welcome).heartbeat_seconds)
    acks, replies, fsyncs, prepared = [], [], [], []
    disk, ready = Disk(world.folder / "fsync.db"), Disk(world.folder / "ready.db", LOG_BYTES)
    for number in range(1, WARM_UP + orders + 1):
        sent = await meter.send(range(number, number + 1))
        if number > WARM_UP:
            acks.append(meter.accepted[number] - sent[number])
            replies.append(meter.replied[number] - sent[number])
            if number % 4:  # one an order: a busy machine gives who works more its turn later
                fsyncs.append(disk.insert_seconds(number))
            else:
                prepared.append(ready.insert_seconds(number))
    first = WARM_UP + orders + 1
    started = time.perf_counter()
    await meter.send(range(first, first + orders))
    seconds = time.perf_counter() - started
    meter.link.close("measured")
    if meter.statuses != {"filled"}:
        raise SystemExit(f"every order must be filled, got {sorted(meter.statuses)}")
    fsync_p50 = percentile_milliseconds(fsyncs, 50)
    prepared_p50 = percentile_milliseconds(prepared, 50)
    ack_p50 = percentile_milliseconds(acks, 50)
    return {
        "orders": orders,
        "ack_p50_ms": ack_p50,
        "ack_p99_ms": percentile_milliseconds(acks, 99),
        "reply_p50_ms": percentile_milliseconds(replies, 50),
        "reply_p99_ms": percentile_milliseconds(replies, 99),
        "fsync_p50_ms": fsync_p50,
        "prepared_fsync_p50_ms": prepared_p50,
        "ack_p50_beyond_fsync_ms": ack_p50 - fsync_p50,
        "ack_p50_beyond_prepared_fsync_ms": ack_p50 - prepared_p50,
        "orders_per_second": orders / seconds,
    }


class Disk:
    """The inbox's disk: what one durable insert of an order takes there.

    Parameters
    ----------
    log_bytes
        Length the write-ahead log is given beforehand; 0 lets it grow.
    """

    def __init__(self, path: Path, log_bytes: int = 0) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, intent BLOB)")
        prepare_log(self._connection, path, log_bytes)
        self._body = msgspec.msgpack.encode(entry(1))

    def insert_seconds(self, number: int) -> float:
        """Insert, durably, and return how long it took."""
        started = time.perf_counter()
        self._connection.execute("INSERT INTO orders VALUES (?, ?)", (number, self._body))
        return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="kept for `sextant bench`")
    parser.add_argument("--full", action="store_true", help="5,000 orders instead of 500")
    given = parser.parse_args()
    orders = 5_000 if given.full else 500
    with (
        tempfile.TemporaryDirectory() as folder,
        running_terminal(balance=1e9) as terminal,
        running_world(Path(folder), terminal, heartbeat=5.0, log_bytes=LOG_BYTES) as world,
    ):
        figures = uvloop.run(measure(world, orders))
    peer = "none: no peer has a durable, deduplicating hand-off of orders"
    sys.stdout.write(render("gateway", figures, TARGETS, peer, ("msgspec", "cryptography")) + "\n")


if __name__ == "__main__":
    main()
