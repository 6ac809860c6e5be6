"""A session: one connection's questions, answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Protocol, assert_never

from online.domain.called_reply import apart
from online.domain.errors import InvalidInput, SextantError, Unavailable
from online.gateway.door import Caller
from online.gateway.errands import ReadBars, ReadTicks
from online.gateway.frames import MAX_TO_GATEWAY_BYTES
from online.gateway.link import FrameLink
from online.gateway.messages import (
    FAULT,
    PROTOCOL,
    Accepted,
    AskBars,
    AskStatement,
    AskStatus,
    AskTicks,
    Beat,
    Climb,
    Failed,
    Find,
    Found,
    Hello,
    Observe,
    Observed,
    Prices,
    Replied,
    Resume,
    Role,
    Send,
    Stated,
    Status,
    ToGateway,
    Welcome,
)
from online.gateway.order_flow import OrderFlow
from online.gateway.price_desk import PricePage
from online.ports import Observation

MAX_OPEN_QUESTIONS = 1_024
_MILLISECONDS = 1_000.0
_log = logging.getLogger(__name__)


class House(Protocol):
    """What a session needs of the gateway around it."""

    @property
    def flow(self) -> OrderFlow:
        """The orders' way."""

    def welcome(self, session: Session, hello: Hello) -> Welcome | None:
        """Take a session in; None if it was refused."""

    def is_current(self, session: Session) -> bool:
        """Tell whether a session is the scorer's that trades."""

    async def observe(
        self, symbol: str, after_deal: int, pairs: tuple[str, ...] = ()
    ) -> Observation:
        """Look at the market and the account."""

    async def prices(self, errand: ReadBars | ReadTicks) -> PricePage:
        """Read price history off the terminal."""

    async def state(self, number: int, since_ns: int, after_deal: int) -> Stated:
        """Return the whole account, with a page of its deals."""

    async def status(self, number: int, symbol: str) -> Status:
        """Return how the gateway is, and how old a symbol's newest tick."""

    def resume(self, by: str) -> None:
        """Let entries through again."""

    async def climb(self, by: str, reason: str, *, flatten: bool) -> None:
        """Halt, and close everything if told so."""

    def left(self, session: Session, reason: str) -> None:
        """Take notice that a session has ended."""


class Session:
    """One connection.

    Parameters
    ----------
    house
        The gateway.
    heartbeat_seconds
        How often both ends speak.
    """

    def __init__(self, house: House, heartbeat_seconds: float) -> None:
        self._house = house
        self._heartbeat_seconds = heartbeat_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._offered: list[tuple[int, Caller]] = []
        self.role: Role | None = None
        self.epoch = 0
        self.link: FrameLink[ToGateway] = FrameLink(
            ToGateway, MAX_TO_GATEWAY_BYTES, self._take, self._lost, self._pause
        )

    def _take(self, message: ToGateway) -> None:
        if isinstance(message, Hello):
            self._greet(message)
        elif self.role is None:
            self.link.refuse("NO_HELLO", "the first frame must be a Hello")
        elif isinstance(message, Beat):
            pass
        elif len(self._tasks) + len(self._offered) >= MAX_OPEN_QUESTIONS:
            busy = f"{MAX_OPEN_QUESTIONS} questions are open already"
            self.link.say(Failed(message.number, "TOO_MANY_QUESTIONS", busy))
        elif isinstance(message, Send):
            self._offer(message)
        else:
            self._answer(message.number, self._serve(message))

    def _offer(self, order: Send) -> None:
        """Take an order; it is written together with those that came with it.

        Only the scorer that trades has one sent. Of a copy of an order that was sent everybody is
        told what became of it: that it was not sent would be wrong.
        """
        try:
            caller = self._house.flow.offer(
                order.intent,
                order.patience_milliseconds / _MILLISECONDS,
                is_wanted=lambda: self.link.alive and self._house.is_current(self),
                accepted=lambda: self.link.say(Accepted(order.number)),
            )
        except InvalidInput as error:
            self.link.say(Failed(order.number, error.code, str(error)))
        else:
            self._offered.append((order.number, caller))

    def _pause(self) -> None:
        """Have the orders that came together written, then follow each."""
        if self._offered:
            self._house.flow.write_offered()
            offered, self._offered = self._offered, []
            for number, caller in offered:
                self._answer(number, self._follow(number, caller))

    async def _follow(self, number: int, caller: Caller) -> None:
        self.link.say(Replied(number, *apart(await self._house.flow.follow(caller))))

    def _greet(self, hello: Hello) -> None:
        if self.role is not None:
            self.link.refuse("SECOND_HELLO", "a connection says Hello once")
            return
        if hello.protocol != PROTOCOL:
            self.link.refuse(
                "WRONG_VERSION",
                f"this gateway speaks protocol {PROTOCOL}, the other end {hello.protocol}",
            )
            return
        if self.link.peer_name != f"sextant-{hello.role}":
            self.link.refuse(
                "WRONG_CERTIFICATE",
                f"role {hello.role} needs the certificate of sextant-{hello.role}, "
                f"got {self.link.peer_name!r}",
            )
            return
        try:
            welcome = self._house.welcome(self, hello)
        except Unavailable as error:  # what a session leaves behind cannot be written down
            self.link.refuse(error.code, str(error))
            return
        if welcome is not None:
            self.role, self.epoch = hello.role, welcome.epoch
            self.link.say(welcome)
            self.link.beat(self._heartbeat_seconds)

    def _answer(self, number: int, work: Coroutine[Any, Any, None]) -> None:
        async def answer() -> None:
            try:
                await work
            except SextantError as error:
                self.link.say(Failed(number, error.code, str(error)))
            except Exception as error:  # noqa: BLE001 - nobody awaits the task: who asked must hear it
                _log.exception("question %d could not be answered", number)
                told = f"a fault of the gateway, its log says more: {type(error).__name__}"
                self.link.say(Failed(number, FAULT, told))

        task = asyncio.create_task(answer())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(
        self,
        message: (Observe | AskStatement | Find | AskStatus | Resume | Climb | AskBars | AskTicks),
    ) -> None:
        house, number = self._house, message.number
        match message:
            case Observe():
                seen = await house.observe(message.symbol, message.after_deal, message.pairs)
                self.link.say(Observed(number, seen))
            case AskStatement():
                self.link.say(await house.state(number, message.since_ns, message.after_deal))
            case Find():
                found = await house.flow.find(message.intent)
                self.link.say(Found(number, *((None,) if found is None else apart(found))))
            case AskBars():
                asked = (message.symbol, message.timeframe, message.position, message.count)
                self.link.say(Prices(number, await house.prices(ReadBars(*asked))))
            case AskTicks():
                ticks = ReadTicks(message.symbol, message.since_seconds, message.count)
                self.link.say(Prices(number, await house.prices(ticks)))
            case AskStatus():
                self.link.say(await house.status(number, message.symbol))
            case Resume() | Climb():
                await self._operate(message)
            case _:
                assert_never(message)

    async def _operate(self, message: Resume | Climb) -> None:
        """Let less through, or everything again, because an operator says so."""
        house, number = self._house, message.number
        if self.role is not Role.OPERATOR:
            refusal = "only an operator resumes, halts or flattens here"
            self.link.say(Failed(number, "NOT_ALLOWED", refusal))
            return
        if isinstance(message, Resume):
            house.resume(message.by)
        else:
            await house.climb(message.by, message.reason, flatten=message.flatten)
        self.link.say(await house.status(number, ""))

    def _lost(self, reason: str) -> None:
        self._house.left(self, reason)
