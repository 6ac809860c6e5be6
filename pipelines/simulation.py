"""The backtest itself: the scorer's own trading code, driven over markets in process.

Nothing is simulated twice: `online.trade` decides, `online.domain.risk` refuses, the simulated
terminal fills, and a journal records every decision, exactly as live.

Several symbols share one account, one clock, one journal and one set of limits. What happens at one
instant happens in this order: bars that close end, bars that open begin, decisions are taken; of
several symbols in the alphabet's order, of bars that closed before in the order they closed.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from online.adapters.clocks import VirtualClock
from online.adapters.memory_journal import MemoryJournal
from online.adapters.simulated_broker import SimulatedBroker
from online.domain.book import Book
from online.domain.errors import InvalidInput
from online.domain.limits import Limits
from online.domain.market import Instrument
from online.domain.news import NO_NEWS, NewsCalendar
from online.domain.record import Record, Request
from online.instruments import charge
from online.ports import Model
from online.simulator.bars import BidAskBar
from online.simulator.rules import AccountRules
from online.simulator.server_time import NEW_YORK_CLOSE
from online.simulator.terminal import SimulatedTerminal
from online.trade import Desk, Outcome, consider, run_to_completion
from pipelines.column_reader import ColumnReader
from pipelines.market import Market
from pipelines.performance import Performance, measure

_NEVER_NS = 2**63 - 1
_CLOSING = attrgetter("closes_at_ns")


@dataclass(frozen=True, slots=True)
class AccountTerms:
    """The simulated account, in its currency.

    Parameters
    ----------
    currency
        Of all amounts.
    balance
        First deposit (> 0).
    commission_per_lot
        For each side of a trade (>= 0).
    leverage
        Notional a unit of margin carries (> 0).
    """

    currency: str
    balance: float
    commission_per_lot: float
    leverage: float

    @property
    def rules(self) -> AccountRules:
        """The same as the broker's agreement; its nights end with New York's close."""
        return AccountRules(
            currency=self.currency,
            commission_per_lot=self.commission_per_lot,
            leverage=self.leverage,
            zone=NEW_YORK_CLOSE,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """One symbol of a backtest: what it is traded on and by which model.

    Parameters
    ----------
    market
        Bars with both sides.
    stamps_ns, columns
        Batch features, as `ColumnReader`.
    model
        Scores the vectors; a trained bundle or a rule.
    """

    market: Market
    stamps_ns: npt.NDArray[np.int64]
    columns: Mapping[str, npt.NDArray[np.float32]]
    model: Model


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a simulation left behind.

    Attributes
    ----------
    records
        The journal, oldest first.
    performance
        The figures.
    """

    records: tuple[Record, ...]
    performance: Performance


def simulate(
    market: Market,
    stamps_ns: npt.NDArray[np.int64],
    columns: Mapping[str, npt.NDArray[np.float32]],
    model: Model,
    limits: Limits,
    terms: AccountTerms,
    instruments: Mapping[str, Instrument],
    progress: Callable[[int], None] | None = None,
) -> Backtest:
    """Trade one market with a model; see `simulate_portfolio`."""
    lane = Lane(market, stamps_ns, columns, model)
    return simulate_portfolio([lane], limits, terms, instruments, progress)


