"""PostgreSQL with its relay and Valkey, real ones, that are killed while orders are sent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from online.domain.vector import VectorContract
from pipelines.audit import postgres
from pipelines.audit.comparison import compare_copy
from pipelines.audit.relay import Relay
from tests.conftest import REPOSITORY
from tests.fakes import make_reading
from tests.postgres import PostgresForTests, running_postgres
from tests.scorers import Store, open_store

_CATCH_UP_SECONDS = 90.0


@dataclass
class Stores:
    """Both stores and what copies the journal into one of them."""

    server: PostgresForTests
    store: Store
    url: str
    relay: subprocess.Popen[bytes] | None = None

    def kill(self, who: str) -> None:
        """Kill -9 a store: every process of it."""
        if who == "postgres":
            self.server.kill()
        else:
            told = Redis(unix_socket_path=str(self.store.socket)).info("server")
            os.kill(int(told["process_id"]), signal.SIGKILL)  # type: ignore[index]  # no coroutine

    def start(self, who: str) -> None:
        """Start a store that was killed; Valkey comes back empty."""
        if who == "postgres":
            self.server.start()
        else:
            self.store.server.stop()  # buries it
            self.store.server.start()

    def push(self, bar_ns: int, contract: VectorContract) -> None:
        """Write a bar's vector as the platform would."""
        self.store.push(make_reading().values, (bar_ns, bar_ns), contract)

    def follow(self, journal: Path) -> None:
        """Begin to copy the journal, as `sextant audit relay --follow` does."""
        command = [sys.executable, "-m", "pipelines.cli", "audit", "relay", "--follow"]
        self.relay = subprocess.Popen(
            [*command, "--journal", str(journal), "--poll-seconds", "0.05"],
            cwd=REPOSITORY,
            env={**os.environ, "AUDIT_POSTGRES_URL": self.url},
            stderr=subprocess.DEVNULL,
        )

    def copied(self, journal: Path) -> int:
        """Wait until the copy has caught up, and return how many records are equal."""
        engine = postgres.connect(self.url)
        lag = Relay(journal, engine, patience_seconds=_CATCH_UP_SECONDS).lag
        deadline = time.monotonic() + _CATCH_UP_SECONDS
        while lag().records:
            assert self.relay is None or self.relay.poll() is None, "the relay has ended"
            assert time.monotonic() < deadline, "the relay does not catch up"
            time.sleep(0.05)  # between two looks; the look decides
        equal = compare_copy(journal, engine)
        engine.dispose()
        return equal


@contextmanager
def running_stores(folder: Path) -> Iterator[Stores]:
    """Run PostgreSQL, and Valkey on a socket in `folder`, until the block ends."""
    with running_postgres() as server, open_store(folder) as store:
        stores = Stores(server, store, server.new_database())
        engine = postgres.connect(stores.url)
        postgres.migrate(engine)
        engine.dispose()
        try:
            yield stores
        finally:
            if stores.relay is not None:
                stores.relay.kill()
                stores.relay.wait()
