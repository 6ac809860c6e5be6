"""Composition root of the scorer: settings in, running application out.

The one place that knows every adapter. Adapters with heavy imports are imported inside the arm
that needs them.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import assert_never

from fastapi import FastAPI

from online.adapters.bundle_source import BundleSource
from online.adapters.circuits import Circuit, GuardedBroker, GuardedFeatures
from online.adapters.clocks import SystemClock, VirtualClock
from online.adapters.feast_redis import FeastRedisReader
from online.adapters.news_calendar import NewsFeed, NewsFile
from online.adapters.redis_connection import RedisAddress
from online.adapters.simulated_broker import SimulatedBroker
from online.adapters.sqlite_journal import open_journal, read_decision
from online.api.application import make_application
from online.api.keeping import keep_up
from online.api.matching import MatchedFeatures
from online.api.metrics import Meters, TimedBroker, TimedFeatures, TimedJournal
from online.api.parts import NewsParts, Parts, Simulation
from online.api.safety import LimitsSource
from online.api.scorer import Scorer
from online.domain.breaker import Breaker, BreakerRules
from online.domain.errors import SextantError, Unavailable
from online.domain.market import Instrument
from online.domain.news import NOTHING_TOLD
from online.instruments import CONFIG_FOLDER, find_instrument, load_charged
from online.limits_source import SettingsLimits
from online.ports import AccountBroker, Clock
from online.reconciler import ReconciliationRules
from online.settings import (
    FeastRedisSettings,
    FolderModelsSettings,
    GatewayBrokerSettings,
    MlflowModelsSettings,
    Settings,
    SimulatedBrokerSettings,
    SystemClockSettings,
    VirtualClockSettings,
    load_settings,
)
from online.settings_news import (
    NewsFeedSettings,
    NewsFileSettings,
    NewsSettings,
    NoNewsSettings,
)
from online.simulator.rules import AccountRules
from online.simulator.server_time import NEW_YORK_CLOSE
from online.simulator.terminal import SimulatedTerminal

logger = logging.getLogger(__name__)
KEEP_ALIVE_SECONDS = 75
"""How long a connection may idle. Who calls every few seconds must not meet it being closed: of a
request that was sent into it nobody knows whether it was heard.
"""
GC_THRESHOLDS = (50_000, 20, 100)
"""Of the running scorer: its messages hold no cycles, so there is little to look for."""


def create_app(settings: Settings, limits: LimitsSource | None = None) -> FastAPI:
    """Return the application of a scorer; its lifespan opens what the settings name.

    Parameters
    ----------
    settings
        Everything it is told.
    limits
        Where changed limits are read while it runs; None where they do not change.

    Raises
    ------
    InvalidSettings, NotFound
        If it must not start as it is told to.
    JournalUnavailable, JournalCorrupt
        If the journal cannot be opened, or is not as it was written.
    """
    token = settings.read_token()
    scorer, close = compose(settings, limits)

    thresholds = gc.get_threshold()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tasks = [_begin("journaling circuits", scorer.circuits.keep)]
        try:
            try:
                await scorer.start()
            except SextantError as error:
                app.state.refusal = error
                raise
            with suppress(Unavailable):  # told by the readiness; the link is tried again by itself
                await scorer.observe()
            if isinstance(settings.clock, SystemClockSettings):  # a virtual one moves stops itself
                tasks.append(_begin("trailing", scorer.operating.keep_moving_stops))
            gc.collect()
            gc.freeze()  # what lives until the end is not walked again: no pauses of a full pass
            gc.set_threshold(*GC_THRESHOLDS)
            if scorer.parts.matched is not None:
                tasks.append(_begin("matching features", scorer.parts.matched.keep))
            tasks += _watch_limits(scorer)
            if scorer.news_watch is not None:
                tasks.append(_begin("watching news", scorer.news_watch.keep))
            if settings.model.watch_seconds:
                watch = partial(scorer.watch, settings.model.watch_seconds)
                tasks.append(_begin("watching the alias", watch))
            async with _kept_reconciled(scorer):
                yield
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await scorer.circuits.flush()
            await close()
            gc.set_threshold(*thresholds)
            gc.unfreeze()

    app = make_application(scorer, token, _version(), lifespan)
    app.state.refusal = None
    return app


def _watch_limits(scorer: Scorer) -> list[asyncio.Task[None]]:
    """Read limits anew when their files change, or on SIGHUP where there is one."""
    if scorer.parts.limits_source is None:
        return []
    loop, safety, reloads = asyncio.get_running_loop(), scorer.safety, set[asyncio.Task[None]]()

    def hang_up() -> None:
        task = loop.create_task(safety.try_reload("signal"))
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    if hasattr(signal, "SIGHUP"):
        loop.add_signal_handler(signal.SIGHUP, hang_up)
    return [_begin("watching limits", safety.watch)]


def _begin(name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    return asyncio.create_task(keep_up(name, work))


@asynccontextmanager
async def _kept_reconciled(scorer: Scorer) -> AsyncIterator[None]:
    """Compare journal and broker meanwhile; a replay does so before its orders."""
    if scorer.parts.simulation is not None:
        yield
        return
    keeping = asyncio.create_task(scorer.reconciling.keep())
    try:
        yield
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


class _Circuits:
    """Makes the circuits of one scorer; all cool down by the host's clock."""

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self.breakers: list[Breaker] = []

    def make(
        self,
        name: str,
        failures: tuple[type[Exception], ...] = (Unavailable,),
        *,
        essential: bool = True,
    ) -> Circuit:
        """Return the circuit of an outside system."""
        self.breakers.append(Breaker(name, self._rules, essential=essential))
        return Circuit(self.breakers[-1], SystemClock(), failures)


