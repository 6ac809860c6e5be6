"""Runs of one order each, in which something dies at a named step; then the books are compared.

Everything is real but the features and the model: the scorer's journal and story in a process of
its own, the gateway, its workers and the terminal. `kill -9` is what dies means.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from online.adapters.clocks import SystemClock
from online.adapters.feast_redis import FeastRedisReader
from online.adapters.gateway_broker import GatewayBroker
from online.adapters.redis_connection import RedisAddress
from online.adapters.sqlite_journal import SqliteJournal, iterate, open_journal
from online.domain.book import Book
from online.domain.errors import Unavailable
from online.domain.market import Timeframe
from online.domain.order import Intent, OrderReply, OrderStatus
from online.domain.reconciliation import Statement
from online.domain.record import DecisionRecord, Record, Request, ResultRecord
from online.domain.terminal_call import TerminalCall
from online.domain.vector import VectorContract, VectorReading, ViewContract
from online.gateway.messages import Role
from online.ports import FeatureReader, Observation
from online.reconciler import Reconciler, ReconciliationRules
from online.sending import resolve_pending
from online.simulator.constants import TRADE_RETCODE_DONE
from online.trade import Desk, consider
from tests.fakes import INSTRUMENTS, FakeFeatures, FakeModel, make_limits, make_manifest
from tests.fakes import make_reading as read
from tests.gateway_world import Terminal, World, eventually
from tests.scorers import PROJECT
from tests.store_crashes import Stores

RESOLVE_SECONDS = 60.0
_FOREVER_SECONDS = 1_000_000_000
_MINUTE_NS = 60_000_000_000
_FIRST_LOTS, _STEP_LOTS, _DIFFERENT = 0.1, 0.01, 50
ALWAYS = ("Sun 00:00-Sat 24:00",)
"""Trading hours: the clock is the real one, and accidents happen at weekends too."""
SCORER_STEPS = ("before_send", "after_send", "before_result", "after_result")
GATEWAY_STEPS = ("before_sending", "after_sending", "before_result", "after_result")
SCENARIOS = (
    "nobody dies",
    *(f"scorer {step}" for step in SCORER_STEPS),
    *(f"gateway {step}" for step in GATEWAY_STEPS),
    "gateway inside before",
    "gateway inside after",
    "worker inside before",
    "worker inside after",
    "terminal reply_lost",
    "terminal desynchronised",
    "terminal timed_out",
    "terminal pipe_broken",
)
STORE_SCENARIOS = (
    *(f"postgres {step}" for step in SCORER_STEPS),
    "valkey before_read",
    "valkey after_read",
    *(f"valkey {step}" for step in SCORER_STEPS),
)
"""The stores die, and nobody else: only where there are stores."""


CONTRACT = VectorContract(
    (
        ViewContract("h1_momentum", 1, ("rsi_14", "return_1", "atr_14"), _FOREVER_SECONDS),
        ViewContract("h1_clock", 1, ("hour_sin",), _FOREVER_SECONDS),
    )
)


def die() -> None:
    """End this process as a crash does."""
    os.kill(os.getpid(), signal.SIGKILL)


class DyingFeatures:
    """A feature reader around whose answer somebody dies."""

    def __init__(self, inner: FeatureReader, step: str, die: Callable[[], None]) -> None:
        self._inner, self._step, self._die = inner, step, die

    async def read(self, symbol: str, contract: VectorContract) -> VectorReading:
        if self._step == "before_read":
            self._die()
        reading = await self._inner.read(symbol, contract)
        if self._step == "after_read":
            self._die()
        return reading


class DyingJournal:
    """A journal around whose write of a result somebody dies."""

    def __init__(self, inner: SqliteJournal, step: str, die: Callable[[], None]) -> None:
        self._inner, self._step, self._die = inner, step, die

    async def append(self, *records: Record, durable: bool = True) -> None:
        is_result = any(isinstance(record, ResultRecord) for record in records)
        if is_result and self._step == "before_result":
            self._die()
        await self._inner.append(*records, durable=durable)
        if is_result and self._step == "after_result":
            self._die()


class DyingBroker:
    """A broker around whose hand-over of an order somebody dies."""

    def __init__(self, inner: GatewayBroker, step: str, die: Callable[[], None]) -> None:
        self._inner, self._step, self._die = inner, step, die

    async def observe(
        self, symbol: str, after_deal: int, pairs: tuple[str, ...] = ()
    ) -> Observation:
        return await self._inner.observe(symbol, after_deal, pairs)

    async def statement(self, since_ns: int) -> Statement:
        return await self._inner.statement(since_ns)

    async def find(self, intent: Intent) -> OrderReply | None:
        return await self._inner.find(intent)

    async def send(self, intent: Intent) -> OrderReply:
        if self._step == "before_send":
            self._die()
        if self._step != "after_send":
            return await self._inner.send(intent)
        sending = asyncio.create_task(self._inner.send(intent))
        await asyncio.sleep(0)  # the frame is on its way
        self._die()
        return await sending


@dataclass(frozen=True)
class Verdict:
    """What journal and terminal say together of all runs.

    `untold` counts orders that the terminal carried out and whose request no record holds,
    `made_up` answers that it never gave, and calls that the journal holds twice.
    """

    runs: int
    filled: int
    lost: int
    doubled: int
    unresolved: int
    untold: int
    made_up: int

    @property
    def faults(self) -> dict[str, int]:
        """Whatever there must be none of, by name."""
        names = ("lost", "doubled", "unresolved", "untold", "made_up")
        return {name: count for name in names if (count := getattr(self, name))}


@dataclass
class Harness:
    """A world in which one order after the other meets its accident."""

    world: World
    terminal: Terminal
    stores: Stores | None = None
    runs: int = 0
    began_ns: int = field(default_factory=time.time_ns)

    @property
    def journal(self) -> Path:
        """The scorer's."""
        return self.world.folder / "journal.db"

    def run(self, scenario: str) -> None:
        """Send one order while something dies, start again what died, and find the fate."""
        who, step, *when = scenario.split()
        self._flatten()
        if who == "gateway" and not when:
            self.world.stop()
            self.world.start(step)
        asyncio.run(self.world.ready())
        self._arm(who, step, when)
        bar = self.runs + 1
        if self.stores is not None:
            self.stores.push(self._bar_ns(bar), CONTRACT)
        in_scorer = who in {"scorer", "postgres", "valkey"}
        self._fork(step if in_scorer else "", bar, who)
        if who in {"postgres", "valkey"}:
            assert self.stores is not None
            self.stores.start(who)
        if step == "before_read":  # nothing was decided on: the bar is asked about again
            assert self.stores is not None
            self.stores.push(self._bar_ns(bar), CONTRACT)
            self._fork("", bar)
        if who == "gateway":
            self.world.stop()
            self.world.start()
        asyncio.run(self.world.ready())
        self._fork("", 0)
        self.runs += 1

    def count_entries(self) -> int:
        """Return how many deals have opened a position."""
        return sum(deal[3] == 0 for deal in self.terminal.order("deals"))

    def judge(self) -> Verdict:
        """Compare every journaled order with the terminal's deals."""
        intents: dict[str, Intent] = {}
        statuses: dict[str, OrderStatus] = {}
        calls: dict[str, list[TerminalCall]] = defaultdict(list)
        for record in iterate(self.journal):
            if isinstance(record, DecisionRecord) and record.intent is not None:
                intents[record.intent.intent_id] = record.intent
            elif isinstance(record, ResultRecord):
                statuses[record.intent_id] = record.reply.status
                calls[record.intent_id] += record.calls
        opened = Counter(deal[0] for deal in self.terminal.order("deals") if deal[3] == 0)
        lost = doubled = unresolved = filled = untold = made_up = 0
        for intent_id, intent in intents.items():
            status, deals = statuses.get(intent_id, OrderStatus.UNKNOWN), opened[intent.magic]
            filled += deals
            doubled += deals > 1
            unresolved += status is OrderStatus.UNKNOWN
            lost += status is not OrderStatus.UNKNOWN and deals != (status is OrderStatus.FILLED)
            asked = [call for call in calls[intent_id] if call.request["magic"] == intent.magic]
            untold += deals > len(asked)
            done = [c for c in asked if c.result and c.result["retcode"] == TRADE_RETCODE_DONE]
            made_up += len(asked) > 1 or len(done) > deals or len(asked) != len(calls[intent_id])
        if len(intents) != self.runs:
            raise AssertionError(f"{self.runs} runs must leave as many orders, got {len(intents)}")
        return Verdict(self.runs, filled, lost, doubled, unresolved, untold, made_up)

    def _bar_ns(self, bar: int) -> int:
        """Return a bar of its own for every run, by minutes: none is too old a signal."""
        return (self.began_ns // _MINUTE_NS - bar) * _MINUTE_NS

    def _arm(self, who: str, step: str, when: list[str]) -> None:
        if who == "terminal":
            self.terminal.order("fault", kind=step)
        elif when and who == "gateway":
            assert self.world.process is not None
            self.terminal.order("kill", pid=self.world.process.pid, when=when[0])
        elif when:
            self.terminal.order("kill", pid=asyncio.run(self._order_worker()), when=when[0])

    async def _order_worker(self) -> int:
        operator = self.world.broker(Role.OPERATOR)
        try:
            return (await operator.status()).workers[0].pid
        finally:
            await operator.close()

    def _flatten(self) -> None:
        """Let the market touch every target, and come back."""
        self.terminal.order("quote", bid=1.13, ask=1.1302)
        self.terminal.order("quote", bid=1.1, ask=1.1002)

    def _fork(self, step: str, bar: int, victim: str = "") -> None:
        """Let a scorer live in a process of its own until it ends or dies."""
        child = multiprocessing.get_context("fork").Process(
            target=self._live, args=(step, bar, victim)
        )
        child.start()
        child.join()
        if child.exitcode not in {0, -signal.SIGKILL}:
            raise AssertionError(f"the scorer ended with {child.exitcode}")
        child.close()

    def _live(self, step: str, bar: int, victim: str) -> None:
        """Trade in a forked process, and end without what the parent left to be done at exit."""
        status = 1
        try:
            asyncio.run(self._trade(step, bar, victim))
            status = 0
        except Exception:  # noqa: BLE001 - the process edge: say it and end
            traceback.print_exc()
        finally:
            os._exit(status)

    async def _trade(self, step: str, bar: int, victim: str) -> None:
        """Find the fate of what is pending, reconcile; then, with a bar, decide and send."""
        journal, book = open_journal(self.journal, self.world.log_bytes)
        broker = self.world.broker(answer_seconds=5.0, reply_seconds=8.0)
        bar_ns, stores = self._bar_ns(bar), self.stores

        def kill() -> None:
            if stores is None or victim == "scorer":
                die()
            else:
                stores.kill(victim)

        reader: FeatureReader = FakeFeatures(read(stamps_ns=(bar_ns, bar_ns)))
        if stores is not None:
            address = RedisAddress(str(stores.store.socket))
            reader = FeastRedisReader(address, PROJECT, timeout_seconds=5.0)
        desk = _desk(
            DyingFeatures(reader, step, kill),
            DyingBroker(broker, step, kill),
            DyingJournal(journal, step, kill),
            book,
            round(_FIRST_LOTS + _STEP_LOTS * (bar % _DIFFERENT), 2),
        )

        async def is_resolved() -> bool:
            try:
                return not await resolve_pending(desk)
            except Unavailable:
                return False

        await eventually(is_resolved, RESOLVE_SECONDS)
        await self._reconcile(desk)
        if bar:
            outcome = await consider(Request("EURUSD", Timeframe.H1, bar_ns, send=True), desk)
            if outcome.record.intent is None and step != "before_read":
                raise AssertionError(f"no order was decided: {outcome.record.vetoes}")
        await broker.close()
        journal.close()

    async def _reconcile(self, desk: Desk) -> None:
        """Compare journal and broker: after every accident they must agree."""
        rules = ReconciliationRules()
        reconciler = Reconciler(desk.broker, desk.journal, desk.clock, desk.book, rules)
        await reconciler.begin()

        async def agrees() -> bool:
            await reconciler.compare_all()
            return desk.book.compared

        await eventually(agrees, RESOLVE_SECONDS)
        if desk.book.findings or desk.book.halted:
            raise AssertionError(f"{desk.book.halted}: {desk.book.findings}")


def _desk(
    features: DyingFeatures,
    broker: DyingBroker,
    journal: DyingJournal,
    book: Book,
    volume_lots: float,
) -> Desk:
    """Return a desk whose orders have this volume: the last one's would be a duplicate."""
    return Desk(
        features=features,
        broker=broker,
        journal=journal,
        clock=SystemClock(),
        model=FakeModel(manifest=make_manifest(vector=CONTRACT)),
        limits=make_limits(
            max_volume_lots=volume_lots,
            max_orders_per_window=1_000_000,
            max_repeats_per_window=1_000_000,
            max_quote_age_milliseconds=600_000,
        ),
        instruments={n: replace(each, hours=ALWAYS) for n, each in INSTRUMENTS.items()},
        book=book,
    )
