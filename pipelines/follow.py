"""The live feed: the terminal's ticks become bars, vectors and decisions, as they come.

1. New ticks are read through the gateway, each once, and judged as those of history are.
2. They close bars, with what quotes tell of them.
3. A bar updates the features; the vector is pushed to Redis through Feast and read back.
4. The scorer, where there is one, is asked to trade on it.
5. The bar goes to the lake, from which the next start goes on.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from feature_repo.bars import BarArrays
from feature_repo.catalogue import served
from feature_repo.panel import Panel
from feature_repo.store import apply_definitions, open_store
from feature_repo.vector import VectorStream
from feature_repo.window import WindowStreams
from feature_repo.windows import served_windows, vectors_before
from online.domain.errors import Unavailable
from online.domain.market import Bar, PriceSide, Timeframe
from online.instruments import find_instrument
from pipelines.feature_history import load_history
from pipelines.feature_steps import store_paths
from pipelines.home import Home
from pipelines.lake import Lake
from pipelines.push import PushReceipt, VectorPusher
from pipelines.quality import SCALE_FACTOR_MAX
from pipelines.quality_gaps import calendar_of
from pipelines.quality_ticks import judge_ticks
from pipelines.resample import bar_close
from pipelines.sources.raw import Fault
from pipelines.sources.terminal_link import TerminalLink
from pipelines.sources.terminal_ticks import FEED, TickReader, raw_ticks
from pipelines.tick_bars import TickBarStream, bars_frame
from pipelines.window_steps import open_windows, recent_vectors

GRACE_NS = 5_000_000_000
"""How long a quote may be late before its bar closes without it, by the clock."""

CATCH_UP_NS = 3 * 86_400_000_000_000
"""How far back ticks are asked for at the start."""

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
    bar
        The bar.
    receipt
        What the online store holds of it; None if it was not pushed.
    decision
        The scorer's answer; None if none was asked or none came.
    """

    bar: Bar
    receipt: PushReceipt | None = None
    decision: dict[str, Any] | None = None


