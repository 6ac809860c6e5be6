"""The order path: from decision to durable acknowledgement, risk, simulator, reconciliation.

Everything is real: the scorer's journal, TLS on loopback, the gateway's process and its inbox, its
workers, the simulated terminal's process. An order's own part begins when it was decided and ends
when the gateway has said that it is durable there; the disk's own fsync is measured in the same
run, on the same disk, between the orders: an order waits for two, and what two of them take at
their slowest stands beside its own slowest. Nothing waits but for the disk: what else the machine
does meanwhile is in the figures.

Two kinds of fsync are told. ``fsync`` is of a log as SQLite keeps it by itself: it grows to a
thousand pages and is then written over; the target is set against it. ``prepared_fsync`` is of a
log that has its length from the start, as the journal's and the inbox's have
(`online.prepared_log`): two of these are what an order really waits for, so
``p50_beyond_prepared_fsync_ms`` is all the rest of it.

``p50_in_memory_ms`` and ``p99_in_memory_ms`` are the same orders again with every file in a
memory file system, where a sync costs nothing: all that the platform itself adds, processor, TLS,
databases and processes, at its slowest too. What lies between them and the figures on the disk is
the disk's: one whose two fsyncs take at most ``1.2 - p99_in_memory_ms`` at their p99 meets the
target. They are left out where there is no such file system.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import uvloop

from online.adapters.sqlite_journal import SqliteJournal, open_journal
from online.domain.market import Quote
from online.domain.record import DecisionRecord
from online.gateway.messages import PROTOCOL, Hello, Role, Send
from online.gateway.tls import TlsFiles, client_context
from online.prepared_log import LOG_BYTES
from tests.benchmarks.backtest import PEERS, make_environment
from tests.benchmarks.gateway import Disk, Meter
from tests.benchmarks.report import Target, percentile_milliseconds, render
from tests.benchmarks.risk import measure_risk
from tests.benchmarks.simulator import N_RESTING, feed, random_walk, with_resting_orders
from tests.benchmarks.statements import reconcile
from tests.gateway_world import Terminal, World, entry, running_terminal, running_world
from tests.journals import decision

WARM_UP, N_TICKS, N_CHECKS, ROUNDS = 100, 200_000, 20_000, 3
N_FEATURES = 109
PATIENCE_MS = 60_000
EPOCH_NS = 1_500_000_000_000_000_000
_PEER = Path(__file__).resolve().parent / "peers" / "nautilus_exchange.py"
_RUN_SECONDS = 300
MEMORY = Path("/dev/shm")  # noqa: S108 - Linux's memory file system, in a folder of our own
TARGETS = (
    Target("p99_ms", "<=", 1.2),
    Target("p50_beyond_fsync_ms", "<=", 0.3),
    Target("risk_p99_us", "<=", 20),
    Target("simulator_ticks_per_second", ">=", 500_000),
    Target("ratio_nautilus_exchange", ">=", 1),
    Target("reconciliation_seconds", "<=", 2),
    Target("orders_per_second", ">=", 1_000),
    Target("lost", "<=", 0),
    Target("doubled", "<=", 0),
)


class Desk:
    """A scorer's end: a decision becomes durable, then its order goes to the gateway."""

    def __init__(self, journal: SqliteJournal, meter: Meter) -> None:
        self._journal = journal
        self._meter = meter
        self._sample = msgspec.structs.replace(
            decision(0), features=tuple(float(n) / 7.0 for n in range(N_FEATURES)), vetoes=()
        )
        self.decided: dict[int, float] = {}

    async def send(self, number: int) -> None:
        """Journal a decision and hand its order over."""
        await self._meter.window.acquire()
        record = self._decide(number)
        self.decided[number] = time.perf_counter()
        await self._journal.append(record)
        intent = record.intent
        assert intent is not None
        self._meter.link.say(Send(number, intent, PATIENCE_MS))

    def _decide(self, number: int) -> DecisionRecord:
        intent, name = entry(number, 0.01), f"EURUSD-H1-20171004T0000Z-{number}"
        return msgspec.structs.replace(self._sample, decision_id=name, number=number, intent=intent)


async def measure_orders(world: World, terminal: Terminal, orders: int) -> dict[str, float]:
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
    journal, _ = open_journal(world.folder / "journal.db", LOG_BYTES)
    desk, disk = Desk(journal, meter), Disk(world.folder / "fsync.db")
    ready = Disk(world.folder / "ready.db", LOG_BYTES)
    gc.collect()
    gc.freeze()  # as the scorer does
    own, cpu, fsyncs, prepared = [], [], [], []
    for number in range(1, WARM_UP + orders + 1):
        meter.expect(1)
        spent = time.process_time()
        await desk.send(number)
        await meter.all_replied()
        if number > WARM_UP:
            cpu.append(time.process_time() - spent)
            own.append(meter.accepted[number] - desk.decided[number])
            if number % 4:  # one an order: a busy machine gives who works more its turn later
                fsyncs.append(disk.insert_seconds(number))
            else:
                prepared.append(ready.insert_seconds(number))
    first, began = WARM_UP + orders + 1, time.perf_counter()
    meter.expect(orders)
    await asyncio.gather(*(desk.send(number) for number in range(first, first + orders)))
    await meter.all_replied()
    seconds = time.perf_counter() - began
    meter.link.close("measured")
    journal.close()
    opened = Counter(deal[0] for deal in terminal.order("deals") if deal[3] == 0)
    fates = [opened[entry(number).magic] for number in range(1, first + orders)]
    fsync_p50, p50 = percentile_milliseconds(fsyncs, 50), percentile_milliseconds(own, 50)
    prepared_p50 = percentile_milliseconds(prepared, 50)
    return {
        "orders": float(orders),
        "p50_ms": p50,
        "p90_ms": percentile_milliseconds(own, 90),
        "p99_ms": percentile_milliseconds(own, 99),
        "fsync_p50_ms": fsync_p50,
        "fsync_p99_ms": percentile_milliseconds(fsyncs, 99),
        "two_fsyncs_p99_ms": percentile_milliseconds(_pairs(fsyncs), 99),
        "p50_beyond_fsync_ms": p50 - 2.0 * fsync_p50,
        "prepared_fsync_p50_ms": prepared_p50,
        "prepared_fsync_p99_ms": percentile_milliseconds(prepared, 99),
        "two_prepared_fsyncs_p99_ms": percentile_milliseconds(_pairs(prepared), 99),
        "p50_beyond_prepared_fsync_ms": p50 - 2.0 * prepared_p50,
        "scorer_cpu_p50_ms": percentile_milliseconds(cpu, 50),
        "orders_per_second": orders / seconds,
        "lost": float(fates.count(0)),
        "doubled": float(sum(fate > 1 for fate in fates)),
    }


