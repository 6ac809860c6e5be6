"""What the composition root opens for a scorer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypedDict

from online.adapters.bundle_source import BundleSource
from online.adapters.clocks import VirtualClock
from online.api.loading import Loader
from online.api.matching import MatchedFeatures
from online.api.metrics import TimedJournal
from online.api.news_watch import NewsSource
from online.api.safety import LimitsSource
from online.domain.account import AccountIdentity
from online.domain.book import Book
from online.domain.breaker import Breaker
from online.domain.limits import Limits
from online.domain.market import Instrument
from online.domain.news import NO_NEWS, NewsCalendar
from online.domain.record import Record
from online.ports import Broker, Clock, FeatureReader
from online.reconciler import ReconciliationRules
from online.simulator.terminal import SimulatedTerminal


class Pingable(Protocol):
    """An outside system that can be asked for a sign of life."""

    async def ping(self) -> None:
        """Raise `Unavailable` if it gives none."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """What the replaying feed moves; there in replay mode alone."""

    terminal: SimulatedTerminal
    clock: VirtualClock


class NewsParts(TypedDict, total=False):
    """What the parts hold of news."""

    news: NewsCalendar
    news_source: NewsSource
    news_seconds: float


@dataclass(slots=True)
class Parts:
    """What the composition root opened.

    Parameters
    ----------
    mode
        ``replay``, ``paper`` or ``live``.
    features, broker, journal, clock, book, limits, currency, instruments, strategy
        As `online.trade.Desk` needs them.
    store
        Tells whether the online store lives.
    source, model_name, model_alias
        Where the model comes from and which it is.
    simulation
        None outside replay mode.
    read_decision
        Reads a decision's records from the journal.
    trust
        Folder of the public keys whose certificates count; None asks for none.
    fallback
        Manifest by which the rules decide where no model can be loaded; never in mode live.
    matched
        Keeps from the model what is made otherwise than it learnt; None where nobody does.
    reconciliation
        How often journal and broker are compared.
    breakers
        Of the outside systems.
    identify
        Tells whose account is traded; None where that is not compared with the journal's.
    limits_source
        Where changed limits are read; None where they do not change.
    news, news_source, news_seconds
        The calendar, who tells of a newer one and how often it is asked; None for nobody.
    """

    mode: str
    features: FeatureReader
    broker: Broker
    journal: TimedJournal
    clock: Clock
    book: Book
    limits: Limits
    currency: str
    instruments: Mapping[str, Instrument]
    strategy: int
    store: Pingable
    source: BundleSource
    model_name: str
    model_alias: str
    simulation: Simulation | None
    read_decision: Callable[[str], Iterable[Record]]
    trust: Path | None = None
    fallback: Path | None = None
    matched: MatchedFeatures | None = None
    reconciliation: ReconciliationRules = field(default_factory=ReconciliationRules)
    breakers: Sequence[Breaker] = ()
    identify: Callable[[], Awaitable[AccountIdentity]] | None = None
    limits_source: LimitsSource | None = None
    news: NewsCalendar = NO_NEWS
    news_source: NewsSource | None = None
    news_seconds: float = 60.0

    @property
    def loader(self) -> Loader:
        """What gets the model behind the alias."""
        asked = (self.source, self.model_name, self.model_alias)
        return Loader(*asked, self.trust, self.matched, self.fallback)
