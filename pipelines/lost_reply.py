"""The demonstration of a reply that is lost after the fill: what is written, and how it ends.

1. A gateway runs as a process of its own, beside a simulated terminal with a fault to come.
2. An order is decided, journaled and sent. The terminal fills it, and its reply is lost.
3. Its fate is unknown, and so it is written. Sent again, it is not sent again.
4. The scorer starts again: the journal remembers what is pending.
5. The history of the terminal proves the fill; journal and broker agree.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from online.adapters.clocks import SystemClock
from online.adapters.gateway_address import GatewayAddress
from online.adapters.gateway_broker import GatewayBroker
from online.adapters.sqlite_journal import SqliteJournal, iterate, open_journal
from online.domain.book import Book
from online.domain.decision import Action, Decision
from online.domain.errors import SextantError, Unavailable
from online.domain.market import NANOSECONDS_PER_SECOND, Quote, Side, Timeframe
from online.domain.order import Intent, OrderReply, OrderStatus, Purpose, make_magic
from online.domain.record import DecisionRecord, Record, Request, encode_record
from online.gateway.certificates import issue
from online.gateway.messages import Role
from online.gateway.terminal_server import TerminalServer
from online.gateway.tls import TlsFiles
from online.instruments import find_instrument, load_instruments
from online.reconciler import Reconciler, ReconciliationRules
from online.sending import append, resolve_pending, send
from online.settings import load_settings
from online.simulator.client import ClientTerminal
from online.simulator.faults import Fault, FaultKind
from online.simulator.terminal import SimulatedTerminal
from pipelines.platform.ports import choose_port

SYMBOL, BID, ASK = "EURUSD", 1.1, 1.1002
_PATIENCE_SECONDS, _PAUSE_SECONDS = 60.0, 0.05
_SETTINGS = """
port = {port}
state = "state"
absence_seconds = 5.0
[tls]
authority = "authority.pem"
certificate = "gateway.pem"
key = "gateway.key"
[terminal]
kind = "simulated"
port = {terminal}
"""


class Step(msgspec.Struct, frozen=True):
    """One step of the story.

    Parameters
    ----------
    told
        What happened, one sentence.
    records
        What the journal has gained, canonical JSON; of a decision its order alone.
    """

    told: str
    records: tuple[str, ...] = ()


class Scorer:
    """A scorer's journal and its link to the gateway, as `online.sending` needs them."""

    def __init__(self, journal: SqliteJournal, book: Book, broker: GatewayBroker) -> None:
        self.journal, self.book, self.broker = journal, book, broker
        self.clock = SystemClock()


