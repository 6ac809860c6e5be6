"""Meters: what Prometheus reads, and the ports wrapped in stopwatches.

Stages of a decision: features, score, judge, journal, broker and total. Judging is what lies
between the last fact and the journal, scoring left out.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from itertools import accumulate
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Info, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from online.domain.breaker import Breaker, BreakerState
from online.domain.errors import JournalUnavailable
from online.domain.manifest import Manifest
from online.domain.operation import Operation
from online.domain.order import Intent, OrderReply
from online.domain.reconciliation import Finding, FindingKind, Statement
from online.domain.record import Record
from online.domain.signal import MemberOutput
from online.domain.trading_state import TradingState
from online.domain.vector import VectorContract, VectorReading
from online.ports import Broker, FeatureReader, Journal, Model, Observation
from online.trade import Outcome

STAGES = ("features", "score", "judge", "journal", "broker", "total")
_BUCKETS = (
    *(n * 1e-6 for n in (10, 25, 50, 100, 250, 500)),
    *(n * 1e-3 for n in (1, 2.5, 5, 10, 25, 50, 100, 250, 1000, 5000)),
)


class _Lap:
    """Stopwatch of one request."""

    __slots__ = ("facts_at", "scored")

    def __init__(self) -> None:
        self.facts_at = 0.0
        self.scored = 0.0


_LAP: ContextVar[_Lap] = ContextVar("lap")


class StageTimes:
    """Histogram of one stage, written by the event loop alone: a tenth of a general one's cost."""

    __slots__ = ("counts", "total_seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(_BUCKETS) + 1)
        self.total_seconds = 0.0

    def observe(self, seconds: float) -> None:
        """Count a time."""
        self.counts[bisect_left(_BUCKETS, seconds)] += 1
        self.total_seconds += seconds


class _StageCollector(Collector):
    """Shows the stages to Prometheus."""

    def __init__(self, stages: Mapping[str, StageTimes]) -> None:
        self._stages = stages

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the stages' histograms as they are now."""
        family = HistogramMetricFamily(
            "sextant_stage_seconds", "Time a stage of a decision took.", labels=["stage"]
        )
        bounds = (*(repr(bound) for bound in _BUCKETS), "+Inf")
        for name, times in self._stages.items():
            cumulative = list(zip(bounds, accumulate(times.counts), strict=True))
            family.add_metric([name], cumulative, times.total_seconds)
        yield family


class _BreakerCollector(Collector):
    """Shows the breakers to Prometheus."""

    def __init__(self, breakers: Sequence[Breaker]) -> None:
        self._breakers = breakers

    def collect(self) -> Iterator[Metric]:
        """Yield state and count of openings of each."""
        state = GaugeMetricFamily(
            "sextant_circuit_state", "0 closed, 1 half-open, 2 open.", labels=["system"]
        )
        opened = CounterMetricFamily(
            "sextant_circuit_opened", "How often a circuit has opened.", labels=["system"]
        )
        for breaker in self._breakers:
            state.add_metric([breaker.name], list(BreakerState).index(breaker.state))
            opened.add_metric([breaker.name], breaker.opened)
        yield state
        yield opened


class Meters:
    """Counters and histograms of one scorer, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._decisions = Counter(
            "sextant_decisions", "Decisions taken.", ["action"], registry=self.registry
        )
        self._vetoes = Counter(
            "sextant_vetoes", "Rules that refused.", ["reason"], registry=self.registry
        )
        self._orders = Counter(
            "sextant_orders", "Orders sent, by fate.", ["status"], registry=self.registry
        )
        self._operations = Counter(
            "sextant_operations",
            "Operations on positions and orders, by fate.",
            ["operation", "status"],
            registry=self.registry,
        )
        self._problems = Counter(
            "sextant_http_problems", "HTTP errors answered.", ["code"], registry=self.registry
        )
        self._refusals = Counter(
            "sextant_model_refusals",
            "Models that an alias asked for and that were refused.",
            ["code"],
            registry=self.registry,
        )
        self.stage = {name: StageTimes() for name in STAGES}
        self.registry.register(_StageCollector(self.stage))
        self._halted = Gauge(
            "sextant_halted", "1 while not everything is let through.", registry=self.registry
        )
        self._trading = Gauge(
            "sextant_trading_state", "0 active, 1 reducing, 2 halted.", registry=self.registry
        )
        self._told_trading: TradingState | None = None
        self._limits_refused = Gauge(
            "sextant_limits_refused",
            "1 while the stated limits are wrong and the old ones stay.",
            registry=self.registry,
        )
        self._rounds = Counter(
            "sextant_reconciliations", "Rounds of journal against broker.", ["outcome"],
            registry=self.registry,
        )  # fmt: skip
        self._round_seconds = Gauge(
            "sextant_reconciliation_seconds", "Duration of the last.", registry=self.registry
        )
        self._agreed = Gauge(
            "sextant_reconciled", "1 while journal and broker agree.", registry=self.registry
        )
        self._findings = Gauge(
            "sextant_reconciliation_findings", "Differences that stand.", ["kind"],
            registry=self.registry,
        )  # fmt: skip
        self._model = Info("sextant_model", "The model that trades.", registry=self.registry)
        self._differs = True
        self._by_action: dict[str, Counter] = {}
        self._by_reason: dict[str, Counter] = {}

    def watch_breakers(self, breakers: Sequence[Breaker]) -> None:
        """Show how the circuits of outside systems stand."""
        self.registry.register(_BreakerCollector(breakers))

    def begin(self) -> float:
        """Start a request's stopwatch."""
        _LAP.set(_Lap())
        return perf_counter()

    def count_outcome(self, outcome: Outcome, started: float) -> None:
        """Count a decision, its vetoes and its order."""
        action = outcome.record.decision.action.value
        counter = self._by_action.get(action)
        if counter is None:
            counter = self._by_action[action] = self._decisions.labels(action)
        counter.inc()
        for veto in (*outcome.record.decision.reasons, *outcome.record.vetoes):
            reason = veto.reason.value
            counter = self._by_reason.get(reason)
            if counter is None:
                counter = self._by_reason[reason] = self._vetoes.labels(reason)
            counter.inc()
        if outcome.reply is not None:
            self._orders.labels(outcome.reply.status.value).inc()
        self.stage["total"].observe(perf_counter() - started)

    def count_operation(self, operation: Operation, reply: OrderReply) -> None:
        """Count an operator's operation, or a trailing rule's."""
        self._operations.labels(type(operation).__name__.lower(), reply.status.value).inc()

    def count_problem(self, code: str) -> None:
        """Count an HTTP error."""
        self._problems.labels(code).inc()

    def count_refusal(self, code: str) -> None:
        """Count a model that was asked for and refused."""
        self._refusals.labels(code).inc()

    def tell_model(self, name: str, alias: str, version: str, sha256: str) -> None:
        """Show which model trades."""
        self._model.info({"name": name, "alias": alias, "version": version, "sha256": sha256})

    def tell_trading(self, state: TradingState) -> None:
        """Show what is let through."""
        if state is self._told_trading:
            return  # it is told after every decision
        self._told_trading = state
        self._halted.set(0.0 if state is TradingState.ACTIVE else 1.0)
        self._trading.set(list(TradingState).index(state))

    def tell_limits(self, *, refused: bool) -> None:
        """Show whether the stated limits are refused and the old ones in force."""
        self._limits_refused.set(1.0 if refused else 0.0)

    def count_round(self, outcome: str, seconds: float) -> None:
        """Count a round of reconciliation."""
        self._rounds.labels(outcome).inc()
        if seconds:
            self._round_seconds.set(seconds)

    def tell_findings(self, findings: tuple[Finding, ...], *, agreed: bool) -> None:
        """Show on what journal and broker differ."""
        self._agreed.set(1.0 if agreed else 0.0)
        if findings or self._differs:
            kinds = [finding.kind for finding in findings]
            for kind in FindingKind:
                self._findings.labels(kind.value).set(kinds.count(kind))
        self._differs = bool(findings)

    def render(self) -> bytes:
        """Return Prometheus' text format."""
        return generate_latest(self.registry)


class TimedFeatures:
    """Feature reader with a stopwatch; where facts end and judging begins."""

    def __init__(self, inner: FeatureReader, meters: Meters) -> None:
        self._read = inner.read
        self._histogram = meters.stage["features"]

    async def read(self, symbol: str, contract: VectorContract) -> VectorReading:
        """Return what the store holds."""
        started = perf_counter()
        try:
            return await self._read(symbol, contract)
        finally:
            ended = perf_counter()
            self._histogram.observe(ended - started)
            lap = _LAP.get(None)
            if lap is not None:
                lap.facts_at = ended


class TimedBroker:
    """Broker with a stopwatch."""

    def __init__(self, inner: Broker, meters: Meters) -> None:
        self.inner = inner
        self._histogram = meters.stage["broker"]

    async def observe(
        self, symbol: str, after_deal: int, pairs: tuple[str, ...] = ()
    ) -> Observation:
        """Return quote, account, positions, new deals and the quotes of conversion pairs."""
        started = perf_counter()
        try:
            return await self.inner.observe(symbol, after_deal, pairs)
        finally:
            self._histogram.observe(perf_counter() - started)

    async def statement(self, since_ns: int) -> Statement:
        """Return the whole account, with the deals since an instant."""
        return await self.inner.statement(since_ns)

    async def send(self, intent: Intent) -> OrderReply:
        """Send an order, once."""
        started = perf_counter()
        try:
            return await self.inner.send(intent)
        finally:
            self._histogram.observe(perf_counter() - started)

    async def find(self, intent: Intent) -> OrderReply | None:
        """Return the fate of an order sent earlier."""
        return await self.inner.find(intent)


class TimedJournal:
    """Journal with a stopwatch; where judging ends."""

    def __init__(self, inner: Journal, meters: Meters) -> None:
        self.inner = inner
        self._append = inner.append
        self._journal = meters.stage["journal"]
        self._judge = meters.stage["judge"]
        self.trouble = ""

    async def append(self, *records: Record, durable: bool = True) -> None:
        """Append records together."""
        started = perf_counter()
        lap = _LAP.get(None)
        if lap is not None and lap.facts_at:
            self._judge.observe(started - lap.facts_at - lap.scored)
            lap.facts_at = 0.0
        try:
            await self._append(*records, durable=durable)
        except JournalUnavailable as error:
            self.trouble = str(error)
            raise
        self.trouble = ""
        self._journal.observe(perf_counter() - started)


class TimedModel:
    """Model with a stopwatch."""

    def __init__(self, inner: Model, meters: Meters) -> None:
        self._score = inner.score
        self._histogram = meters.stage["score"]
        self.manifest: Manifest = inner.manifest
        self.sha256: str = inner.sha256
        self.alias: str = inner.alias

    def score(
        self, values: tuple[float, ...], window: bytes | None = None
    ) -> tuple[MemberOutput, ...]:
        """Return every member's raw output."""
        started = perf_counter()
        outputs = self._score(values, window)
        took = perf_counter() - started
        self._histogram.observe(took)
        lap = _LAP.get(None)
        if lap is not None:
            lap.scored += took
        return outputs