def compose(
    settings: Settings, limits: LimitsSource | None = None
) -> tuple[Scorer, Callable[[], Awaitable[None]]]:
    """Open every part a scorer needs; return it and what closes its parts."""
    terms = settings.broker
    instruments = load_charged(terms.commission_per_lot, terms.slippage_points)
    find_instrument(settings.model.name.partition(".")[0], instruments)
    meters = Meters()
    clock = _make_clock(settings.clock)
    reader = _make_reader(settings.features)
    circuits = _Circuits(BreakerRules(**settings.breakers.model_dump()))
    guarded = GuardedFeatures(reader, circuits.make("features"))
    matched = MatchedFeatures(guarded)
    broker, terminal, close_broker = _make_broker(terms, clock, circuits, instruments)
    source, news = _make_source(settings.models, circuits), _make_news(settings.news, clock)
    # Last: whatever refuses to start before it leaves the journal to others.
    journal, book = open_journal(settings.journal.path, settings.journal.log_bytes)
    simulation = None
    if terminal is not None and isinstance(clock, VirtualClock):
        simulation = Simulation(terminal, clock)

    async def close() -> None:
        await close_broker()
        await reader.close()
        journal.close()

    parts = Parts(
        mode=settings.mode,
        features=TimedFeatures(matched, meters),
        broker=TimedBroker(broker, meters),
        journal=TimedJournal(journal, meters),
        clock=clock,
        book=book,
        limits=settings.limits,
        currency=terms.currency,
        instruments=instruments,
        strategy=settings.strategy,
        store=matched,
        source=source,
        model_name=settings.model.name,
        model_alias=settings.model.alias,
        simulation=simulation,
        read_decision=partial(read_decision, settings.journal.path),
        trust=settings.models.trust,
        fallback=settings.model.fallback,
        matched=matched,
        identify=broker.identify,
        reconciliation=ReconciliationRules(**settings.reconciliation.model_dump()),
        breakers=circuits.breakers,
        limits_source=limits,
        **news,
    )
    meters.watch_breakers(parts.breakers)
    return Scorer(parts, meters), close


def serve(settings: Settings | None = None) -> None:
    """Run the scorer until it is told to stop.

    Parameters
    ----------
    settings
        Read from files and environment where not given.

    Raises
    ------
    SextantError
        If it must not or cannot start.
    """
    import uvicorn  # noqa: PLC0415 - only a server needs it

    told = settings or load_settings()
    logger.info("scorer in mode %s on %s:%s", told.mode, told.http.host, told.http.port)
    path = CONFIG_FOLDER / f"{told.mode}.toml"
    app = create_app(told, SettingsLimits(partial(load_settings, told.mode), (path,)))
    config = uvicorn.Config(
        app.state.front,
        host=told.http.host,
        port=told.http.port,
        access_log=False,
        log_level="warning",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        server_header=False,
        date_header=False,
        proxy_headers=False,  # nobody in front is trusted to say who calls
    )
    # What refused to start is told once, by who called this, and not with its traceback.
    logging.getLogger("uvicorn.error").addFilter(lambda _: app.state.refusal is None)
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt, SystemExit):  # the former is how it is meant to end
        server.run()
    if app.state.refusal is not None:
        raise app.state.refusal
    if not server.started:
        raise Unavailable(
            f"nothing can listen on {told.http.host}:{told.http.port}",
            code="ADDRESS_UNAVAILABLE",
            remedy="Choose another http.host or http.port, or stop who listens there.",
        )


