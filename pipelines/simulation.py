"""The backtest itself: the scorer's own trading code, driven over a market in process.

Nothing is simulated twice: `online.trade` decides, `online.domain.risk` refuses, the simulated
terminal fills, and a journal records every decision, exactly as live.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from feature_repo.window import pack_last
from online.adapters.clocks import VirtualClock
from online.adapters.memory_journal import MemoryJournal
from online.adapters.simulated_broker import SimulatedBroker
from online.domain.account import Deal
from online.domain.book import Book
from online.domain.limits import Limits
from online.domain.market import Instrument
from online.domain.record import Record, Request
from online.domain.vector import VectorContract, VectorReading
from online.ports import Model
from online.simulator.terminal import SimulatedTerminal
from online.trade import Desk, consider, run_to_completion
from pipelines.market import Market
from pipelines.performance import Performance, measure

_BLOCK_ROWS = 4096


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


class ColumnReader:
    """Feature reader over batch columns: at any instant it holds the newest row, as Redis does.

    Parameters
    ----------
    stamps_ns
        Bar closes, shape ``(n_bars,)``, increasing.
    columns
        Float32 of shape ``(n_bars,)`` by feature name.
    clock
        Tells which row is the newest.
    """

    def __init__(
        self,
        stamps_ns: npt.NDArray[np.int64],
        columns: Mapping[str, npt.NDArray[np.float32]],
        clock: VirtualClock,
    ) -> None:
        self._stamps_ns: list[int] = stamps_ns.tolist()
        self._columns = columns
        self._clock = clock
        self._row = -1
        self._block = -1
        self._rows: list[tuple[float | None, ...]] = []
        self._vectors: npt.NDArray[np.float32] = np.empty((0, 0), np.float32)
        self._contract: VectorContract | None = None

    async def read(self, symbol: str, contract: VectorContract) -> VectorReading:  # noqa: ARG002
        """Return the newest row; one symbol is held, so it is not looked at."""
        if contract is not self._contract:
            self._contract, self._block = contract, -1
            if contract.window is not None:
                windowed = [self._columns[name] for name in contract.window.features]
                self._vectors = np.stack(windowed, axis=1)
        row = self._newest(self._clock.now_ns())
        if row < 0:
            return VectorReading((None,) * len(contract.names), (None,) * len(contract.views))
        block = row // _BLOCK_ROWS
        if block != self._block:
            self._open(block, contract)
        values, stamp_ns = self._rows[row % _BLOCK_ROWS], self._stamps_ns[row]
        if contract.window is None:
            return VectorReading(values, (stamp_ns,) * len(contract.views))
        packed = pack_last(self._vectors[: row + 1], contract.window.length)
        stamp = None if packed is None else stamp_ns  # Redis then holds none, or an older bar's
        return VectorReading(values, (stamp_ns,) * len(contract.views), packed, stamp)

    def _newest(self, now_ns: int) -> int:
        """Return the place of the newest row, -1 before the first; mostly it is the next one."""
        stamps_ns, upcoming = self._stamps_ns, self._row + 1
        if upcoming < len(stamps_ns) and stamps_ns[upcoming] <= now_ns:
            self._row = bisect_right(stamps_ns, now_ns, upcoming, upcoming + 2) - 1
            if self._row == upcoming + 1:
                self._row = bisect_right(stamps_ns, now_ns, upcoming) - 1
        return self._row

    def _open(self, block: int, contract: VectorContract) -> None:
        """Turn some rows into tuples: all at once they would need many times the arrays' memory."""
        part = slice(block * _BLOCK_ROWS, (block + 1) * _BLOCK_ROWS)
        matrix = np.stack([self._columns[name][part] for name in contract.names], axis=1)
        self._rows = list(map(tuple, matrix.tolist()))
        for place in np.flatnonzero(np.isnan(matrix).any(axis=1)).tolist():
            row = self._rows[place]
            self._rows[place] = tuple([None if math.isnan(value) else value for value in row])  # type: ignore[arg-type] # no None yet
        self._block = block


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a simulation left behind.

    Attributes
    ----------
    records
        The journal, oldest first.
    late_deals
        Fills after the last decision.
    performance
        The figures.
    """

    records: tuple[Record, ...]
    late_deals: tuple[Deal, ...]
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
    """Trade a market with a model and return the journal and its figures.

    The decision about a bar is taken at the first price after its close, the next bar's open.

    Parameters
    ----------
    market
        Bars with both sides.
    stamps_ns, columns
        Batch features, as `ColumnReader`.
    model
        Scores the vectors; a trained bundle or a rule.
    limits, terms
        Risk limits and the account.
    instruments
        By symbol.
    progress
        Called with 1 after each decision.
    """
    clock, journal = VirtualClock(), MemoryJournal()
    terminal = SimulatedTerminal(
        instruments, terms.currency, terms.balance, terms.commission_per_lot, terms.leverage
    )
    desk = Desk(
        features=ColumnReader(stamps_ns, columns, clock),
        broker=SimulatedBroker(terminal, clock),
        journal=journal,
        clock=clock,
        model=model,
        limits=limits,
        instruments=instruments,
        book=Book(),
        currency=terms.currency,
    )
    symbol, timeframe = market.instrument.symbol, market.timeframe
    terminal.begin_bar(symbol, market.quotes[0])
    for finished, upcoming in pairwise(market.quotes):
        terminal.finish_bar(symbol, finished)
        terminal.begin_bar(symbol, upcoming)
        clock.set(upcoming.opened_at_ns)
        request = Request(symbol, timeframe, finished.closed_at_ns, send=True)
        run_to_completion(consider(request, desk))
        if progress is not None:
            progress(1)
    last = market.quotes[-1]
    terminal.finish_bar(symbol, last)
    records = tuple(journal.records())
    late = terminal.deals_after(desk.book.last_deal)
    end = (last.closed_at_ns, terminal.account().equity)
    return Backtest(records, late, measure(records, terms.balance, late, end))
