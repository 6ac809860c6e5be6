"""The gateway as a broker: the port's questions over one persistent, mutually proven connection.

It connects by itself, again and again, and never sends an order a second time by itself: what got
no reply is `Unavailable`, and `find` asks the gateway for its fate.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import msgspec

from online.adapters.gateway_address import GatewayAddress
from online.adapters.gateway_questions import Questions
from online.domain.account import AccountIdentity, Deal
from online.domain.called_reply import with_calls
from online.domain.errors import InvalidInput, InvalidSettings, Unavailable
from online.domain.order import Intent, OrderReply, OrderStatus
from online.domain.reconciliation import Statement
from online.gateway.frames import MAX_TO_SCORER_BYTES
from online.gateway.link import FrameLink
from online.gateway.messages import (
    PROTOCOL,
    AskStatement,
    AskStatus,
    Beat,
    Climb,
    Failed,
    Find,
    Found,
    Hello,
    Observe,
    Observed,
    Refused,
    Replied,
    Resume,
    Role,
    Send,
    Stated,
    Status,
    ToGateway,
    ToScorer,
    Welcome,
)
from online.gateway.tls import client_context, describe_refusal
from online.ports import Observation

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 5.0
_MILLISECONDS = 1_000
_FINAL = frozenset({"FENCED", "WRONG_VERSION", "WRONG_CERTIFICATE", "GATEWAY_CHANGED"})
"""Refusals that trying again does not mend."""
_OF_ONE_ORDER = frozenset({"INVALID_INTENT", "INTENT_DIFFERS", "INBOX_UNREADABLE"})
"""Why the gateway cannot tell an order's fate although it is well."""
_log = logging.getLogger(__name__)
A = TypeVar("A")