def _make_clock(settings: SystemClockSettings | VirtualClockSettings) -> SystemClock | VirtualClock:
    match settings:
        case SystemClockSettings():
            return SystemClock()
        case VirtualClockSettings():
            return VirtualClock(settings.starts_at_ns)
        case _:
            assert_never(settings)


def _make_reader(settings: FeastRedisSettings) -> FeastRedisReader:
    if settings.socket_path is not None:
        address = RedisAddress(str(settings.socket_path))
    else:
        address = RedisAddress.parse(settings.url or "")
    return FeastRedisReader(
        address,
        settings.project,
        join_key=settings.join_key,
        timeout_seconds=settings.timeout_seconds,
    )


def _make_broker(
    settings: SimulatedBrokerSettings | GatewayBrokerSettings,
    clock: Clock,
    circuits: _Circuits,
    instruments: Mapping[str, Instrument],
) -> tuple[AccountBroker, SimulatedTerminal | None, Callable[[], Awaitable[None]]]:
    """Return a broker, the simulated terminal if it has one, and what closes it."""
    match settings:
        case SimulatedBrokerSettings():
            rules = AccountRules(
                currency=settings.currency,
                commission_per_lot=settings.commission_per_lot,
                leverage=settings.leverage,
                zone=NEW_YORK_CLOSE,
            )
            terminal = SimulatedTerminal(instruments, balance=settings.balance, rules=rules)
            return SimulatedBroker(terminal, clock), terminal, _nothing_to_close
        case GatewayBrokerSettings():
            from online.adapters.gateway_address import GatewayAddress  # noqa: PLC0415 - in its arm
            from online.adapters.gateway_broker import GatewayBroker  # noqa: PLC0415 - in its arm
            from online.gateway.tls import TlsFiles  # noqa: PLC0415 - in its arm

            address = GatewayAddress(
                settings.host,
                settings.port,
                TlsFiles(settings.authority, settings.certificate, settings.key),
                settings.answer_seconds,
                settings.reply_seconds,
                settings.patience_seconds,
            )
            gateway = GatewayBroker(address)
            guarded = GuardedBroker(gateway, circuits.make("gateway"))
            return guarded, None, gateway.close
        case _:
            assert_never(settings)


def _make_news(settings: NewsSettings, clock: SystemClock | VirtualClock) -> NewsParts:
    """Return the calendar to begin with, and who tells of a newer one."""
    match settings:
        case NoNewsSettings():
            return {}
        case NewsFileSettings():
            ages = isinstance(clock, SystemClock)  # a virtual one is not that of the file's host
            file = NewsFile(settings.path, settings.max_age_seconds if ages else 0.0)
            news, seconds = file.read(clock.now_ns()), settings.poll_seconds
            return {"news": news, "news_source": file, "news_seconds": seconds}
        case NewsFeedSettings():
            feed = NewsFeed(settings.url, settings.max_age_seconds, settings.timeout_seconds)
            seconds = settings.poll_seconds
            return {"news": NOTHING_TOLD, "news_source": feed, "news_seconds": seconds}
        case _:
            assert_never(settings)


async def _nothing_to_close() -> None:
    """Close a broker that holds nothing open."""


def _make_source(
    settings: FolderModelsSettings | MlflowModelsSettings, circuits: _Circuits
) -> BundleSource:
    match settings:
        case FolderModelsSettings():
            from online.adapters.bundle_folder import BundleFolder  # noqa: PLC0415 - in its arm

            return BundleFolder(settings.root)
        case MlflowModelsSettings():
            from online.adapters.mlflow_rest import DOWN, MlflowRegistry  # noqa: PLC0415 - in its arm

            circuit = circuits.make("mlflow", DOWN, essential=False)
            return MlflowRegistry(settings.url, settings.cache, settings.timeout_seconds, circuit)
        case _:
            assert_never(settings)


def _version() -> str:
    try:
        return version("sextant")
    except PackageNotFoundError:
        return "0+unknown"
