"""The supervisor: listens, keeps the workers alive, and never imports MetaTrader5 itself."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from online.domain.errors import InvalidSettings, SextantError, Unavailable
from online.gateway.call_note import NOTE
from online.gateway.channel import WorkerChannel
from online.gateway.dead_man import DeadMan, keep_climbing
from online.gateway.errands import (
    MARKET,
    ORDERS,
    Look,
    Looked,
    PricesRead,
    Probe,
    Probed,
    ReadBars,
    ReadTicks,
    Ready,
    Setup,
    Tell,
    Told,
)
from online.gateway.gate import Gate
from online.gateway.handshake import HANDSHAKE_SECONDS, shake_hands
from online.gateway.handshake_places import HandshakePlaces
from online.gateway.inbox import Inbox
from online.gateway.lost_magic import restore_magic, restore_magic_in
from online.gateway.messages import PROTOCOL, Hello, Role, Stated, Status, Welcome
from online.gateway.order_flow import AbsenceRule, OrderFlow
from online.gateway.price_desk import PricePage
from online.gateway.session import Session
from online.gateway.settings import GatewaySettings
from online.gateway.tls import describe_refusal, gateway_context
from online.ports import Observation

_BACKLOG = 64
_RESOLVE_EVERY_SECONDS = 1.0
_TIDY_EVERY_SECONDS = 1.0
_ACCEPT_PAUSE_SECONDS = 0.1
_log = logging.getLogger(__name__)


class Gateway:
    """One account's gateway; `run` it inside an event loop.

    Parameters
    ----------
    settings
        Everything it is told.
    inbox
        Opened; closed by whoever opened it.
    record
        Folder that each worker's calls of the terminal are written to; None for none.
    """

    def __init__(self, settings: GatewaySettings, inbox: Inbox, record: Path | None = None) -> None:
        self._settings = settings
        self._record = record
        self._inbox = inbox
        self._number = inbox.count_up("gateway")
        self._gate = Gate(inbox)
        self._orders, self._market = self._worker(ORDERS), self._worker(MARKET)
        absence = AbsenceRule(settings.absence_seconds, settings.absence_polls)
        note = settings.state / NOTE
        self.flow = OrderFlow(
            inbox, self._gate, self._orders, self._market, absence, time.time_ns, note
        )
        self.flow.recall_calls()
        self._dead_man = DeadMan(
            settings.ladder, self._gate, inbox, self.flow, lambda symbol: self.observe(symbol, 0)
        )
        self._scorer: Session | None = None
        self._sessions: set[Session] = set()
        self._handshakes = HandshakePlaces()
        self._symbol = ""

    async def run(self, listening: Callable[[int], None]) -> None:
        """Serve until cancelled.

        Parameters
        ----------
        listening
            Called with the TCP port once connections are accepted.

        Raises
        ------
        InvalidSettings
            If the address or the TLS files cannot be used.
        """
        gateway_context(self._settings.tls)  # files that cannot be used are told at once
        with _listen(self._settings.host, self._settings.port) as listener:
            self._orders.start()
            self._market.start()
            work = (
                self._accept(listener),
                keep_climbing(self._dead_man, self._settings.heartbeat_seconds / 2),
                _keep(self._probe, self._settings.heartbeat_seconds),
                _keep(self._orders.tend, self._settings.heartbeat_seconds),
                _keep(self._resolve, _RESOLVE_EVERY_SECONDS),
                _keep(self._tidy, _TIDY_EVERY_SECONDS),
            )
            listening(int(listener.getsockname()[1]))
            try:
                await asyncio.gather(*work)
            finally:
                for session in tuple(self._sessions):
                    session.link.close("the gateway stops")
                await self._orders.stop()
                await self._market.stop()

    def welcome(self, session: Session, hello: Hello) -> Welcome | None:
        """Take a session in; a new scorer fences the one before it."""
        told = self._orders.account
        if hello.role is Role.SCORER:
            if told is None:
                trouble = self._orders.status.trouble or "no worker is connected yet"
                session.link.refuse("TERMINAL_UNAVAILABLE", trouble)
                return None
            epoch = self._fence(session, hello.epoch)
            if not epoch:
                return None
        else:
            epoch = int(self._inbox.fact("epoch") or "0")
        return Welcome(
            protocol=PROTOCOL,
            epoch=epoch,
            gateway=self._number,
            inbox=self._inbox.fact("inbox"),
            login=0 if told is None else told.login,
            server="" if told is None else told.server,
            real=told is None or told.real,
            heartbeat_seconds=self._settings.heartbeat_seconds,
        )

    def is_current(self, session: Session) -> bool:
        """Tell whether a session is the scorer's that trades."""
        return session is self._scorer

    async def observe(
        self, symbol: str, after_deal: int, pairs: tuple[str, ...] = ()
    ) -> Observation:
        """Look at the market and the account."""
        self._symbol = symbol or self._symbol
        result = await self._market.run(Look(symbol, after_deal, pairs))
        if isinstance(result, Looked):
            return restore_magic(result.observation, self._inbox.magic_of)
        raise Unavailable(f"the worker answered {type(result).__name__}", code="WORKER_LOST")

    async def prices(self, errand: ReadBars | ReadTicks) -> PricePage:
        """Read price history off the terminal."""
        result = await self._market.run(errand)
        if isinstance(result, PricesRead):
            return result.page
        raise Unavailable(f"the worker answered {type(result).__name__}", code="WORKER_LOST")

    async def state(self, number: int, since_ns: int, after_deal: int) -> Stated:
        """Return the whole account, with a page of its deals."""
        result = await self._market.run(Tell(since_ns, after_deal))
        if isinstance(result, Told):
            restored = restore_magic_in(result.statement, self._inbox.magic_of)
            return Stated(number, restored, result.more)
        raise Unavailable(f"the worker answered {type(result).__name__}", code="WORKER_LOST")

    async def status(self, number: int, symbol: str) -> Status:
        """Return how the gateway is, and how old a symbol's newest tick."""
        if symbol:
            await self._probe(symbol)
        health = self._gate.health
        login, server = self._account() or (0, "")
        return Status(
            number=number,
            state=self._gate.state,
            reason=self._gate.reason,
            login=login,
            server=server,
            gateway=self._number,
            epoch=int(self._inbox.fact("epoch") or "0"),
            scorer_linked=self._scorer is not None,
            unresolved=len(self._inbox.unresolved()),
            connected=health is not None and health.connected,
            trade_allowed=health is not None and health.trade_allowed,
            tick_age_seconds=None if health is None else health.quote_age_seconds,
            workers=(self._orders.status, self._market.status),
        )

    def resume(self, by: str) -> None:
        """Let entries through again."""
        _log.warning("resumed by %s; it was %s: %s", by, self._gate.state, self._gate.reason)
        self._dead_man.resume()
        self._gate.resume()

    async def climb(self, by: str, reason: str, *, flatten: bool) -> None:
        """Halt, and close everything if told so; it is tried again until all of it is closed."""
        _log.warning("%s by %s: %s", "flatten" if flatten else "halt", by, reason)
        await self._dead_man.obey(f"{reason} ({by})", flatten=flatten)

    def left(self, session: Session, reason: str) -> None:
        """Take notice that a session has ended."""
        self._sessions.discard(session)
        if session is self._scorer:
            _log.warning("the scorer is gone: %s", reason)
            self._scorer = None
            self._dead_man.scorer_left()

    def _fence(self, session: Session, continued: int) -> int:
        """Return the epoch of a scorer's session; 0 if a newer one has fenced it."""
        newest = int(self._inbox.fact("epoch") or "0")
        if continued and continued != newest:
            session.link.refuse(
                "FENCED", f"session {continued} was fenced: a newer scorer has session {newest}"
            )
            return 0
        epoch = continued or self._inbox.count_up("epoch")
        older, self._scorer = self._scorer, session
        if older is not None and older.epoch == epoch:
            older.link.drop("its scorer has connected anew")
        elif older is not None:
            older.link.refuse("FENCED", f"a newer scorer has taken over with session {epoch}")
        self._dead_man.scorer_came()
        return epoch

    def _account(self) -> tuple[int, str] | None:
        """Return login and server; None while no order worker is connected."""
        told = self._orders.account
        return None if told is None else (told.login, told.server)

    def _worker(self, role: str) -> WorkerChannel:
        settings = self._settings
        setup = Setup(
            role=role,
            terminal=settings.terminal,
            symbols=settings.symbols,
            server_time=settings.server_time,
            rules=settings.rules,
            lock=str(settings.state / "orders.lock") if role == ORDERS else "",
            note=str(settings.state / NOTE) if role == ORDERS else "",
            record="" if self._record is None else str(self._record / f"{role}.jsonl"),
        )
        return WorkerChannel(
            setup, settings.call_timeout_seconds, settings.start_timeout_seconds, self._check
        )

    def _check(self, told: Ready) -> None:
        """Refuse an account that is not the inbox's: orders of one must not reach another."""
        account, known = f"{told.login}@{told.server}", self._inbox.fact("account")
        if not known:
            self._inbox.write_fact("account", account)
        elif known != account:
            raise Unavailable(
                f"the terminal is logged in to {account}, this gateway's state is of {known}",
                code="WRONG_ACCOUNT",
                remedy="Log the terminal in to that account, or give the gateway another folder.",
            )

    async def _probe(self, symbol: str = "") -> None:
        self._symbol = symbol or self._symbol
        try:
            result = await self._market.run(Probe(self._symbol))
        except Unavailable:
            self._gate.health = None
            raise
        if isinstance(result, Probed):
            self._gate.health = result.health

    async def _resolve(self) -> None:
        await self.flow.resolve_all()

    async def _tidy(self) -> None:
        self._inbox.tidy_if_quiet()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        tasks: set[asyncio.Task[None]] = set()
        while True:
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError as error:  # no more descriptors, or whoever called has hung up
                _log.warning("a connection could not be accepted: %s", error)
                await asyncio.sleep(_ACCEPT_PAUSE_SECONDS)
                continue
            if not self._handshakes.take(address[0]):
                connection.close()
                await asyncio.sleep(0)  # however many call, whoever trades has a turn
                continue
            task = asyncio.create_task(self._admit(connection, address))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _admit(self, connection: socket.socket, address: tuple[str, int]) -> None:
        """Shake hands with whoever connects; a refused certificate is told to both sides."""
        session = Session(self, self._settings.heartbeat_seconds)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # asyncio closes the connection where the handshake fails, and keeps the reason.
            with connection.dup() as spare:
                context = gateway_context(self._settings.tls)
                await shake_hands(connection, spare, context, lambda: session.link)
        except (OSError, InvalidSettings) as error:
            why = describe_refusal(error) if isinstance(error, OSError) else str(error)
            _log.warning("%s:%d was refused: %s", *address[:2], why)
            connection.close()
            return
        finally:
            self._handshakes.give_back(address[0])
        self._sessions.add(session)
        loop = asyncio.get_running_loop()
        loop.call_later(HANDSHAKE_SECONDS, self._expect_hello, session)

    def _expect_hello(self, session: Session) -> None:
        if session in self._sessions and session.role is None:
            session.link.refuse("NO_HELLO", f"no Hello came in {HANDSHAKE_SECONDS} s")


def _listen(host: str, port: int) -> socket.socket:
    try:
        listener = socket.create_server((host, port), backlog=_BACKLOG)
    except OSError as error:
        raise InvalidSettings(f"{host}:{port} cannot be listened on: {error}") from error
    listener.setblocking(False)  # noqa: FBT003 - the socket's own name for it
    return listener


async def _keep(work: Callable[[], Awaitable[None]], every_seconds: float) -> None:
    """Do something again and again; what is unavailable is tried again."""
    told = ""
    while True:
        try:
            await work()
            told = ""
        except SextantError as error:
            if str(error) != told:  # once, however long it lasts
                told = str(error)
                _log.warning("%s: %s", error.code, told)
        await asyncio.sleep(every_seconds)
