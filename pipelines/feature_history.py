"""Bars from the lake for features: all that an anchor wants, and no more than needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from feature_repo.anchors import WARM_UP_BARS
from feature_repo.bars import BarArrays
from feature_repo.feature import CrossFeature, Feature
from feature_repo.panel import Panel
from feature_repo.peers import peers_of
from feature_repo.vector import reaches_anchors, split
from online.domain.errors import NotFound
from online.domain.market import Timeframe
from pipelines.lake import Lake


def load_bars(
    lake: Lake, symbol: str, timeframe: Timeframe, until_ns: int | None = None
) -> BarArrays:
    """Return all bars of a series that closed before `until_ns`.

    Parameters
    ----------
    lake
        Where they are.
    symbol, timeframe
        The series.
    until_ns
        Nanoseconds UTC, exclusive; None for all.
    """
    return read_part(lake, symbol, timeframe, None, until_ns)


def load_panel(
    lake: Lake,
    symbol: str,
    timeframe: Timeframe,
    until_ns: int | None = None,
    features: Sequence[Feature] | None = None,
) -> Panel:
    """Return all bars of a symbol, and of its peers where all of them are in the lake.

    Parameters
    ----------
    lake, symbol, timeframe, until_ns
        As for `load_bars`.
    features
        What will be computed, so that peers are read only if it needs them; None for anything.
    """
    own = load_bars(lake, symbol, timeframe, until_ns)
    names = _peers_in(lake, symbol, timeframe, features)
    others = {name: load_bars(lake, name, timeframe, until_ns) for name in names}
    return Panel(symbol, timeframe, own, others)


def load_history(
    lake: Lake,
    symbol: str,
    timeframe: Timeframe,
    before_ns: int,
    features: Sequence[Feature],
    n_recent: int = 0,
) -> Panel:
    """Return the bars a vector stream is opened with, to go on at `before_ns`.

    They reach back to the anchors of everything that is streamed: the window is doubled until
    enough bars lie before the quarter, so that holes in the data do not matter.

    Parameters
    ----------
    lake, symbol, timeframe
        As for `load_bars`.
    before_ns
        Nanoseconds UTC, exclusive.
    features
        What is streamed.
    n_recent
        Last bars whose vectors are wanted as well (>= 0), as windows do.
    """
    longest = max((timeframe, *split(features)[1]), key=lambda length: length.seconds)
    span_ns = 2 * WARM_UP_BARS * longest.duration_ns
    earliest_ns = load_first_stamp(lake, symbol, timeframe, before_ns)
    while True:
        own = read_part(lake, symbol, timeframe, before_ns - span_ns, before_ns)
        oldest = own.part(0, max(0, len(own) - n_recent))
        if before_ns - span_ns <= earliest_ns or reaches_anchors(oldest, features):
            break
        span_ns *= 2
    first_ns = int(own.closed_at_ns[0]) if len(own) else before_ns
    others = {
        name: _with_one_before(lake, name, timeframe, first_ns, before_ns)
        for name in _peers_in(lake, symbol, timeframe, features)
    }
    return Panel(symbol, timeframe, own, others)


def load_first_stamp(lake: Lake, symbol: str, timeframe: Timeframe, otherwise_ns: int) -> int:
    """Return the close of a series' first bar, or `otherwise_ns` if there is none."""
    for entry in lake.describe():
        if entry.symbol == symbol and entry.timeframe is timeframe:
            return entry.first_ns
    return otherwise_ns


def load_arriving(lake: Lake, history: Panel, end_ns: int | None = None) -> dict[str, BarArrays]:
    """Return the peers' bars that come after a panel's own.

    Parameters
    ----------
    lake
        Where they are.
    history
        What is known already.
    end_ns
        Nanoseconds UTC, exclusive; None for all.
    """
    found = {}
    for name, known in history.others.items():
        begin_ns = int(known.closed_at_ns[-1]) + 1 if len(known) else None
        found[name] = read_part(lake, name, history.timeframe, begin_ns, end_ns)
    return found


def read_part(
    lake: Lake, symbol: str, timeframe: Timeframe, start_ns: int | None, end_ns: int | None
) -> BarArrays:
    """Return the bars with ``start_ns <= closed_at_ns < end_ns``; None is without bound."""
    return BarArrays.from_frame(
        lake.read_bars(symbol, timeframe, start_ns, end_ns, microstructure=True)
    )


def _peers_in(
    lake: Lake, symbol: str, timeframe: Timeframe, features: Sequence[Feature] | None
) -> tuple[str, ...]:
    """Return a symbol's peers, none of them if one is not in the lake or none is needed."""
    peers = peers_of(symbol)
    unneeded = features is not None and not any(isinstance(f, CrossFeature) for f in features)
    if peers is None or unneeded:
        return ()
    try:
        for name in peers.others:
            lake.price_side(name, timeframe)
    except NotFound:
        return ()
    return peers.others


def _with_one_before(
    lake: Lake, symbol: str, timeframe: Timeframe, first_ns: int, end_ns: int
) -> BarArrays:
    """Return a peer's bars from the last one before `first_ns` on, however long ago it was."""
    span_ns = WARM_UP_BARS * timeframe.duration_ns
    earliest_ns = load_first_stamp(lake, symbol, timeframe, first_ns)
    while True:
        bars = read_part(lake, symbol, timeframe, first_ns - span_ns, end_ns)
        before = int(np.searchsorted(bars.closed_at_ns, first_ns, side="left"))
        if before or first_ns - span_ns <= earliest_ns:
            return bars.part(max(0, before - 1), len(bars))
        span_ns *= 2
