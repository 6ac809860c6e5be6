"""A terminal, a gateway and a scorer's broker: real processes, sockets and files for tests."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from online.adapters.gateway_address import GatewayAddress
from online.adapters.gateway_broker import GatewayBroker
from online.domain.errors import Unavailable
from online.domain.market import Side
from online.domain.order import Intent, OrderReply, OrderStatus, Purpose, make_magic
from online.gateway.certificates import issue
from online.gateway.messages import Role
from online.gateway.tls import TlsFiles

T = TypeVar("T")
REPOSITORY = Path(__file__).resolve().parents[1]
PATIENCE_SECONDS = 20
SETTINGS = """
port = {port}
state = "state"
heartbeat_seconds = {heartbeat}
call_timeout_seconds = {timeout}
absence_seconds = {absence}
absence_polls = 3
log_bytes = {log}
ladder = {ladder}
[tls]
authority = "certificates/authority.pem"
certificate = "certificates/gateway.pem"
key = "certificates/gateway.key"
[terminal]
kind = "simulated"
port = {terminal}
"""


def entry(number: int, volume_lots: float = 0.1, **changes: Any) -> Intent:  # noqa: ANN401 - fields of Intent
    fields: dict[str, Any] = {
        "intent_id": f"entry-{number}",
        "magic": make_magic(1, number),
        "comment": f"sx-{number}",
        "purpose": Purpose.ENTRY,
        "symbol": "EURUSD",
        "side": Side.BUY,
        "volume_lots": volume_lots,
        "stop": 1.09,
        "target": 1.12,
        "position": 0,
        "expires_at_ns": 1,
        "quoted": 1.1002,
    }
    return Intent(**{**fields, **changes})


def closing(number: int, opened: Intent, position: int) -> Intent:
    return Intent(
        intent_id=f"close-{number}",
        magic=opened.magic,
        comment=f"sx-{number}",
        purpose=Purpose.CLOSE,
        symbol="EURUSD",
        side=Side.SELL,
        volume_lots=opened.volume_lots,
        stop=0.0,
        target=0.0,
        position=position,
        expires_at_ns=0,
        quoted=1.1,
    )


@dataclass
class Terminal:
    """A simulated terminal's process."""

    process: subprocess.Popen[str]
    port: int

    def order(self, do: str, **details: Any) -> Any:  # noqa: ANN401 - JSON
        """Tell the terminal to do something and return what it says."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **details}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def deals_of(self, magic: int) -> int:
        """Return how many deals carry a magic number."""
        return sum(deal[0] == magic for deal in self.order("deals"))


@dataclass
class World:
    """One gateway and what is around it."""

    folder: Path
    terminal: Terminal
    heartbeat: float = 1.0
    timeout: float = 5.0
    ladder: str = "[]"
    absence: float = 0.3
    port: int = 0
    process: subprocess.Popen[str] | None = None
    more: str = ""
    log_bytes: int = 65_536

    def start(self, step: str = "") -> None:
        """Start the gateway; a port once taken is kept."""
        text = SETTINGS.format(
            port=self.port,
            heartbeat=self.heartbeat,
            timeout=self.timeout,
            ladder=self.ladder,
            absence=self.absence,
            terminal=self.terminal.port,
            log=self.log_bytes,
        )
        path = self.folder / "gateway.toml"
        path.write_text(text + self.more)
        command = [sys.executable, "-m", "tests.gateway_process", str(path), step]
        with (self.folder / "gateway.log").open("a") as log:
            self.process = subprocess.Popen(
                command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        assert said, (self.folder / "gateway.log").read_text()
        self.port = int(said)

    def stop(self) -> None:
        """End the gateway as a crash does."""
        assert self.process is not None
        self.process.kill()
        self._bury()

    def end(self) -> None:
        """Tell the gateway to end, and wait until it has."""
        assert self.process is not None
        self.process.terminate()
        self._bury()

    def _bury(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.wait(PATIENCE_SECONDS)
        self.process.stdout.close()

    @property
    def log(self) -> str:
        """What the gateway and its workers have written."""
        return (self.folder / "gateway.log").read_text()

    def broker(self, role: Role = Role.SCORER, **changes: Any) -> GatewayBroker:  # noqa: ANN401 - fields of GatewayAddress
        """Return a client of the gateway."""
        certificates = self.folder / "certificates"
        tls = TlsFiles(
            certificates / "authority.pem",
            certificates / f"{role}.pem",
            certificates / f"{role}.key",
        )
        settings = {
            "host": "127.0.0.1",
            "port": self.port,
            "tls": tls,
            "reply_seconds": 10.0,
            "answer_seconds": 10.0,
        }
        return GatewayBroker(GatewayAddress(**{**settings, **changes}), role)

    async def run(self, story: Callable[[GatewayBroker], Awaitable[T]], **changes: Any) -> T:  # noqa: ANN401 - as broker
        """Run a story with a broker, once both workers are ready."""
        await self.ready()
        broker = self.broker(**changes)
        try:
            return await story(broker)
        finally:
            await broker.close()

    async def ready(self) -> None:
        """Wait until the gateway trades."""
        operator = self.broker(Role.OPERATOR)
        try:
            await eventually(lambda: is_trading(operator))
        finally:
            await operator.close()


def is_running(process_id: int) -> bool:
    """Tell whether a process lives; one that only waits to be buried does not."""
    import psutil  # noqa: PLC0415 - not among the scorer's dependencies

    try:
        return bool(psutil.Process(process_id).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def is_trading(operator: GatewayBroker) -> bool:
    try:
        status = await operator.status()
    except Unavailable:
        return False
    return status.trade_allowed and all(worker.ready for worker in status.workers)


async def eventually(truth: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    """Ask until something is true; fail when it does not become so."""
    async with asyncio.timeout(seconds):
        while not await truth():  # noqa: ASYNC110 - what is asked lives in another process
            await asyncio.sleep(0.02)


async def fate_of(broker: GatewayBroker, intent: Intent, seconds: float = 20.0) -> OrderReply:
    """Ask for an order's fate until it is known."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                reply = await broker.find(intent)
            except Unavailable:
                reply = None
            if reply is not None and reply.status is not OrderStatus.UNKNOWN:
                return reply
            await asyncio.sleep(0.05)


@contextmanager
def running_terminal(balance: float = 10_000.0, *, hedging: bool = True) -> Iterator[Terminal]:
    kind = () if hedging else ("netting",)
    command = [sys.executable, "-m", "tests.gateway_terminal", str(balance), *kind]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield Terminal(process, int(process.stdout.readline()))
        assert process.stdin is not None
        process.stdin.close()  # which ends it
        process.wait(PATIENCE_SECONDS)


@contextmanager
def running_world(
    folder: Path,
    terminal: Terminal,
    step: str = "",
    **settings: Any,  # noqa: ANN401 - fields of World
) -> Iterator[World]:
    issue(folder / "certificates", ["127.0.0.1"])
    world = World(folder, terminal, **settings)
    world.start(step)
    try:
        yield world
    finally:
        world.end()
