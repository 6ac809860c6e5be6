"""Features across symbols: currency strength, and correlation and beta with a reference.

What one symbol's bar knows of another is the other's last close *before* it: at equal stamps a
bar becomes visible at the next bar, so that a value never depends on which of two messages came
first. Of itself it sees the same past here, so that both returns are of the same span of time.
Own and other closes together are bars of their own; the engine evaluates them as any others, from
the same anchors, in batch and live, to the same bits. Nothing is known of a symbol that has been
silent for long: its values are missing, so that nobody trades on them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from feature_repo.anchors import WARM_UP_BARS
from feature_repo.bars import BarArrays
from feature_repo.engine import FeatureStream, Vector, compute_from
from feature_repo.feature import CrossFeature, Role
from feature_repo.peers import Peers, currencies_of
from online.domain.errors import InvalidMarketData
from online.domain.market import Bar

SILENT_BARS = 25
"""Own bars without a bar of the other after which nothing is known of it."""


def compute_cross(
    peers: Peers,
    bars: Mapping[str, BarArrays],
    features: Sequence[CrossFeature],
    start: int = 0,
) -> dict[str, Vector]:
    """Return the features across symbols at every own bar, float32 ``(n_bars - start,)``.

    Parameters
    ----------
    peers
        Who is seen.
    bars
        Of one timeframe, by symbol, the own one and every peer; all there is of each, or at least
        what `part_needed` leaves.
    features
        Entries across symbols.
    start
        First own bar whose values are wanted.
    """
    own = bars[peers.symbol]
    columns: dict[str, Mapping[str, Vector]] = {}
    for member, entries in _entries(peers, features).items():
        joint, first = join_visible(own, bars[member])
        skipped = max(0, start - first)
        values = compute_from(joint, entries, skipped) if len(joint) else {}
        silent = _silent(own, bars[member])[start:]
        columns[member] = {}
        for entry in entries:
            column = np.full(len(own) - start, np.nan, dtype=np.float32)
            if entry.name in values:
                column[first + skipped - start :] = values[entry.name]
            column[silent] = np.nan
            columns[member] = {**columns[member], entry.name: column}
    return _combined(peers, features, columns)


def part_needed(
    peers: Peers, bars: Mapping[str, BarArrays], start: int
) -> tuple[dict[str, BarArrays], int]:
    """Return the bars that values from own bar `start` on need, and how many own ones are cut.

    Parameters
    ----------
    peers, bars
        As for `compute_cross`.
    start
        The first own bar of a quarter.
    """
    own = bars[peers.symbol]
    cut = max(0, start - WARM_UP_BARS - 1)
    found = {peers.symbol: own.part(cut, len(own))}
    for other in peers.others:
        theirs = bars[other]
        begin = 0
        if cut:
            begin = int(np.searchsorted(theirs.closed_at_ns, own.closed_at_ns[cut + 1], "left")) - 1
        found[other] = theirs.part(max(0, begin), len(theirs))
    return found, cut


def join_visible(own: BarArrays, other: BarArrays) -> tuple[BarArrays, int]:
    """Return joint bars, stamped as own ones, and the own bar at which they begin.

    The joint open is the own and the joint close the other last close strictly before the stamp.
    """
    seen = np.searchsorted(other.closed_at_ns, own.closed_at_ns, side="left") - 1
    first = max(1, int(np.searchsorted(seen, 0)))
    before, after = own.close[first - 1 : -1], other.close[seen[first:]]
    if not len(before):
        return own.part(0, 0), len(own)
    joint = BarArrays(
        own.closed_at_ns[first:],
        before,
        np.maximum(before, after),
        np.minimum(before, after),
        after,
        np.full(len(before), np.nan),
    )
    return joint, first


class CrossStream:
    """Features across symbols, live.

    Parameters
    ----------
    peers
        Who is seen.
    histories
        Bars so far by symbol, the own one and every peer; of the own at least those before the
        anchor of the last one's quarter, with one more, and of the others from the last bar
        before these on.
    features
        Entries across symbols, in the order of the vectors.

    Attributes
    ----------
    names : tuple of str
        Of the vector's places.
    """

    def __init__(
        self,
        peers: Peers,
        histories: Mapping[str, BarArrays],
        features: Sequence[CrossFeature],
    ) -> None:
        self.names = tuple(feature.name for feature in features)
        self._peers, self._features = peers, tuple(features)
        own = histories[peers.symbol]
        recent = own.closed_at_ns[-SILENT_BARS:].tolist()
        self._own_stamps: deque[int] = deque(recent, maxlen=SILENT_BARS)
        self._own_close = float(own.close[-1]) if len(own) else None
        self._members = {
            member: _Member(own, histories[member], entries, is_own=member == peers.symbol)
            for member, entries in _entries(peers, features).items()
        }

    def take(self, symbol: str, bar: Bar) -> None:
        """Take another symbol's closed bar; own bars after it will see it.

        Raises
        ------
        InvalidMarketData
            ``BAR_NOT_NEWER`` if it is not after that symbol's last one; ``BAR_TOO_LATE`` if an own
            bar that should have seen it has been answered already.
        """
        if self._own_stamps and bar.closed_at_ns < self._own_stamps[-1]:
            raise InvalidMarketData(
                f"{symbol} bar {bar.closed_at_ns} came after {self._peers.symbol} bar "
                f"{self._own_stamps[-1]}, which should have seen it",
                code="BAR_TOO_LATE",
                remedy="Open the stream anew from the lake once the bar is there.",
            )
        self._members[symbol].take(symbol, bar)

    def update(self, bar: Bar) -> Vector:
        """Take the next own bar; return what it sees, float32 of shape ``(n_features,)``.

        Raises
        ------
        InvalidMarketData
            With code ``BAR_NOT_NEWER`` if the bar is not after the last one.
        """
        if self._own_stamps and bar.closed_at_ns <= self._own_stamps[-1]:
            raise InvalidMarketData(
                f"bar {bar.closed_at_ns} is not after the last one, {self._own_stamps[-1]}",
                code="BAR_NOT_NEWER",
            )
        silent_at_ns = self._own_stamps[0] if len(self._own_stamps) == SILENT_BARS else None
        rows = {
            name: member.update(bar.closed_at_ns, self._own_close, silent_at_ns)
            for name, member in self._members.items()
        }
        self._own_stamps.append(bar.closed_at_ns)
        self._own_close = bar.close
        if self._peers.symbol in self._members:
            self._members[self._peers.symbol].take(self._peers.symbol, bar)
        found = _combined(self._peers, self._features, rows)
        return np.concatenate([found[name] for name in self.names])


class _Member:
    """One symbol as seen from the own one: its last visible close and the stream of joint bars."""

    def __init__(
        self, own: BarArrays, bars: BarArrays, entries: Sequence[CrossFeature], *, is_own: bool
    ) -> None:
        joint, _ = join_visible(own, bars)
        self._stream = FeatureStream(joint, entries)
        self._names = [entry.name for entry in entries]
        self._last_ns = int(bars.closed_at_ns[-1]) if len(bars) else None
        known = len(bars)
        if not is_own:
            horizon_ns = int(own.closed_at_ns[-1]) if len(own) else -1
            known = int(np.searchsorted(bars.closed_at_ns, horizon_ns, side="left"))
        self._visible = bars.bar(known - 1) if known else None
        self._waiting = deque(bars.bar(i) for i in range(known, len(bars)))

    def take(self, symbol: str, bar: Bar) -> None:
        """Keep a bar until an own bar after it sees it."""
        if self._last_ns is not None and bar.closed_at_ns <= self._last_ns:
            raise InvalidMarketData(
                f"{symbol} bar {bar.closed_at_ns} is not after its last, {self._last_ns}",
                code="BAR_NOT_NEWER",
            )
        self._last_ns = bar.closed_at_ns
        self._waiting.append(bar)

    def update(
        self, closed_at_ns: int, own_close: float | None, silent_at_ns: int | None
    ) -> dict[str, Vector]:
        """Return what an own bar sees of this symbol, each of shape ``(1,)``."""
        while self._waiting and self._waiting[0].closed_at_ns < closed_at_ns:
            self._visible = self._waiting.popleft()
        values = np.full(len(self._names), np.nan, dtype=np.float32)
        if own_close is not None and self._visible is not None:
            close = self._visible.close
            high, low = max(own_close, close), min(own_close, close)
            joint = Bar(closed_at_ns, own_close, high, low, close, 0.0)
            values = self._stream.update(joint)
            if silent_at_ns is not None and self._visible.closed_at_ns <= silent_at_ns:
                values = np.full_like(values, np.nan)
        return {name: values[i : i + 1] for i, name in enumerate(self._names)}


def _entries(peers: Peers, features: Sequence[CrossFeature]) -> dict[str, tuple[CrossFeature, ...]]:
    """Return what has to be evaluated on each symbol's joint bars."""
    strengths = tuple(f for f in features if f.role is not Role.REFERENCE)
    reference = tuple(f for f in features if f.role is Role.REFERENCE)
    asked: dict[str, tuple[CrossFeature, ...]] = {}
    if strengths:
        # Base and quote strength are both made of the pairs' returns: one column serves them.
        asked |= dict.fromkeys(peers.star, strengths)
    if reference:
        asked[peers.reference] = (*asked.get(peers.reference, ()), *reference)
    return dict(sorted(asked.items()))


