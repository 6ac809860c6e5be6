"""The running scorer: its parts, and the desk once there is a model to trade."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from online.adapters.bundle_source import BundleSource, FetchedBundle
from online.adapters.clocks import VirtualClock
from online.adapters.onnx_model import OnnxModel, load_bundle
from online.api.messages import MarketAnswer, MarketStep, ModelAnswer, PartState, Readiness
from online.api.metrics import Meters, TimedJournal, TimedModel
from online.domain.book import Book
from online.domain.errors import InvalidInput, SextantError, Unavailable
from online.domain.manifest import encode_manifest
from online.domain.market import Instrument
from online.domain.record import HaltRecord, LimitsRecord, ModelRecord, Record, Request
from online.domain.risk import Limits
from online.ports import Broker, Clock, FeatureReader, Observation
from online.simulator.terminal import SimulatedTerminal
from online.trade import Desk, Outcome, consider, resolve_pending

logger = logging.getLogger(__name__)


class Pingable(Protocol):
    """An outside system that can be asked for a sign of life."""

    async def ping(self) -> None:
        """Raise `Unavailable` if it gives none."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """What the replaying feed moves; there in replay mode alone."""

    terminal: SimulatedTerminal
    clock: VirtualClock


@dataclass(slots=True)
class Parts:
    """What the composition root opened.

    Parameters
    ----------
    mode
        ``replay``, ``paper`` or ``live``.
    features, broker, journal, clock, book, limits, instruments, strategy
        As `online.trade.Desk` needs them.
    store
        Tells whether the online store lives.
    source, model_name, model_alias
        Where the model comes from and which it is.
    simulation
        None outside replay mode.
    read_decision
        Reads a decision's records from the journal.
    """

    mode: str
    features: FeatureReader
    broker: Broker
    journal: TimedJournal
    clock: Clock
    book: Book
    limits: Limits
    instruments: Mapping[str, Instrument]
    strategy: int
    store: Pingable
    source: BundleSource
    model_name: str
    model_alias: str
    simulation: Simulation | None
    read_decision: Callable[[str], Iterable[Record]]


class NoModel(Unavailable):
    """No verified model is loaded."""

    code = "NO_MODEL"
    remedy = "Train and promote a model, then POST /v1/model/reload."


@dataclass(slots=True)
class Scorer:
    """Decides, trades and tells how it is; one account, so one trade at a time.

    Parameters
    ----------
    parts
        Opened already.
    meters
        Counts and times.
    """

    parts: Parts
    meters: Meters
    loaded: ModelAnswer | None = None
    _desk: Desk | None = None
    _refusal: SextantError = field(default_factory=lambda: NoModel("no model was loaded yet"))
    _trading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def start(self) -> None:
        """Journal the limits, load the model, look for the fate of orders left unresolved."""
        parts = self.parts
        self.meters.tell_halted(parts.book.halted)
        await self._record(LimitsRecord(parts.clock.now_ns(), parts.limits))
        try:
            await self.reload()
        except SextantError as error:
            logger.warning("started without a model: %s", error)
        await self._resolve()

    async def decide(self, request: Request) -> Outcome:
        """Decide about a bar, send nothing."""
        started = self.meters.begin()
        outcome = await consider(request, self.desk)
        self._count(outcome, started)
        return outcome

    async def trade(self, request: Request) -> Outcome:
        """Decide about a bar and send its order, one request after the other."""
        started = self.meters.begin()
        async with self._trading:
            await self._resolve()
            outcome = await consider(request, self.desk)
        self._count(outcome, started)
        return outcome

    async def reload(self) -> ModelAnswer:
        """Load the model the alias points at; whatever is wrong with it, the old one stays.

        Raises
        ------
        NotFound, Unavailable, ModelRefused
            As the source and the verification say.
        """
        parts = self.parts
        async with self._loading:
            try:
                bundle = await parts.source.fetch(parts.model_name, parts.model_alias)
                model = await asyncio.to_thread(
                    load_bundle, bundle.folder, parts.model_alias, bundle.version, bundle.digest
                )
                self._check_model(model)
            except SextantError as error:
                self._refusal = error
                raise
            await self._install(model, bundle)
            parts.source.keep(parts.model_name, parts.model_alias, bundle)
        if self.loaded is None:
            raise self._refusal
        return self.loaded

    async def halt(self, reason: str, by: str) -> None:
        """Halt trading, or resume it (empty `reason`); durable when this returns.

        A halt is in force at once, even if it cannot be journaled: what is decided while it is
        being written must not be sent behind it.
        """
        record = HaltRecord(self.parts.clock.now_ns(), reason, by)
        if reason:
            self.parts.book.apply(record)
            self.meters.tell_halted(reason)
        await self._record(record)
        self.meters.tell_halted(self.parts.book.halted)

    async def observe(self) -> Observation:
        """Return what the broker tells of the account now."""
        return await self.parts.broker.observe(self._symbol, self.parts.book.last_deal)

    async def move_market(self, step: MarketStep) -> MarketAnswer:
        """Move the simulated market and the virtual clock.

        Raises
        ------
        InvalidInput
            If there is no simulated market, or the step goes back in time; nothing moves then.
        """
        simulation = self.parts.simulation
        if simulation is None:
            raise InvalidInput(f"mode {self.parts.mode} has no simulated market")
        terminal, clock = simulation.terminal, simulation.clock
        finished, upcoming = step.finished, step.upcoming
        async with self._trading:
            instants = [clock.now_ns()]
            instants += [finished.closed_at_ns] if finished is not None else []
            instants += [upcoming.opened_at_ns] if upcoming is not None else []
            if instants != sorted(instants):
                raise InvalidInput(
                    "a step moves forward: now, the finished bar's close and the upcoming bar's "
                    f"open must be in order, got {instants} ns"
                )
            if finished is not None:
                terminal.finish_bar(step.symbol, finished)
                clock.set(finished.closed_at_ns)
            if upcoming is not None:
                terminal.begin_bar(step.symbol, upcoming)
                clock.set(upcoming.opened_at_ns)
            return MarketAnswer(terminal.quote(step.symbol), clock.now_ns())

    async def readiness(self) -> Readiness:
        """Ask every part how it is."""
        parts, trouble = self.parts, self.parts.journal.trouble
        states = {
            "model": self._model_state(),
            "features": await _state(parts.store.ping, "answers"),
            "broker": await _state(self.observe, "answers"),
            "journal": PartState(not trouble, "JOURNAL_UNAVAILABLE" if trouble else "", trouble),
        }
        ready = all(state.ready for state in states.values())
        return Readiness(ready, parts.mode, parts.book.halted, states)

    @property
    def desk(self) -> Desk:
        """The desk.

        Raises
        ------
        NoModel
            If no model was ever loaded.
        """
        if self._desk is None:
            raise NoModel(
                f"no model is loaded: {self.parts.model_name}@{self.parts.model_alias}: "
                f"{self._refusal}"
            )
        return self._desk

    @property
    def _symbol(self) -> str:
        return self.parts.model_name.partition(".")[0]

    def _model_state(self) -> PartState:
        if self.loaded is None:
            return PartState(ready=False, code="NO_MODEL", detail=str(self._refusal))
        loaded = self.loaded
        detail = f"{loaded.name}@{loaded.alias} version {loaded.version} from {loaded.origin}"
        return PartState(ready=True, code="", detail=detail)

    def _check_model(self, model: OnnxModel) -> None:
        found = model.manifest.name
        if found != self.parts.model_name:
            raise InvalidInput(f"the bundle is {found}, {self.parts.model_name} was asked for")

    async def _install(self, model: OnnxModel, bundle: FetchedBundle) -> None:
        """Journal the model, then let it trade."""
        parts, manifest, found = self.parts, model.manifest, model.verification
        record = ModelRecord(
            at_ns=parts.clock.now_ns(),
            name=manifest.name,
            alias=model.alias,
            version=model.version,
            sha256=model.sha256,
            manifest=encode_manifest(manifest).decode(),
            runtime=found.runtime,
            bit_equal=found.bit_equal,
        )
        await self._record(record)
        timed = TimedModel(model, self.meters)
        if self._desk is None:
            self._desk = Desk(
                features=parts.features,
                broker=parts.broker,
                journal=parts.journal,
                clock=parts.clock,
                model=timed,
                limits=parts.limits,
                instruments=parts.instruments,
                book=parts.book,
                strategy=parts.strategy,
                live=parts.mode == "live",
            )
        else:
            self._desk.model = timed
        self.loaded = ModelAnswer(
            manifest.name,
            model.alias,
            model.version,
            model.sha256,
            bundle.origin,
            found.bit_equal,
            found.n_golden,
            found.runtime,
        )
        self.meters.tell_model(manifest.name, model.alias, model.version, model.sha256)
        logger.info("model %s version %s trades", manifest.name, model.version)

    async def _record(self, record: Record) -> None:
        await self.parts.journal.append(record)
        self.parts.book.apply(record)

    async def _resolve(self) -> None:
        """Look for the fate of orders left unresolved; without evidence they stay so."""
        if self._desk is None or not self._desk.book.pending:
            return
        try:
            left = await resolve_pending(self._desk)
        except Unavailable as error:
            logger.warning("unresolved orders stay so: %s", error)
            return
        for intent in left:
            logger.warning("order %s has an unknown fate", intent.intent_id)

    def _count(self, outcome: Outcome, started: float) -> None:
        self.meters.count_outcome(outcome, started)
        self.meters.tell_halted(self.parts.book.halted)


async def _state(ask: Callable[[], Awaitable[object]], fine: str) -> PartState:
    try:
        await ask()
    except Unavailable as error:
        return PartState(ready=False, code=error.code, detail=str(error))
    return PartState(ready=True, code="", detail=fine)
