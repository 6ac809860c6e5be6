"""The running scorer: its parts, and the desk once there is a model to trade."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from online.api.accounting import OtherAccount, check_money, judge_account
from online.api.circuit_watch import CircuitWatch
from online.api.loading import Loaded
from online.api.messages import MarketAnswer, MarketStep, ModelAnswer, PartState, Readiness
from online.api.metrics import Meters, TimedModel
from online.api.news_watch import NewsWatch
from online.api.operating import Operating
from online.api.parts import Parts
from online.api.readiness import asked_state, circuit_state, journal_state
from online.api.reconciling import Reconciling
from online.api.safety import Safety
from online.domain.errors import InvalidInput, ModelRefused, SextantError, Unavailable
from online.domain.limits import Limits
from online.domain.manifest import encode_manifest
from online.domain.news import NewsCalendar
from online.domain.record import ModelRecord, Record, Request
from online.ports import Observation
from online.reconciler import Reconciler
from online.sending import resolve_pending
from online.trade import Desk, Outcome, consider

logger = logging.getLogger(__name__)
_NOT_YET = "no model was loaded yet"


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
    _refusal: SextantError | None = None
    _trading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _account_known: bool = False
    reconciling: Reconciling = field(init=False)
    operating: Operating = field(init=False)
    safety: Safety = field(init=False)
    circuits: CircuitWatch = field(init=False)
    news_watch: NewsWatch | None = None

    def __post_init__(self) -> None:
        """Make what compares journal and broker, and what operators ask for."""
        parts = self.parts
        self.circuits = CircuitWatch(parts.breakers, parts)
        reconciler = Reconciler(
            parts.broker, parts.journal, parts.clock, parts.book, parts.reconciliation
        )
        self.reconciling = Reconciling(
            reconciler, parts.book, self._trading, self._resolve, self.meters
        )
        self.operating = Operating(
            parts, self.meters, self._trading, self._prepare, lambda: self.desk.model
        )
        self.safety = Safety(
            parts, self.meters, self._trading, self.operating, parts.limits_source, self._swap
        )
        if parts.news_source is not None:
            self.news_watch = NewsWatch(
                parts.news_source, parts.clock, parts.news, parts.news_seconds, self._swap_news
            )

    async def start(self) -> None:
        """Journal the limits, load the model, find fates left unknown, compare with the broker."""
        await self.safety.begin()
        try:
            await self._know_account()
        except OtherAccount:
            raise
        except Unavailable as error:
            logger.warning("the account is not known yet: %s", error)
        try:
            await self.reload()
        except SextantError as error:
            await self._fall_back(refused=isinstance(error, (ModelRefused, InvalidInput)))
            if self.loaded is None:
                logger.warning("started without a model: %s", error)
        await self._resolve()
        await self.reconciling.begin()

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
            try:
                await self._know_account()
            except OtherAccount:
                raise
            except Unavailable as error:  # it may be another's: decide, and send nothing
                logger.warning("the account is not known yet: %s", error)
                request = msgspec.structs.replace(request, send=False)
            await self._resolve()
            if self.parts.simulation is not None or not self.parts.book.compared:
                await self.reconciling.turn()  # a replay has no time between its bars
            outcome = await consider(request, self.desk)
            await self.operating.move_stops_now()
        self._count(outcome, started)
        return outcome

    async def reload(self) -> ModelAnswer:
        """Load the model the alias points at; whatever is wrong with it, the old one stays.

        Raises
        ------
        NotFound, Unavailable, ModelRefused
            As the source, the verification and the certificate say.
        """
        async with self._loading:
            try:
                found = await self.parts.loader.request()
            except SextantError as error:
                self._refuse(error)
                raise
            answer = await self._install(found)
            self._refusal = None
            self.parts.source.keep(self.parts.model_name, self.parts.model_alias, found.bundle)
            return answer

    async def watch(self, seconds: float) -> None:
        """Look for a moved alias for ever; a version that is refused is asked for again.

        Parameters
        ----------
        seconds
            Between two looks (> 0).
        """
        parts = self.parts
        while True:
            await asyncio.sleep(seconds)
            with suppress(SextantError):  # told by readiness, meters and log
                version = await parts.source.look(parts.model_name, parts.model_alias)
                if self.loaded is None or self.loaded.version != version:
                    await self.reload()

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
            await self.operating.move_stops_now()
            return MarketAnswer(terminal.quote(step.symbol), clock.now_ns())

    async def readiness(self) -> Readiness:
        """Ask every part how it is."""
        parts = self.parts
        states = {
            "model": self._model_state(),
            "features": await asked_state(parts.store.ping, "answers"),
            "broker": await asked_state(self.observe, "answers"),
            "reconciliation": self.reconciling.state(),
            "circuits": circuit_state(parts.breakers),
            "limits": self.safety.state(),
            **({} if self.news_watch is None else {"news": self.news_watch.state()}),
            "journal": journal_state(parts.journal.trouble),
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
                f"{self._refusal or _NOT_YET}"
            )
        return self._desk

    @property
    def model(self) -> ModelAnswer:
        """The model that trades.

        Raises
        ------
        NoModel
            If none was ever loaded.
        """
        if self.loaded is None:
            raise NoModel(f"no model is loaded: {self._refusal}")
        return self.loaded

    @property
    def _symbol(self) -> str:
        return self.parts.model_name.partition(".")[0]

    def _model_state(self) -> PartState:
        """Tell which model trades, and why one that was asked for does not."""
        refusal = self._refusal
        if self.loaded is None:
            return PartState(ready=False, code="NO_MODEL", detail=str(refusal or _NOT_YET))
        loaded = self.loaded
        detail = f"{loaded.name}@{loaded.alias} version {loaded.version} from {loaded.origin}"
        if refusal is None:
            return PartState(ready=True, code="", detail=detail)
        detail += f"; what {loaded.alias} points at now is refused: {refusal}"
        return PartState(ready=True, code=refusal.code, detail=detail)

    def _refuse(self, error: SextantError) -> None:
        """Remember why a request for a model was not honoured, and say it once."""
        if str(error) != str(self._refusal):
            name = f"{self.parts.model_name}@{self.parts.model_alias}"
            logger.warning("%s is refused, %s: %s", name, error.code, error)
        self._refusal = error
        self.meters.count_refusal(error.code)

    async def _fall_back(self, *, refused: bool) -> None:
        """Start from the bundle verified last where the one asked for was refused, else by rules.

        A model that is not there at all is no reason to go back to an older one.
        """
        async with self._loading:
            found = await self.parts.loader.last() if refused else None
            if found is None:
                found = self.parts.loader.rules()
            if found is not None:
                await self._install(found)

    async def _install(self, found: Loaded) -> ModelAnswer:
        """Journal the model, then let it trade."""
        parts, model, certificate = self.parts, found.model, found.certificate
        manifest, verified = model.manifest, model.verification
        record = ModelRecord(
            at_ns=parts.clock.now_ns(),
            name=manifest.name,
            alias=model.alias,
            version=model.version,
            sha256=model.sha256,
            manifest=encode_manifest(manifest).decode(),
            runtime=verified.runtime,
            bit_equal=verified.bit_equal,
            policy=str(certificate.policy or "") if certificate else "",
            approver=certificate.approver if certificate else "",
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
                currency=parts.currency,
                news=parts.news,
            )
        else:
            self._desk.model = timed
        self.loaded = ModelAnswer(
            manifest.name,
            model.alias,
            model.version,
            model.sha256,
            found.bundle.origin,
            verified.bit_equal,
            verified.n_golden,
            verified.runtime,
            record.policy,
            record.approver,
            manifest.vector.all_names,
        )
        self.meters.tell_model(manifest.name, model.alias, model.version, model.sha256)
        logger.info("model %s version %s trades", manifest.name, model.version)
        return self.loaded

    def _swap_news(self, news: NewsCalendar) -> None:
        """Put another calendar in force, for every decision that begins from now on."""
        self.parts.news = news
        if self._desk is not None:
            self._desk.news = news

    def _swap(self, limits: Limits) -> None:
        """Put other limits in force, for every decision that begins from now on."""
        self.parts.limits = limits
        if self._desk is not None:
            self._desk.limits = limits

    async def _record(self, record: Record) -> None:
        await self.parts.journal.append(record)
        self.parts.book.apply(record)

    async def _prepare(self) -> None:
        """Know the account, and look for the fate of what was sent to it."""
        await self._know_account()
        await self._resolve()

    async def _know_account(self) -> None:
        """Journal whose account is traded, once a process.

        Raises
        ------
        OtherAccount
            If it is not the journal's, or holds real money in a mode that must not spend any.
        Unavailable
            If the broker does not tell.
        """
        if self.parts.identify is None or self._account_known:
            return
        told = await self.parts.identify()
        check_money(told, self.parts.mode)
        record = judge_account(told, self.parts.book, self.parts.clock.now_ns())
        if record is not None:
            await self._record(record)
        self._account_known = True

    async def _resolve(self) -> None:
        """Look for the fate of orders left unresolved; without evidence they stay so."""
        orders = self.parts.book.orders
        if not orders.pending and not orders.resting:
            return
        try:
            left = await resolve_pending(self.parts)
        except Unavailable as error:
            logger.warning("unresolved orders stay so: %s", error)
            return
        for intent in left:
            logger.warning("order %s has an unknown fate", intent.intent_id)

    def _count(self, outcome: Outcome, started: float) -> None:
        self.meters.count_outcome(outcome, started)
        self.meters.tell_trading(self.parts.book.trading)
