"""A symbol's whole vector: own bars, longer ones and other symbols, in batch and live.

>>> import numpy as np
>>> from feature_repo.catalogue import served
>>> hours = np.arange(1, 1001, dtype=np.int64) * 3_600_000_000_000
>>> prices = 1.0 + 0.1 * np.sin(np.arange(1000) / 20.0)
>>> bars = BarArrays(hours, prices, prices + 0.01, prices - 0.01, prices, prices)
>>> panel = Panel("EURUSD", Timeframe.H1, bars)
>>> features = served(panel)
>>> stream = VectorStream(panel.part(0, 999), features)
>>> live = stream.update(bars.bar(999))
>>> batch = compute_vectors(panel, features)
>>> all(live[i] == batch[name][999] for i, name in enumerate(stream.names))
True
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from feature_repo.anchors import WARM_UP_BARS, Period, periods
from feature_repo.bars import BarArrays
from feature_repo.cross import CrossStream, compute_cross, part_needed
from feature_repo.engine import FeatureStream, Vector, compute_from, require_inputs
from feature_repo.feature import CrossFeature, Feature, HigherFeature
from feature_repo.higher import HigherStream, compute_higher, first_needed, resample
from feature_repo.panel import Panel
from feature_repo.peers import Peers
from online.domain.errors import NotFound
from online.domain.market import Bar, Timeframe


def compute_vectors(panel: Panel, features: Sequence[Feature], start: int = 0) -> dict[str, Vector]:
    """Return every feature at every own bar, float32 of shape ``(n_bars - start,)``.

    Parameters
    ----------
    panel
        All there is of the symbols, or at least what `needed` leaves.
    features
        Entries of the catalogue, of any scope.
    start
        First own bar whose values are wanted.

    Raises
    ------
    NotFound
        If a feature's input, or a peer's bars, are absent.
    """
    require_served(panel, features)
    return _compute(panel, features, start)


def compute_quarter(panel: Panel, features: Sequence[Feature], period: Period) -> dict[str, Vector]:
    """Return every feature over one quarter's bars; the unit in which work is split.

    Parameters
    ----------
    panel
        As for `compute_vectors`.
    features
        Entries that the whole series can serve, if not these very bars.
    period
        One of `feature_repo.anchors.periods` of the own bars.
    """
    return _compute(panel.part(0, period.end), features, period.start)


def _compute(panel: Panel, features: Sequence[Feature], start: int) -> dict[str, Vector]:
    own, higher, across = split(features)
    found = compute_from(panel.own, own, start) if own else {}
    for timeframe, members in higher.items():
        found |= compute_higher(panel.own, timeframe, members, start)
    if across:
        found |= compute_cross(require_peers(panel), panel.bars, across, start)
    return {feature.name: found[feature.name] for feature in features}


def needed(panel: Panel, features: Sequence[Feature], period: Period) -> tuple[Panel, Period]:
    """Return the part of a panel that a quarter's features are computed from.

    Its values are those of the whole panel, bit for bit.

    Returns
    -------
    part : Panel
        From the anchors of everything in it to the quarter's end.
    period : Period
        The quarter within that part.
    """
    known, start = panel.part(0, period.end), period.start
    own, higher, across = split(features)
    first = period.anchor if own else start
    for timeframe in higher:
        first = min(first, first_needed(known.own, timeframe, start))
    others = {}
    if across:
        bars, cut = part_needed(require_peers(panel), known.bars, start)
        others = {symbol: each for symbol, each in bars.items() if symbol != panel.symbol}
        first = min(first, cut)
    part = Panel(panel.symbol, panel.timeframe, known.own.part(first, period.end), others)
    *_, last = periods(part.own.closed_at_ns)
    return part, last


def reaches_anchors(bars: BarArrays, features: Sequence[Feature]) -> bool:
    """Tell whether own bars reach back far enough to open a stream that goes on after them.

    Parameters
    ----------
    bars
        The last ones there are, without a hole that is not in the series.
    features
        What is streamed.
    """
    own, higher, across = split(features)
    series = [bars] if own or across else []
    series += [resample(bars, timeframe) for timeframe in higher]
    return all(_reaches_anchor(each) for each in series)


def _reaches_anchor(bars: BarArrays) -> bool:
    """Tell whether there is one bar before the anchor, so that the first may be made in part."""
    if not len(bars):
        return False
    *_, last = periods(bars.closed_at_ns)
    return last.start > WARM_UP_BARS


class VectorStream:
    """A symbol's whole vector, bar by bar.

    Parameters
    ----------
    history
        Bars before the first update, back to the anchors of everything (`reaches_anchors`), or
        all there are. More changes nothing.
    features
        Entries of the catalogue, in the order of the vectors.

    Attributes
    ----------
    names : tuple of str
        Of the vector's places.
    peers : tuple of str
        Symbols whose bars have to be given to `take`.
    """

    def __init__(self, history: Panel, features: Sequence[Feature]) -> None:
        own, higher, across = split(features)
        self.names = tuple(feature.name for feature in features)
        self._own = FeatureStream(history.own, own)
        self._higher = [
            HigherStream(history.own, timeframe, members) for timeframe, members in higher.items()
        ]
        self._cross: CrossStream | None = None
        self.peers: tuple[str, ...] = ()
        if across:
            peers = require_peers(history)
            self._cross = CrossStream(peers, history.bars, across)
            self.peers = peers.others
        parts = [self._own.names, *(stream.names for stream in self._higher)]
        parts += [self._cross.names] if self._cross is not None else []
        place = {name: at for at, name in enumerate(name for part in parts for name in part)}
        self._order = np.array([place[name] for name in self.names], dtype=np.intp)

    @property
    def closed_at_ns(self) -> int | None:
        """Stamp of the last own bar seen."""
        return self._own.closed_at_ns

    def take(self, symbol: str, bar: Bar) -> None:
        """Take a peer's closed bar; own bars after it will see it.

        Raises
        ------
        InvalidMarketData
            As `CrossStream.take`.
        NotFound
            With code ``NO_PEER`` if the symbol is none of `peers`.
        """
        if self._cross is None or symbol not in self.peers:
            raise NotFound(
                f"{symbol} is no peer here: {', '.join(self.peers) or 'there are none'}",
                code="NO_PEER",
            )
        self._cross.take(symbol, bar)

    def update(self, bar: Bar) -> Vector:
        """Take the next own bar and return its vector, float32 of shape ``(n_features,)``.

        Raises
        ------
        InvalidMarketData
            With code ``BAR_NOT_NEWER`` if the bar is not after the last one.
        """
        parts = [self._own.update(bar), *(stream.update(bar) for stream in self._higher)]
        if self._cross is not None:
            parts.append(self._cross.update(bar))
        vector: Vector = np.concatenate(parts)[self._order] if len(parts) > 1 else parts[0]
        return vector


def split(
    features: Sequence[Feature],
) -> tuple[
    tuple[Feature, ...], dict[Timeframe, tuple[HigherFeature, ...]], tuple[CrossFeature, ...]
]:
    """Return the features of own bars, of longer bars by timeframe, and across symbols."""
    higher: dict[Timeframe, tuple[HigherFeature, ...]] = {}
    for feature in features:
        if isinstance(feature, HigherFeature):
            higher[feature.timeframe] = (*higher.get(feature.timeframe, ()), feature)
    across = tuple(feature for feature in features if isinstance(feature, CrossFeature))
    own = tuple(f for f in features if not isinstance(f, (HigherFeature, CrossFeature)))
    return own, higher, across


def require_served(panel: Panel, features: Sequence[Feature]) -> None:
    """Refuse features that a panel's bars cannot serve.

    Raises
    ------
    NotFound
        ``FEATURE_INPUT_ABSENT`` if its source lacks an input, ``FEATURE_PEERS_ABSENT`` if peers'
        bars are absent.
    """
    own, _, across = split(features)
    require_inputs(own, panel.own.inputs)
    if across:
        require_peers(panel)


def require_peers(panel: Panel) -> Peers:
    """Return the peers whose bars the panel holds.

    Raises
    ------
    NotFound
        With code ``FEATURE_PEERS_ABSENT``.
    """
    peers = panel.peers
    if peers is None or not panel.others:
        wanted = "no symbol" if peers is None else ", ".join(peers.others)
        raise NotFound(
            f"{panel.symbol} {panel.timeframe} has no features across symbols: it is seen beside "
            f"{wanted} by peers.toml, and bars of {', '.join(panel.others) or 'none'} are there",
            code="FEATURE_PEERS_ABSENT",
            remedy="Ingest the peers' bars of that timeframe, or ask for features of its own.",
        )
    return peers