def _pairs(seconds: Sequence[float]) -> list[float]:
    """Return what each two that follow one another took together."""
    return [one + other for one, other in pairwise(seconds)]


def measure_ticks() -> tuple[float, float]:
    """Return the processor seconds of ticks one by one, and the fills they led to."""
    at_ns, bid, ask = random_walk(N_TICKS)
    rows = zip(bid.tolist(), ask.tolist(), at_ns.tolist(), strict=True)
    quotes = [Quote("EURUSD", *row) for row in rows]
    terminals, taken = [with_resting_orders() for _ in range(ROUNDS)], []
    for terminal in terminals:
        began = time.process_time()
        feed(terminal, quotes)
        taken.append(time.process_time() - began)
    return min(taken), float(len(terminals[0].server.history.deals) - 1)


def measure_peer() -> tuple[float | None, str]:
    """Return the peer's processor seconds for the same ticks and orders, and a word on it."""
    name = PEERS["nautilus"]
    try:
        python = make_environment("nautilus")
        with tempfile.TemporaryDirectory() as scratch:
            ticks, told = Path(scratch) / "ticks.npz", Path(scratch) / "told.json"
            _write_ticks(ticks)
            subprocess.run(
                [python, "-W", "ignore", _PEER, ticks, told],
                check=True,
                capture_output=True,
                text=True,
                timeout=_RUN_SECONDS,
                cwd=scratch,
                env={},
            )
            answer = json.loads(told.read_text())
    except subprocess.CalledProcessError as error:
        last = (error.stderr or "").strip().splitlines()[-1:]
        return None, f"{name} could not be run: {' '.join(last) or error}"
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"{name} could not be installed or run: {error}"
    if answer["resting"] != N_RESTING:
        return None, f"{name} holds {answer['resting']} resting orders, not {N_RESTING}"
    word = (
        f"{name}: its exchange alone, each tick handed to it directly, {answer['filled']} orders "
        f"filled; its stop entries rest without exits"
    )
    return answer["seconds"] * N_TICKS / answer["ticks"], word


def _write_ticks(path: Path) -> None:
    at_ns, bid, ask = random_walk(N_TICKS)
    points = [
        price
        for away in range(50, 50 * (N_RESTING // 2) + 1, 50)
        for price in (110_000 - away, 110_010 + away)
    ]
    price = np.asarray(points) / 1e5
    is_stop = np.arange(N_RESTING) % 2
    np.savez(
        path,
        at_ns=at_ns + EPOCH_NS,
        bid=bid,
        ask=ask,
        price=price,
        is_stop=is_stop,
        stop=price - 0.003,
        target=price + 0.003,
    )


def measure_path(orders: int, disk: Path | None = None) -> dict[str, float]:
    """Return the order path's figures with every file on a disk; None is where scratch lies."""
    with (
        tempfile.TemporaryDirectory(dir=disk) as folder,
        running_terminal(balance=1e9) as terminal,
        running_world(Path(folder), terminal, heartbeat=5.0, log_bytes=LOG_BYTES) as world,
    ):
        return uvloop.run(measure_orders(world, terminal, orders))


def measure(orders: int) -> tuple[dict[str, float | None], str]:
    """Return every figure, and a word on the peer."""
    figures: dict[str, float | None] = {**measure_path(orders)}
    if os.access(MEMORY, os.W_OK):
        in_memory = measure_path(orders, MEMORY)
        for name in ("p50", "p99"):
            figures[f"{name}_in_memory_ms"] = in_memory[f"{name}_ms"]
    risk = measure_risk(N_CHECKS)  # of an entry that passes every rule
    figures["risk_p99_us"], figures["risk_cpu_p99_us"] = (
        risk["risk_p99_us"],
        risk["risk_cpu_p99_us"],
    )
    ours, fills = measure_ticks()
    theirs, word = measure_peer()
    figures["simulator_ticks_per_second"] = N_TICKS / ours
    figures["simulator_deals"] = fills
    figures["nautilus_exchange_ticks_per_second"] = None if theirs is None else N_TICKS / theirs
    figures["ratio_nautilus_exchange"] = None if theirs is None else theirs / ours
    seconds, positions, deals = reconcile()
    figures["reconciliation_seconds"] = seconds
    figures["reconciled_positions"], figures["reconciled_deals"] = float(positions), float(deals)
    return figures, word


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="kept for `sextant bench`")
    parser.add_argument("--full", action="store_true", help="10,000 orders instead of 2,000")
    orders = 10_000 if parser.parse_args(arguments).full else 2_000
    figures, word = measure(orders)
    packages = ("msgspec", "cryptography", "numpy")
    sys.stdout.write(render("orders", figures, TARGETS, word, packages) + "\n")


if __name__ == "__main__":
    main()
