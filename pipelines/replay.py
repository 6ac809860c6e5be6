"""The live replay: bar by bar through the real chain, as if each bar had just closed.

1. A bar closes: its features and windows come from the streams, opened on the bars before.
2. They are pushed to Redis through Feast and read back.
3. The simulated market moves to the next bar's open.
4. The running scorer is asked over HTTP to trade; order and fill are its own affair.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from feature_repo.bars import BarArrays
from feature_repo.catalogue import whole_views
from feature_repo.panel import Panel
from feature_repo.store import open_store
from feature_repo.vector import VectorStream
from feature_repo.windows import served_windows, vectors_before
from online.domain.market import Bar
from online.simulator.bars import BidAskBar
from pipelines.feature_steps import store_paths
from pipelines.home import Home
from pipelines.market import Market
from pipelines.push import VectorPusher
from pipelines.scorer_client import ScorerClient
from pipelines.window_steps import open_windows, recent_vectors


@dataclass(frozen=True, slots=True)
class Step:
    """One replayed bar: its decision and how long each part took, seconds."""

    bar_closed_at_ns: int
    decision: dict[str, Any]
    features_seconds: float
    push_seconds: float
    market_seconds: float
    trade_seconds: float


class Replay:
    """Replays a market into a running scorer.

    Parameters
    ----------
    home
        Its Feast registry and online store are used.
    market
        What is replayed.
    history
        Bars before it; see `VectorStream` and `pipelines.window_steps.recent_vectors`.
    scorer
        A client of the scorer, which runs in replay mode.
    project
        Feast's project; a fresh one, because Redis keeps no older stamp.
    names
        Features the scorer's model reads; None for the default vector.
    arriving
        The peers' bars from `history` on, by symbol.
    """

    def __init__(
        self,
        home: Home,
        market: Market,
        history: Panel,
        scorer: ScorerClient,
        project: str = "sextant",
        names: Sequence[str] | None = None,
        arriving: Mapping[str, BarArrays] | None = None,
    ) -> None:
        self._market = market
        self._scorer = scorer
        features = whole_views(names, market.timeframe)
        self._stream = VectorStream(history, features)
        self._arriving = _by_time(arriving or {}) if self._stream.peers else deque()
        store = open_store(store_paths(home), project)
        symbol = market.instrument.symbol
        windows = served_windows(features)
        before = recent_vectors(history, features, vectors_before(windows))
        self._windows = open_windows(windows, market.timeframe, features, before)
        self._pusher = VectorPusher(store, symbol, market.timeframe, features, windows)

    def __len__(self) -> int:
        """Return the number of steps: every bar but the last, whose next open is not known."""
        return len(self._market.bars) - 1

    def steps(self) -> Iterator[Step]:
        """Replay bar after bar; each is replayed when the step is asked for.

        Raises
        ------
        Unavailable
            If the scorer or the online store does not answer.
        SextantError
            If one of them refuses.
        """
        market, symbol = self._market, self._market.instrument.symbol
        self._scorer.move_market(symbol, None, market.quotes[0])
        for bar, (finished, upcoming) in zip(market.bars, pairwise(market.quotes), strict=False):
            yield self._step(bar, finished, upcoming)
        self._scorer.move_market(symbol, market.quotes[-1], None)

    def _step(self, bar: Bar, finished: BidAskBar, upcoming: BidAskBar) -> Step:
        symbol, timeframe = self._market.instrument.symbol, self._market.timeframe
        marks = [time.perf_counter()]
        while self._arriving and self._arriving[0][1].closed_at_ns <= bar.closed_at_ns:
            self._stream.take(*self._arriving.popleft())
        vector = self._stream.update(bar)
        packed = self._windows.update(vector)
        marks.append(time.perf_counter())
        self._pusher.push(bar.closed_at_ns, vector, packed)
        marks.append(time.perf_counter())
        self._scorer.move_market(symbol, finished, upcoming)
        marks.append(time.perf_counter())
        decision = self._scorer.trade(symbol, timeframe, bar.closed_at_ns)
        marks.append(time.perf_counter())
        return Step(bar.closed_at_ns, decision, *(b - a for a, b in pairwise(marks)))


def _by_time(arriving: Mapping[str, BarArrays]) -> deque[tuple[str, Bar]]:
    """Return other symbols' bars in the order of their closes."""
    found = [(name, bars.bar(i)) for name, bars in arriving.items() for i in range(len(bars))]
    return deque(sorted(found, key=lambda item: (item[1].closed_at_ns, item[0])))