class GatewayBroker:
    """Broker behind a gateway; it lives in the event loop that first uses it.

    Parameters
    ----------
    address
        The gateway's.
    role
        A scorer trades; an operator only asks and resumes.

    Attributes
    ----------
    welcome
        The gateway's latest; None before the first.
    """

    def __init__(self, address: GatewayAddress, role: Role = Role.SCORER) -> None:
        self._address = address
        self._role = role
        client_context(address.tls)  # files that cannot be used are told at once
        self._link: FrameLink[ToScorer] | None = None
        self._greeted = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._questions = Questions()
        self._trouble = Unavailable("not connected to the gateway yet", code="NO_GATEWAY")
        self._final = False
        self.welcome: Welcome | None = None

    async def observe(
        self, symbol: str, after_deal: int, pairs: tuple[str, ...] = ()
    ) -> Observation:
        """Return quote, account, positions, new deals, and the quotes of conversion pairs.

        Raises
        ------
        Unavailable
            If the gateway or its terminal does not answer.
        """
        told = await self._ask(lambda number: Observe(number, symbol, after_deal, pairs), Observed)
        return told.observation

    async def statement(self, since_ns: int) -> Statement:
        """Return the whole account, with the deals since an instant; many come in pages.

        Raises
        ------
        Unavailable
            If the gateway or its terminal does not answer, or does not tell all of it.
        """
        deals: tuple[Deal, ...] = ()
        while True:
            after = deals[-1].ticket if deals else 0
            page = await self._ask_for_page(since_ns, after)
            deals += page.statement.deals
            if not page.more:
                return msgspec.structs.replace(page.statement, deals=deals)

    async def _ask_for_page(self, since_ns: int, after_deal: int) -> Stated:
        return await self._ask(lambda number: AskStatement(number, since_ns, after_deal), Stated)

    async def identify(self) -> AccountIdentity:
        """Return the account that the gateway's terminal is logged in to.

        Raises
        ------
        Unavailable
            If the gateway does not answer.
        """
        await self._connected()
        if self.welcome is None or not self.welcome.login:
            raise Unavailable("the gateway told no account", code="NO_GATEWAY")
        name = f"{self.welcome.login}@{self.welcome.server}"
        return AccountIdentity(name, lasting=True, real=self.welcome.real)

    async def send(self, intent: Intent) -> OrderReply:
        """Send an order, once; without a connection it is not sent.

        Raises
        ------
        Unavailable
            If no reply came; the order may live at the broker.
        """
        try:
            link = await self._connected()
        except Unavailable as error:
            return _not_sent(f"{error.code}: {error}")
        patience = round(self._address.patience_seconds * _MILLISECONDS)
        question = self._questions.open()
        try:
            if not link.say(Send(question.number, intent, patience)):
                return _not_sent("the link to the gateway was cut before the order went out")
            answer = await question.wait(self._address.reply_seconds)
        finally:
            self._questions.close(question)
        if isinstance(answer, Replied):
            return with_calls(answer.reply, answer.calls)
        if isinstance(answer, Failed) and answer.is_refusal and not question.accepted:
            return _not_sent(f"{answer.code}: {answer.message}")
        raise Unavailable(f"an order was answered with {answer}")

    async def find(self, intent: Intent) -> OrderReply | None:
        """Return the fate of an order sent earlier; None without evidence.

        Raises
        ------
        InvalidInput
            If the gateway knows another order by its id, or cannot read it.
        Unavailable
            If the gateway or its terminal does not answer.
        """
        told = await self._ask(lambda number: Find(number, intent), Found)
        return None if told.reply is None else with_calls(told.reply, told.calls)

    async def status(self, symbol: str = "") -> Status:
        """Return how the gateway is, and how old a symbol's newest tick.

        Raises
        ------
        Unavailable
            If it does not answer.
        """
        return await self._ask(lambda number: AskStatus(number, symbol), Status)

    async def resume(self, by: str) -> Status:
        """Let entries through again, as an operator; return how the gateway is then.

        Raises
        ------
        Unavailable
            If it does not answer, or refuses.
        """
        return await self._ask(lambda number: Resume(number, by), Status)

    async def climb(self, by: str, reason: str, *, flatten: bool) -> Status:
        """Halt the gateway, as an operator, and close all that came through it if told so.

        Raises
        ------
        Unavailable
            If it does not answer, or refuses.
        """
        return await self._ask(lambda number: Climb(number, by, reason, flatten), Status)

    async def close(self) -> None:
        """End the connection and make no other."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None
        if self._link is not None:
            self._link.close("closed here")

    async def _ask(self, question_of: Callable[[int], ToGateway], form: type[A]) -> A:
        link = await self._connected()
        question = self._questions.open()
        try:
            link.say(question_of(question.number))
            answer = await question.wait(self._address.answer_seconds)
        finally:
            self._questions.close(question)
        if isinstance(answer, form):
            return answer
        if isinstance(answer, Failed):
            error = InvalidInput if answer.code in _OF_ONE_ORDER else Unavailable
            raise error(answer.message, code=answer.code)
        raise Unavailable(f"expected {form.__name__} of the gateway, got {answer}")

    async def _connected(self) -> FrameLink[ToScorer]:
        """Return a link that was welcomed, waiting a little for one."""
        if self._link is not None and self._link.alive and self._greeted.is_set():
            return self._link
        if self._final:
            raise self._unavailable()
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep_connected())
        try:
            async with asyncio.timeout(self._address.answer_seconds):
                while True:
                    await self._greeted.wait()
                    if self._link is not None and self._link.alive:
                        return self._link
                    if self._final:
                        raise self._unavailable()
                    self._greeted.clear()
        except TimeoutError:
            raise self._unavailable() from None

    async def _keep_connected(self) -> None:
        pause_seconds = _FIRST_PAUSE_SECONDS
        while not self._final:
            try:
                await self._connect()
            except Exception as error:  # noqa: BLE001 - nobody awaits the task: it must go on trying
                self._note(self._trouble_of(error))
            else:
                pause_seconds = _FIRST_PAUSE_SECONDS
                await self._lost.wait()
                continue
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(2 * pause_seconds, _LONGEST_PAUSE_SECONDS)

    def _trouble_of(self, error: Exception) -> Unavailable:
        """Return why there is no connection."""
        if isinstance(error, Unavailable):
            return error
        if isinstance(error, InvalidSettings):  # of the certificates' files; they may be mended
            return Unavailable(str(error), code="NO_GATEWAY", remedy=error.remedy)
        if not isinstance(error, (OSError, ValueError)):  # the latter of a name that cannot be
            _log.error("a fault while connecting to the gateway", exc_info=error)
        return Unavailable(
            f"the gateway at {self._address.host}:{self._address.port} does not answer: "
            f"{describe_refusal(error)}",
            code="NO_GATEWAY",
            remedy="Run `sextant gateway serve` there; compare port and certificates.",
        )

    async def _connect(self) -> None:
        self._lost.clear()
        context = client_context(self._address.tls)  # certificates that were renewed are used
        link: FrameLink[ToScorer] = FrameLink(
            ToScorer,
            MAX_TO_SCORER_BYTES,
            lambda message: self._take(message, link),
            lambda reason: self._lose(reason, link),
        )
        self._link = link
        loop = asyncio.get_running_loop()
        question = self._questions.open()
        try:
            async with asyncio.timeout(self._address.answer_seconds):
                await loop.create_connection(
                    lambda: link,
                    self._address.host,
                    self._address.port,
                    ssl=context,
                    server_hostname=self._address.host,
                )
                epoch = self.welcome.epoch if self.welcome is not None else 0
                self._questions.hello = question.number
                link.say(Hello(PROTOCOL, self._role, epoch))
                answer = await question.answer
        except TimeoutError:
            link.drop("no welcome came")
            raise Unavailable("the gateway gave no welcome in time", code="NO_GATEWAY") from None
        finally:
            self._questions.close(question)
        if not isinstance(answer, Welcome):
            link.drop("no welcome came")
            raise Unavailable(f"the gateway welcomed with {answer}", code="NO_GATEWAY")
        self._check(answer, link)
        known = 0 if self.welcome is None else self.welcome.login
        self.welcome = msgspec.structs.replace(answer, login=answer.login or known)
        link.beat(answer.heartbeat_seconds)
        self._greeted.set()

    def _check(self, welcome: Welcome, link: FrameLink[ToScorer]) -> None:
        """Refuse a gateway of another version, or not the one this session began with."""
        if welcome.protocol != PROTOCOL:
            link.drop("the gateway is of another version")
            told = f"the gateway speaks protocol {welcome.protocol}, this scorer {PROTOCOL}"
            raise Unavailable(told, code="WRONG_VERSION", remedy="Update both together.")
        known = self.welcome
        if known is None:
            return
        untold = 0 in {known.login, welcome.login}  # no worker is connected yet
        if known.inbox == welcome.inbox and (untold or known.login == welcome.login):
            return
        link.drop("another gateway answers")
        raise Unavailable(
            f"this session began with inbox {known.inbox} of account {known.login}, now "
            f"{welcome.inbox} of {welcome.login} answers",
            code="GATEWAY_CHANGED",
            remedy="Find out why the gateway lost its state, then start the scorer again.",
        )

    def _take(self, message: ToScorer, link: FrameLink[ToScorer]) -> None:
        if link is not self._link:
            return
        match message:
            case Beat():
                return
            case Refused():
                self._note(Unavailable(message.message, code=message.code))
                link.close(f"{message.code}: {message.message}")
                return
            case _:
                self._questions.hear(message)

    def _lose(self, reason: str, link: FrameLink[ToScorer]) -> None:
        """Take notice that the connection is gone: nothing that is open gets its answer."""
        if link is not self._link:
            return
        self._greeted.clear()
        if not self._final:
            self._trouble = Unavailable(f"the link was cut: {reason}", code="NO_GATEWAY")
        self._questions.fail(self._unavailable)
        self._lost.set()

    def _unavailable(self) -> Unavailable:
        """Return the trouble anew: an error that is raised again and again keeps growing."""
        trouble = self._trouble
        return Unavailable(str(trouble), code=trouble.code, remedy=trouble.remedy)

    def _note(self, error: Unavailable) -> None:
        if str(error) != str(self._trouble):
            _log.warning("gateway: %s: %s", error.code, error)
        self._trouble = error
        if error.code in _FINAL:
            self._final = True
            self._greeted.set()  # whoever waits shall hear it


def _not_sent(why: str) -> OrderReply:
    return OrderReply(OrderStatus.NOT_SENT, 0, 0, 0, 0, 0.0, 0.0, why)
