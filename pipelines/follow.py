"""The live feed: the terminal's ticks become bars, vectors and decisions, as they come.

1. New ticks are read through the gateway, each once, and judged as those of history are.
2. They close bars, with what quotes tell of them.
3. A bar updates the features, its own symbol's and those of the symbols it is a peer of; the vector
   is pushed to Redis through Feast and read back.
4. The scorer, where there is one, is asked to trade on it.
5. The bar goes to the lake, from which the next start goes on.

A bar with features across symbols waits until all of its peers' bars that close before it are
known, so that the order in which ticks are read changes no value. Where somebody else wrote the
series in the lake meanwhile, the streams are opened anew, so that a correction is seen.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from feature_repo.store import apply_definitions, open_store
from online.domain.errors import InvalidInput, SextantError, Unavailable
from online.domain.market import Bar, PriceSide, Timeframe
from pipelines.feature_steps import store_paths
from pipelines.home import Home
from pipelines.lake import Lake, Revision
from pipelines.live_bars import GRACE_NS, LiveBars
from pipelines.live_vectors import LiveVectors, split_peers
from pipelines.push import PushReceipt
from pipelines.quarantine import conflict_rows
from pipelines.sources.terminal_link import TerminalLink
from pipelines.sources.terminal_ticks import FEED
from pipelines.tick_bars import bars_frame

if TYPE_CHECKING:
    import pandas as pd
    from feast import FeatureStore

PEER_WAIT_NS = 2 * GRACE_NS
"""How long a bar that has come waits for its peers; then it has no values across symbols."""

_log = logging.getLogger(__name__)


class Trader(Protocol):
    """Who is asked to trade on a bar; see `pipelines.scorer_client.ScorerClient`."""

    def trade(self, symbol: str, timeframe: Timeframe, bar_closed_at_ns: int) -> dict[str, Any]:
        """Ask for a decision and for its order to be sent."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What became of a closed bar.

    Parameters
    ----------
    symbol, bar
        The bar, and whose it is.
    receipt
        What the online store holds of it; None if it was not pushed.
    decision
        The scorer's answer; None if none was asked or none came.
    """

    symbol: str
    bar: Bar
    receipt: PushReceipt | None = None
    decision: dict[str, Any] | None = None


class LiveFeed:
    """Follows symbols of a terminal.

    Parameters
    ----------
    home
        Its lake, feature store and online store are used.
    link
        To the gateway.
    symbols, timeframe
        What is followed. A symbol has features across symbols if all of its peers are among them.
    now_ns
        The clock, UTC nanoseconds.
    project
        Feast's name space.
    trader
        Asked to trade on every pushed bar; None for nobody.

    Raises
    ------
    InvalidInput
        With code ``NOTHING_TO_FOLLOW`` if no symbol is named.
    """

    def __init__(
        self,
        home: Home,
        link: TerminalLink,
        symbols: Sequence[str],
        timeframe: Timeframe,
        now_ns: Callable[[], int],
        project: str = "sextant",
        trader: Trader | None = None,
    ) -> None:
        if not symbols:
            raise InvalidInput("expected a symbol to follow, got none", code="NOTHING_TO_FOLLOW")
        self._home, self._lake = home, Lake(home.lake)
        self._timeframe, self._now_ns = timeframe, now_ns
        self._project, self._trader = project, trader
        self._store: FeatureStore | None = None
        self._lines = {
            symbol: _Line(
                LiveBars(self._lake, link, symbol, timeframe, now_ns),
                LiveVectors(
                    *(self._lake, symbol, timeframe),
                    split_peers(symbol, symbols)[0],
                    self._opened_store,
                ),
            )
            for symbol in dict.fromkeys(symbols)
        }

    @property
    def left_out(self) -> Counter[str]:
        """Ticks that were not fit, by reason; an ingestion of the day keeps them in quarantine."""
        return sum((line.bars.left_out for line in self._lines.values()), Counter[str]())

    def poll(self) -> list[Followed]:
        """Read what is new; return the bars that were answered, oldest first.

        The first poll catches up: of a symbol's bars only the newest is pushed and traded on.

        Raises
        ------
        Unavailable
            If the gateway or its terminal does not answer and no bar was followed; nothing is
            lost, the next poll asks for the same ticks.
        InvalidMarketData
            With code ``CLOCK_CONTRADICTED`` if the gateway is set to another clock than the
            terminal's.
        """
        failures = [self._read(symbol) for symbol in self._lines]
        followed = [each for symbol in self._lines for each in self._catch_up(symbol)]
        while (symbol := self._next()) is not None:
            followed.append(self._follow(symbol))
        self._keep()
        for failure in failures:
            if failure is not None and not followed:
                raise failure
        return followed

    def _read(self, symbol: str) -> Unavailable | None:
        """Read a symbol's new bars, for itself and for those it is a peer of; return a failure."""
        line = self._lines[symbol]
        try:
            closed = line.bars.read()
        except Unavailable as error:
            _log.warning("%s is not read: %s: %s", symbol, error.code, error)
            return error
        line.unkept += closed
        line.waiting.extend((bar, self._now_ns()) for bar in closed)
        for each in self._lines.values():
            if symbol in each.vectors.peers:
                each.vectors.take(symbol, closed)
        return None

    def _catch_up(self, symbol: str) -> list[Followed]:
        """Pass over all but the newest bar until one has been pushed."""
        line, passed = self._lines[symbol], []
        while not line.has_begun and len(line.waiting) > 1:
            passed.append(Followed(symbol, line.waiting.popleft()[0]))
        return passed

    def _next(self) -> str | None:
        """Return whose bar is to be answered next: of those that need not wait, the oldest."""
        now_ns = self._now_ns()
        heads = [
            (line.waiting[0][0].closed_at_ns, symbol)
            for symbol, line in self._lines.items()
            if line.waiting
            and (self._knows_peers(line) or now_ns - line.waiting[0][1] >= PEER_WAIT_NS)
        ]
        return min(heads)[1] if heads else None

    def _knows_peers(self, line: _Line) -> bool:
        """Tell whether every peer's bar that closes before a symbol's next one is there."""
        closed_at_ns = line.waiting[0][0].closed_at_ns
        peers = [self._lines[name] for name in line.vectors.peers]
        return all(peer.bars.complete_before_ns >= closed_at_ns for peer in peers)

    def _follow(self, symbol: str) -> Followed:
        """Push a bar's vector and ask for a decision; what fails is told, and the feed goes on."""
        line = self._lines[symbol]
        bar, knows_peers = line.waiting[0][0], self._knows_peers(line)
        if line.vectors.is_open and self._is_revised(line):
            _log.warning("%s: the lake was written meanwhile, its streams are opened anew", symbol)
            line.vectors.close()
        if not line.vectors.is_open:
            self._open(symbol, bar)
        line.waiting.popleft()
        line.has_begun = True
        if knows_peers:
            for name in line.vectors.peers:
                self._lines[name].bars.seal(bar.closed_at_ns)
        else:
            _log.warning("%s bar %d: its peers are not known in time", symbol, bar.closed_at_ns)
        try:
            receipt = line.vectors.push(bar, peers_known=knows_peers)
        except SextantError as error:
            if not isinstance(error, Unavailable):
                line.vectors.close()
            place = f"{symbol} bar {bar.closed_at_ns}"
            _log.warning("%s is not served: %s: %s. %s", place, error.code, error, error.remedy)
            return Followed(symbol, bar)
        if self._trader is None:
            return Followed(symbol, bar, receipt)
        try:
            decision = self._trader.trade(symbol, self._timeframe, bar.closed_at_ns)
        except SextantError as error:  # it does not answer, or it refuses
            _log.warning(
                "%s bar %d is not traded on: %s: %s", symbol, bar.closed_at_ns, error.code, error
            )
            return Followed(symbol, bar, receipt)
        return Followed(symbol, bar, receipt, decision)

    def _open(self, symbol: str, bar: Bar) -> None:
        """Open a symbol's streams on the lake before a bar."""
        self._keep()
        line = self._lines[symbol]
        line.seen = {
            name: self._lake.revision(name, self._timeframe)
            for name in (symbol, *line.vectors.peers)
        }
        line.vectors.open(bar)

    def _is_revised(self, line: _Line) -> bool:
        """Tell whether somebody else wrote what a symbol's streams were opened on."""
        return any(
            self._lake.revision(name, self._timeframe) != seen for name, seen in line.seen.items()
        )

    def _opened_store(self) -> FeatureStore:
        """Return the feature store, opened and with its views applied once."""
        if self._store is None:
            paths = store_paths(self._home)
            self._store = open_store(paths, self._project)
            apply_definitions(self._store, paths.offline_root, [self._timeframe])
        return self._store

    def _keep(self) -> None:
        """Write the bars that closed to the lake."""
        for symbol, line in self._lines.items():
            if not line.unkept:
                continue
            frame, before = bars_frame(line.unkept), self._lake.revision(symbol, self._timeframe)
            place = (symbol, self._timeframe, PriceSide.BID)
            written = self._lake.write_bars(*place, frame, f"ticks:{FEED}")
            line.unkept.clear()
            after = self._lake.revision(symbol, self._timeframe)
            for each in self._lines.values():
                if symbol in each.seen and len(written.conflicting):
                    each.seen[symbol] = None
                elif each.seen.get(symbol) == before:
                    each.seen[symbol] = after
            if len(written.conflicting):
                self._quarantine(symbol, written.conflicting)

    def _quarantine(self, symbol: str, refused: pd.DataFrame) -> None:
        """Keep the bars that differ from those in the lake, which stay, as an ingestion does."""
        source = f"ticks:{FEED}"
        rows = conflict_rows(refused, source, range(1, len(refused) + 1))
        digest = hashlib.sha256("".join(rows["raw_text"]).encode()).hexdigest()[:12]
        name = f"{symbol}-{self._timeframe}-live-{digest}"
        kept = self._lake.write_quarantine(symbol, self._timeframe, name, rows)
        _log.warning("%d bars of %s differ from the lake's: %s", len(refused), symbol, kept)


class _Line:
    """One followed symbol: its bars, its vectors, and what is still to be done with the bars."""

    def __init__(self, bars: LiveBars, vectors: LiveVectors) -> None:
        self.bars, self.vectors = bars, vectors
        self.waiting: deque[tuple[Bar, int]] = deque()
        self.unkept: list[Bar] = []
        self.has_begun = False
        self.seen: dict[str, Revision | None] = {}
