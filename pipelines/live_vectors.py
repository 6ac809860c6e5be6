"""One followed symbol's vectors, live: own bars, longer ones, peers and windows together.

The streams are opened on the lake before a bar and go on with every bar. A bar that had to be
answered before all of its peers' bars were known has no value across symbols; the streams are then
opened anew before the next one, on what the lake holds by that time.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from feature_repo.bars import BarArrays
from feature_repo.catalogue import CROSS, served
from feature_repo.engine import Vector
from feature_repo.feature import CrossFeature
from feature_repo.panel import Panel
from feature_repo.peers import peers_of
from feature_repo.vector import VectorStream
from feature_repo.windows import served_windows, vectors_before
from online.domain.errors import InvalidInput
from online.domain.market import Bar, Timeframe
from pipelines.feature_history import load_bars, load_history
from pipelines.hole import Reach
from pipelines.lake import Lake
from pipelines.push import PushReceipt, VectorPusher
from pipelines.window_steps import open_windows, recent_vectors

if TYPE_CHECKING:
    from feast import FeatureStore

_log = logging.getLogger(__name__)


def split_peers(symbol: str, followed: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the peers a symbol is seen beside, and those that are wanting.

    Parameters
    ----------
    symbol
        Whose.
    followed
        Every symbol whose bars come.

    Returns
    -------
    peers : tuple of str
        All of ``peers.toml``, or none if any is wanting or the file names none.
    wanting : tuple of str
        Those that are not followed.
    """
    peers = peers_of(symbol)
    others = () if peers is None else peers.others
    wanting = tuple(name for name in others if name not in followed)
    return (() if wanting else others), wanting


class LiveVectors:
    """Streams one symbol's vectors and pushes them.

    Parameters
    ----------
    lake
        Holds all bars before those that are streamed.
    symbol, timeframe
        Whose.
    peers
        Whose bars are given to `take`; none for a run without features across symbols.
    open_store
        Returns Feast's store, with the timeframe's views applied.
    """

    def __init__(
        self,
        lake: Lake,
        symbol: str,
        timeframe: Timeframe,
        peers: Sequence[str],
        open_store: Callable[[], FeatureStore],
    ) -> None:
        self._lake, self._symbol, self._timeframe = lake, symbol, timeframe
        self._open_store = open_store
        self._arrived: Mapping[str, deque[Bar]] = {name: deque() for name in peers}
        self._streams: _Streams | None = None

    @property
    def peers(self) -> tuple[str, ...]:
        """Whose bars are given to `take`."""
        return tuple(self._arrived)

    @property
    def is_open(self) -> bool:
        """Whether the next bar can be given to `push` without opening on the lake before it."""
        return self._streams is not None

    def close(self) -> None:
        """Forget the streams, so that the next bar opens on the lake as it then is."""
        self._streams = None

    def take(self, symbol: str, bars: Sequence[Bar]) -> None:
        """Keep a peer's closed bars until own bars after them see them."""
        self._arrived[symbol].extend(bars)

    def open(self, newest: Bar) -> None:
        """Open on everything before a bar; the lake holds all that closed before it."""
        for arrived in self._arrived.values():
            while arrived and arrived[0].closed_at_ns < newest.closed_at_ns:
                arrived.popleft()
        history = self._history(newest)
        alone = BarArrays.from_rows([newest])
        features = served(history if len(history.own) else replace(history, own=alone))
        windows = served_windows(features)
        before = recent_vectors(history, features, vectors_before(windows))
        self._streams = _Streams(
            VectorStream(history, features),
            open_windows(windows, self._timeframe, features, before).update,
            VectorPusher(self._open_store(), self._symbol, self._timeframe, features, windows),
            np.array([isinstance(feature, CrossFeature) for feature in features]),
            Reach(history, features),
        )
        _log.info(
            "%s: %d features on %d bars of history", self._symbol, len(features), len(history.own)
        )

    def push(self, bar: Bar, *, peers_known: bool) -> PushReceipt:
        """Take the next own bar and push its vector.

        Parameters
        ----------
        peers_known
            Whether every peer's bar that closes before this one has been taken; if not, the bar
            has no values across symbols.

        Raises
        ------
        InvalidInput, Unavailable
            As `VectorPusher.push`, or ``HOLE_IN_HISTORY`` (`pipelines.hole`); the bar counts as
            taken.
        """
        if self._streams is None:
            raise InvalidInput(f"the features of {self._symbol} are not open yet")
        streams = self._streams
        for name, arrived in self._arrived.items():
            while arrived and arrived[0].closed_at_ns < bar.closed_at_ns:
                streams.vectors.take(name, arrived.popleft())
        vector: Vector = streams.vectors.update(bar)
        streams.reach.add(bar.closed_at_ns)
        if self._arrived and not peers_known:
            vector = np.where(streams.across, np.float32(np.nan), vector)
            self.close()
        packed = streams.pack(vector)
        streams.reach.require_whole()
        return streams.pusher.push(bar.closed_at_ns, vector, packed)

    def _history(self, newest: Bar) -> Panel:
        """Return the own bars and the peers' before a bar, none of those that never had one."""
        place = (self._symbol, self._timeframe)
        before_ns = newest.closed_at_ns
        known = {(entry.symbol, entry.timeframe) for entry in self._lake.describe()}
        alone = Panel(*place, BarArrays.from_rows([newest]))
        features = (*served(alone), *(CROSS if self._arrived else ()))
        history = alone.part(0, 0)
        if place in known:
            n_before = vectors_before(served_windows(features))
            history = load_history(self._lake, *place, before_ns, features, n_before)
        if self._arrived and not history.others:
            others = {
                name: load_bars(self._lake, name, self._timeframe, before_ns)
                if (name, self._timeframe) in known
                else BarArrays.from_rows([])
                for name in self._arrived
            }
            history = replace(history, others=others)
        return history


class _Streams:
    """What is open: vectors, windows, what they reach over, and where they are pushed."""

    def __init__(
        self,
        vectors: VectorStream,
        pack: Callable[[Vector], Mapping[str, bytes | None]],
        pusher: VectorPusher,
        across: np.ndarray[tuple[int], np.dtype[np.bool_]],
        reach: Reach,
    ) -> None:
        self.vectors, self.pack, self.pusher, self.across = vectors, pack, pusher, across
        self.reach = reach