class LiveFeed:
    """Follows one symbol of a terminal.

    Parameters
    ----------
    home
        Its lake, feature store and online store are used.
    link
        To the gateway.
    symbol, timeframe
        What is followed.
    now_ns
        The clock, UTC nanoseconds.
    project
        Feast's name space.
    trader
        Asked to trade on every pushed bar; None for nobody.

    Attributes
    ----------
    left_out : Counter of str
        Ticks that were not fit, by reason; an ingestion of the day keeps them in quarantine.
    """

    def __init__(
        self,
        home: Home,
        link: TerminalLink,
        symbol: str,
        timeframe: Timeframe,
        now_ns: Callable[[], int],
        project: str = "sextant",
        trader: Trader | None = None,
    ) -> None:
        self._home, self._lake = home, Lake(home.lake)
        self._symbol, self._timeframe, self._now_ns = symbol, timeframe, now_ns
        self._project, self._trader = project, trader
        self._instrument = find_instrument(symbol)
        self._calendar = calendar_of(self._instrument)
        self._last_ns = self._begin_ns()
        self._last_price = math.nan
        self._has_begun = False
        self._reader = TickReader(link, symbol, self._last_ns)
        self._bars = TickBarStream(timeframe, self._calendar, point=self._instrument.point)
        self._stream: VectorStream | None = None
        self._windows: WindowStreams | None = None
        self._pusher: VectorPusher | None = None
        self.left_out: Counter[str] = Counter()

    def poll(self) -> list[Followed]:
        """Read what is new; return the bars it closed, oldest first.

        The first poll catches up: of its bars only the newest is pushed and traded on.

        Raises
        ------
        Unavailable
            If the gateway or its terminal does not answer; nothing is lost, the next poll asks for
            the same ticks.
        InvalidMarketData
            With code ``CLOCK_CONTRADICTED`` if the gateway is set to another clock than the
            terminal's.
        """
        closed = self._close_bars()
        if not closed:
            return []
        *earlier, newest = closed
        if self._stream is None:
            self._keep(earlier)
            self._open(newest)
            followed = [Followed(bar) for bar in earlier] + [self._follow(newest)]
            self._keep([newest])
            return followed
        followed = [self._follow(bar) for bar in closed]
        self._keep(closed)
        return followed

    def _begin_ns(self) -> int:
        """Return the opening of the lake's last bar, or of one not too long ago.

        The first bar made is left out: it is in the lake, or it began before the ticks did.
        """
        earliest_ns = self._now_ns() - CATCH_UP_NS
        for entry in self._lake.describe():
            if (entry.symbol, entry.timeframe) == (self._symbol, self._timeframe):
                earliest_ns = max(earliest_ns, entry.last_ns - self._timeframe.duration_ns)
        closes = bar_close(np.array([earliest_ns]), self._timeframe, self._calendar)
        return int(closes[0]) - self._timeframe.duration_ns

    def _close_bars(self) -> list[Bar]:
        found: list[Bar | None] = []
        ticks = self._judge(self._reader.read())
        for at_ns, bid, ask in zip(*(ticks[n].tolist() for n in ticks.columns), strict=True):
            found.append(self._bars.update(at_ns, bid, ask))
        if len(ticks):
            self._last_ns = int(ticks["at_ns"].iloc[-1])
            self._last_price = float(ticks["bid"].iloc[-1])
        late = self._bars.close_until(self._now_ns() - GRACE_NS)
        if late is not None:
            self._last_ns = late.closed_at_ns
        closed = [bar for bar in (*found, late) if bar is not None]
        if closed and not self._has_begun:
            self._has_begun = True
            return closed[1:]
        return closed

    def _judge(self, ticks: pd.DataFrame) -> pd.DataFrame:
        """Return the ticks that are fit; the others are counted and told."""
        fault = ticks["fault"].to_numpy(dtype=object)
        fault[(ticks["at_ns"] < self._last_ns).to_numpy() & (fault == "")] = Fault.OUT_OF_ORDER
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.abs(np.log(ticks["bid"] / self._last_price)) > np.log(SCALE_FACTOR_MAX)
        fault[far.to_numpy() & (fault == "")] = Fault.WRONG_SCALE
        judged = judge_ticks(raw_ticks(ticks.assign(fault=fault), "live"), self._instrument)
        if len(judged.quarantine):
            self.left_out.update(judged.quarantined)
            _log.warning("%s ticks left out: %s", self._symbol, judged.quarantined)
        return judged.ticks

    def _open(self, newest: Bar) -> None:
        """Open the features on everything before a bar."""
        symbol, timeframe = self._symbol, self._timeframe
        alone = Panel(symbol, timeframe, BarArrays.from_rows([newest]))
        history = alone.part(0, 0)
        if any((e.symbol, e.timeframe) == (symbol, timeframe) for e in self._lake.describe()):
            before = vectors_before(served_windows(served(alone)))
            history = load_history(
                self._lake, symbol, timeframe, newest.closed_at_ns, served(alone), before
            )
        features = served(history if len(history.own) else alone)
        windows = served_windows(features)
        self._stream = VectorStream(history, features)
        vectors = recent_vectors(history, features, vectors_before(windows))
        self._windows = open_windows(windows, timeframe, features, vectors)
        paths = store_paths(self._home)
        store = open_store(paths, self._project)
        apply_definitions(store, paths.offline_root, [self._timeframe])
        self._pusher = VectorPusher(store, self._symbol, self._timeframe, features, windows)
        _log.info("%d features on %d bars of history", len(features), len(history.own))

    def _follow(self, bar: Bar) -> Followed:
        """Push a bar's vector and ask for a decision; what fails is told, and the feed goes on."""
        if self._stream is None or self._windows is None or self._pusher is None:
            raise Unavailable("the features are not open yet")
        vector = self._stream.update(bar)
        packed = self._windows.update(vector)
        try:
            receipt = self._pusher.push(bar.closed_at_ns, vector, packed)
        except Unavailable as error:
            _log.warning("bar %d is not served: %s: %s", bar.closed_at_ns, error.code, error)
            return Followed(bar)
        if self._trader is None:
            return Followed(bar, receipt)
        try:
            decision = self._trader.trade(self._symbol, self._timeframe, bar.closed_at_ns)
        except Unavailable as error:
            _log.warning("bar %d is not traded on: %s", bar.closed_at_ns, error)
            return Followed(bar, receipt)
        return Followed(bar, receipt, decision)

    def _keep(self, bars: list[Bar]) -> None:
        """Write bars to the lake."""
        if not bars:
            return
        written = self._lake.write_bars(
            self._symbol, self._timeframe, PriceSide.BID, bars_frame(bars), f"ticks:{FEED}"
        )
        if len(written.conflicting):
            _log.warning(
                "%d bars differ from those in the lake, which stay", len(written.conflicting)
            )