@contextmanager
def _garbage_left_alone() -> Iterator[None]:
    """Collect none: a run makes no cycles, and its records are many to walk over and over."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@_garbage_left_alone()
def simulate_portfolio(
    lanes: Sequence[Lane],
    limits: Limits,
    terms: AccountTerms,
    instruments: Mapping[str, Instrument],
    progress: Callable[[int], None] | None = None,
    *,
    quoted: Sequence[Market] = (),
    news: NewsCalendar = NO_NEWS,
    charged: Mapping[str, Instrument] | None = None,
) -> Backtest:
    """Trade markets, each with its model, on one account and return the journal and its figures.

    The decision about a bar is taken at the first price after its close, the next bar's open.

    Parameters
    ----------
    lanes
        At least one; no two of the same symbol.
    limits, terms
        Risk limits and the account; they bind all symbols together.
    instruments
        By symbol.
    progress
        Called with 1 after each decision.
    quoted
        Markets that are not traded: their quotes convert currencies.
    news
        Events that forbid entries.
    charged
        What the broker charges by, where that is not what is declared and entries are sized by.

    Raises
    ------
    InvalidInput
        If there is no lane, or two models trade one symbol: its position has one owner.
    """
    symbols = [lane.market.instrument.symbol for lane in lanes]
    if not lanes or len(set(symbols)) < len(symbols):
        raise InvalidInput(
            f"a backtest needs at least one model and one a symbol, got {symbols}",
            code="ONE_MODEL_A_SYMBOL",
        )
    clock, journal, book = VirtualClock(), MemoryJournal(), Book()
    known = charge(instruments, terms.commission_per_lot)
    terminal = SimulatedTerminal(charged or known, balance=terms.balance, rules=terms.rules)
    broker = SimulatedBroker(terminal, clock)
    tracks = [_Track(market) for market in quoted if market.instrument.symbol not in symbols]
    for lane in lanes:
        desk = Desk(
            features=ColumnReader(lane.stamps_ns, lane.columns, clock),
            broker=broker,
            journal=journal,
            clock=clock,
            model=lane.model,
            limits=limits,
            instruments=known,
            book=book,
            currency=terms.currency,
            news=news,
        )
        tracks.append(_Track(lane.market, desk))
    tracks.sort(key=lambda track: track.market.instrument.symbol)
    run_to_completion(_trade(tracks, terminal, clock, progress))
    end_ns = max(track.market.quotes[-1].closed_at_ns for track in tracks)
    _finish(terminal, tracks, end_ns)
    records = tuple(journal.records())
    late = terminal.deals_after(book.last_deal)
    end = (end_ns, terminal.account().equity)
    return Backtest(records, measure(records, terms.balance, late, end))


class _Track:
    """A market under way: which of its bars is open, and which was finished last.

    Attributes
    ----------
    closes_at_ns
        When the open bar closes; later than ever while none is open.
    """

    __slots__ = (
        "_bars",
        "_desk",
        "_finished_ns",
        "_open",
        "_symbol",
        "_timeframe",
        "closes_at_ns",
        "market",
    )

    def __init__(self, market: Market, desk: Desk | None = None) -> None:
        self.market = market
        self.closes_at_ns = _NEVER_NS
        self._open: BidAskBar | None = None
        self._symbol, self._timeframe = market.instrument.symbol, market.timeframe
        self._finished_ns = 0
        self._bars = iter(market.quotes)
        self._desk = desk

    def begin(self, terminal: SimulatedTerminal) -> None:
        """Open the next bar; the terminal refuses one that opens before the last has closed."""
        if self._open is not None:
            self.finish(terminal)
        bar = next(self._bars)
        terminal.begin_bar(self._symbol, bar)
        self._open, self.closes_at_ns = bar, bar.closed_at_ns

    def finish(self, terminal: SimulatedTerminal) -> None:
        """Close the open bar."""
        bar = self._open
        if bar is not None:
            self._open, self.closes_at_ns = None, _NEVER_NS
            terminal.finish_bar(self._symbol, bar)
            self._finished_ns = bar.closed_at_ns

    def story(self) -> Coroutine[None, None, Outcome] | None:
        """Return the decision about the bar that was finished last; None where there is none."""
        if not self._finished_ns or self._desk is None:
            return None
        request = Request(self._symbol, self._timeframe, self._finished_ns, True)  # noqa: FBT003 - by place, which is quicker
        return consider(request, self._desk)


async def _trade(
    tracks: Sequence[_Track],
    terminal: SimulatedTerminal,
    clock: VirtualClock,
    progress: Callable[[int], None] | None,
) -> None:
    """Drive the markets from their first bar to their last; one story of all decisions."""
    several = len(tracks) > 1  # a bar that opens ends its own market's last: nobody waits for it
    for at_ns, opening in _instants(tracks):
        if several:
            _finish(terminal, tracks, at_ns)
        for track in opening:
            track.begin(terminal)
        clock.set(at_ns)
        for track in opening:
            story = track.story()
            if story is not None:
                await story
                if progress is not None:
                    progress(1)


def _finish(terminal: SimulatedTerminal, tracks: Sequence[_Track], until_ns: int) -> None:
    """Close every bar that closes up to an instant, those that closed first at first."""
    for track in sorted(tracks, key=_CLOSING):  # those at one instant stay in their order
        if track.closes_at_ns <= until_ns:
            track.finish(terminal)


def _instants(tracks: Sequence[_Track]) -> Iterator[tuple[int, Sequence[_Track]]]:
    """Yield every instant at which bars open, with the tracks whose bars they are."""
    if len(tracks) == 1:
        for bar in tracks[0].market.quotes:
            yield bar.opened_at_ns, tracks
        return
    opened = [[bar.opened_at_ns for bar in track.market.quotes] for track in tracks]
    stamps_ns = np.concatenate([np.array(each, np.int64) for each in opened])
    places = np.repeat(np.arange(len(tracks)), [len(each) for each in opened])
    order = np.lexsort((places, stamps_ns))
    rows = zip(stamps_ns[order].tolist(), places[order].tolist(), strict=True)
    for at_ns, group in groupby(rows, key=lambda row: row[0]):
        yield at_ns, [tracks[place] for _, place in group]
