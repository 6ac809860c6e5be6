"""A gateway in this process: its workers answer as told, its callers speak over no network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from online.gateway.channel import WorkerChannel
from online.gateway.errands import Errand, Probed, Ready, Result
from online.gateway.frames import MAX_TO_SCORER_BYTES, FrameReader, FrameWriter
from online.gateway.inbox import Inbox
from online.gateway.market_desk import Health
from online.gateway.messages import PROTOCOL, Beat, Hello, Role, ToScorer, WorkerStatus
from online.gateway.session import Session
from online.gateway.settings import GatewaySettings
from online.gateway.supervisor import Gateway
from online.gateway.terminal_choice import SimulatedChoice
from online.gateway.tls import TlsFiles
from tests.gateway_world import eventually

READY = Ready(7, "Demo", real=False)
WELL = Health(connected=True, trade_allowed=True, quote_age_seconds=None)
Answer = Callable[[Errand], Result]


class Worker:
    """A worker that answers as it is told to."""

    def __init__(self) -> None:
        self.account: Ready | None = READY
        self.answer: Answer = lambda _: Probed(WELL)
        self.asked: list[Errand] = []

    @property
    def ready(self) -> bool:
        return self.account is not None

    @property
    def status(self) -> WorkerStatus:
        return WorkerStatus("any", 1, self.ready, 0, "" if self.ready else "the terminal is closed")

    async def run(self, errand: Errand) -> Result:
        self.asked.append(errand)
        return self.answer(errand)


class Wire:
    """The network under a session: what it said, and how it ended."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ended = ""
        self.said: list[ToScorer] = []
        self._reader: FrameReader[ToScorer] = FrameReader(ToScorer, MAX_TO_SCORER_BYTES)

    def get_extra_info(self, key: str) -> object:
        return {"subject": ((("commonName", self.name),),)} if key == "peercert" else None

    def write(self, data: bytes) -> None:
        self.said += self._reader.feed(data)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return bool(self.ended)

    def close(self) -> None:
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        self.ended = "dropped"


class Caller:
    """A client of the gateway, as its session sees it."""

    def __init__(self, gateway: Gateway, role: Role) -> None:
        self.session = Session(gateway, 1.0)
        self.role, self.wire, self._writer = role, Wire(f"sextant-{role}"), FrameWriter()
        self.session.link.connection_made(cast("Any", self.wire))

    def say(self, message: object) -> None:
        self.session.link.data_received(self._writer.pack(message))

    def greet(self, epoch: int = 0) -> ToScorer:
        self.say(Hello(PROTOCOL, self.role, epoch))
        return self.last

    async def ask(self, message: object) -> ToScorer:
        """Return the answer to a question."""
        heard = len(self.heard)
        self.say(message)

        async def is_answered() -> bool:
            return len(self.heard) > heard

        await eventually(is_answered)
        return self.last

    @property
    def heard(self) -> list[ToScorer]:
        return [each for each in self.wire.said if not isinstance(each, Beat)]

    @property
    def last(self) -> ToScorer:
        return self.heard[-1]


class House:
    """A gateway whose workers answer as they are told to."""

    def __init__(self, folder: Path, inbox: Inbox) -> None:
        names = ("authority.pem", "gateway.pem", "gateway.key")  # they need not be there
        files = TlsFiles(*(folder / name for name in names))
        settings = GatewaySettings(tls=files, terminal=SimulatedChoice(), state=folder, port=0)
        self.gateway = Gateway(settings, inbox)
        self.orders, self.market = Worker(), Worker()
        for place in (self.gateway, self.gateway.flow):
            place._orders = cast("WorkerChannel", self.orders)
            place._market = cast("WorkerChannel", self.market)
        self.gateway._gate.health = WELL

    def caller(self, role: Role = Role.SCORER) -> Caller:
        return Caller(self.gateway, role)