class Stage:
    """The terminal, and where everything lies."""

    def __init__(self, folder: Path) -> None:
        instrument = find_instrument(SYMBOL, load_instruments())
        self.folder = folder
        self.terminal = SimulatedTerminal([instrument], hedging=True)
        self.client = ClientTerminal(self.terminal)
        self.server = TerminalServer(self.client)
        self.server.on_quote(Quote(SYMBOL, BID, ASK, time.time_ns()))
        threading.Thread(target=self.server.run, daemon=True).start()
        self.port = choose_port(8_230)

    @property
    def journal(self) -> Path:
        """The scorer's journal."""
        return self.folder / "journal.db"

    def broker(self, role: Role = Role.SCORER) -> GatewayBroker:
        """Return a client of the gateway."""
        files = (self.folder / name for name in ("authority.pem", f"{role}.pem", f"{role}.key"))
        return GatewayBroker(GatewayAddress("127.0.0.1", self.port, TlsFiles(*files)), role)

    def count(self) -> tuple[int, int]:
        """Return how many positions the account holds and how many fills it has had."""
        return len(self.terminal.positions()), len(self.terminal.deals_after(0))

    @contextmanager
    def gateway(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the gateway as a process of its own."""
        issue(self.folder, ["127.0.0.1"])
        settings = self.folder / "gateway.toml"
        text = _SETTINGS.format(port=self.port, terminal=self.server.port)
        settings.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "pipelines.cli", "gateway", "serve", str(settings)]
        with (self.folder / "gateway.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - ours
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def demonstrate(folder: Path, tell: Callable[[Step], None]) -> None:
    """Lose a reply after the fill and find the order's fate; `tell` hears every step.

    Raises
    ------
    SextantError
        If the story did not end as it must.
    """
    stage = Stage(folder)
    with stage.gateway() as process:
        asyncio.run(_story(stage, process.pid, tell))


async def _story(stage: Stage, pid: int, tell: Callable[[Step], None]) -> None:
    await _until_ready(stage)
    tell(Step(f"A gateway (process {pid}) stands beside a simulated terminal; the account is flat"))
    intent = await _send(stage, tell)
    await _send_again(stage, intent, tell)
    await _recover(stage, intent, tell)


async def _send(stage: Stage, tell: Callable[[Step], None]) -> Intent:
    async with _Opened(stage) as scorer:
        record = await _decide(scorer)
        await append(scorer, record)
        tell(Step("An order is decided and durable in the journal", _new(stage, 1)))
        stage.client.faults.on("order_send", Fault(FaultKind.REPLY_LOST))
        tell(Step("Fault: the terminal will fill the next order and lose its reply"))
        assert record.intent is not None  # noqa: S101 - made above
        reply = await send(record.intent, record.decision_id, scorer)
        _expect(reply.status is OrderStatus.UNKNOWN, f"the reply was {reply}")
        tell(Step("It is sent; no reply comes: its fate is unknown", _new(stage, 1)))
        positions, deals = stage.count()
        tell(Step(f"At the terminal, unseen: {positions} position, {deals} fill"))
        return record.intent


async def _send_again(stage: Stage, intent: Intent, tell: Callable[[Step], None]) -> None:
    broker = stage.broker()
    try:
        reply = await broker.send(intent)
    finally:
        await broker.close()
    positions, deals = stage.count()
    _expect((positions, deals) == (1, 1), f"{positions} positions, {deals} fills")
    words = f"{reply.status}: {reply.comment}"
    tell(Step(f"The same order is handed over once more; the gateway sends nothing ({words})"))


async def _recover(stage: Stage, intent: Intent, tell: Callable[[Step], None]) -> None:
    async with _Opened(stage) as scorer:
        waiting = ", ".join(each.intent_id for each in scorer.book.pending)
        tell(Step(f"The scorer starts again; by its journal this has no fate: {waiting}"))
        await _patiently(lambda: _resolved(scorer))
        found = scorer.book.orders.find(intent.intent_id)
        reply: OrderReply | None = None if found is None else found.reply
        _expect(reply is not None and reply.status is OrderStatus.FILLED, f"its fate is {reply}")
        tell(Step("The terminal's history proves the fill", _new(stage, 1)))
        rules = ReconciliationRules()
        reconciler = Reconciler(scorer.broker, scorer.journal, scorer.clock, scorer.book, rules)
        await reconciler.begin()
        before = _count(stage)
        await reconciler.compare_all()
        _expect(not scorer.book.unreconciled, scorer.book.unreconciled)
        agreed = _new(stage, _count(stage) - before)
        tell(Step("Journal and broker are compared, and agree", agreed))
    positions, deals = stage.count()
    _expect((positions, deals) == (1, 1), f"{positions} positions, {deals} fills")
    tell(
        Step(
            f"Sent once: {positions} position, {deals} fill; "
            f"the chain of {_count(stage)} records verifies"
        )
    )


async def _decide(scorer: Scorer) -> DecisionRecord:
    """Return a decision to buy, taken by hand: there is no model here."""
    seen = await scorer.broker.observe(SYMBOL, 0)
    now_ns, number = scorer.clock.now_ns(), scorer.book.allocate()
    limits = load_settings("replay", environment={}).limits
    bar_ns = now_ns // (3_600 * NANOSECONDS_PER_SECOND) * 3_600 * NANOSECONDS_PER_SECOND
    intent = Intent(
        intent_id=f"{SYMBOL}-demonstration-{number}",
        magic=make_magic(1, number),
        comment=f"sx-{number}",
        purpose=Purpose.ENTRY,
        symbol=SYMBOL,
        side=Side.BUY,
        volume_lots=0.1,
        stop=1.09,
        target=1.12,
        position=0,
        expires_at_ns=0,
        quoted=ASK,
    )
    return DecisionRecord(
        decision_id=f"{SYMBOL}-H1-demonstration-{number}",
        number=number,
        at_ns=now_ns,
        request=Request(SYMBOL, Timeframe.H1, bar_ns, send=True),
        model_sha256="0" * 64,
        features=None,
        view_stamps_ns=None,
        quote=seen.quote,
        account=seen.account,
        positions=seen.positions,
        state=scorer.book.state(SYMBOL, now_ns, limits, (), seen.quote, ()),
        signal=None,
        decision=Decision(Action.BUY),
        vetoes=(),
        intent=intent,
    )


class _Opened:
    """A scorer with its journal open, until the block ends."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def __aenter__(self) -> Scorer:
        journal, book = open_journal(self._stage.journal)
        self._scorer = Scorer(journal, book, self._stage.broker())
        return self._scorer

    async def __aexit__(self, *_: object) -> None:
        await self._scorer.broker.close()
        self._scorer.journal.close()


async def _resolved(scorer: Scorer) -> bool:
    try:
        return not await resolve_pending(scorer)
    except Unavailable:
        return False


async def _until_ready(stage: Stage) -> None:
    operator = stage.broker(Role.OPERATOR)

    async def is_ready() -> bool:
        try:
            status = await operator.status(SYMBOL)
        except Unavailable:
            return False
        return status.trade_allowed and all(worker.ready for worker in status.workers)

    try:
        await _patiently(is_ready)
    finally:
        await operator.close()


async def _patiently(ask: Callable[[], Awaitable[bool]]) -> None:
    """Ask another process until it says yes."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not await ask():  # noqa: ASYNC110 - what is asked lives in another process
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        raise Unavailable(f"no answer came in {_PATIENCE_SECONDS:.0f} s") from None


def _count(stage: Stage) -> int:
    return sum(1 for _ in iterate(stage.journal))


def _new(stage: Stage, count: int) -> tuple[str, ...]:
    """Return the journal's last records, read from its file."""
    every = list(iterate(stage.journal))
    return tuple(_shown(record) for record in every[len(every) - count :])


def _shown(record: Record) -> str:
    if isinstance(record, DecisionRecord):
        told = {"type": "decision", "decision_id": record.decision_id, "intent": record.intent}
        return msgspec.json.encode(told).decode()
    return encode_record(record).decode()


def _expect(truth: object, otherwise: str) -> None:
    if not truth:
        raise SextantError(
            f"the demonstration did not end as it must: {otherwise}",
            code="DEMONSTRATION_FAILED",
            remedy="Keep its folder and report it: an order's fate must never be in doubt.",
        )