def _combined(
    peers: Peers,
    features: Sequence[CrossFeature],
    columns: Mapping[str, Mapping[str, Vector]],
) -> dict[str, Vector]:
    """Return the features from what each symbol's joint bars gave."""
    base, quote = currencies_of(peers.symbol)
    found = {}
    for feature in features:
        if feature.role is Role.REFERENCE:
            found[feature.name] = columns[peers.reference][feature.name]
        else:
            returns = {member: columns[member][feature.name] for member in peers.star}
            currency = base if feature.role is Role.BASE else quote
            found[feature.name] = _strength(currency, peers.hub, returns)
    return found


def _strength(currency: str, hub: str, returns: Mapping[str, Vector]) -> Vector:
    """Return a currency's mean return against every other one, added in the pairs' order.

    Through the hub, whose own return is zero, the return of A against B is A's less B's.
    """
    total = np.zeros_like(next(iter(returns.values())))
    own = np.zeros_like(total)
    for pair in sorted(returns):
        base, quote = currencies_of(pair)
        against_hub = returns[pair] if quote == hub else -returns[pair]
        total = total + against_hub
        if currency in (base, quote) and currency != hub:
            own = against_hub
    others = np.float32(len(returns))
    strength: Vector = (own * (others + np.float32(1.0)) - total) / others
    return strength


def _silent(own: BarArrays, other: BarArrays) -> npt.NDArray[np.bool_]:
    """Tell at which own bars the other has had no bar since the own one `SILENT_BARS` before."""
    silent = np.zeros(len(own), dtype=np.bool_)
    seen = np.searchsorted(other.closed_at_ns, own.closed_at_ns, side="left") - 1
    later = seen[SILENT_BARS:]
    stamps = other.closed_at_ns[np.maximum(later, 0)] if len(other) else np.zeros_like(later)
    silent[SILENT_BARS:] = stamps <= own.closed_at_ns[:-SILENT_BARS]
    return silent
