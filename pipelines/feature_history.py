"""Bars from the lake for features: all that an anchor wants, and no more than needed."""

from __future__ import annotations

from feature_repo.anchors import WARM_UP_BARS, quarter_end_ns, quarter_of
from feature_repo.bars import BarArrays
from feature_repo.engine import FeatureStream
from feature_repo.feature import Feature
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
    return BarArrays.from_frame(
        lake.read_bars(symbol, timeframe, None, until_ns, microstructure=True)
    )


def load_history(lake: Lake, symbol: str, timeframe: Timeframe, before_ns: int) -> BarArrays:
    """Return the bars a feature stream is opened with, to go on at `before_ns`.

    They reach back to the anchor of their last bar's quarter: the window is doubled until enough
    bars lie before the quarter, so that holes in the data do not matter.

    Parameters
    ----------
    lake, symbol, timeframe
        As for `load_bars`.
    before_ns
        Nanoseconds UTC, exclusive.
    """
    span_ns = 2 * WARM_UP_BARS * timeframe.duration_ns
    earliest = load_first_stamp(lake, symbol, timeframe, before_ns)
    while True:
        bars = BarArrays.from_frame(
            lake.read_bars(symbol, timeframe, before_ns - span_ns, before_ns, microstructure=True)
        )
        if len(bars):
            quarter_began_ns = quarter_end_ns(quarter_of(int(bars.closed_at_ns[-1])) - 1)
            if int((bars.closed_at_ns <= quarter_began_ns).sum()) >= WARM_UP_BARS:
                return bars
        if before_ns - span_ns <= earliest:
            return bars
        span_ns *= 2


def load_first_stamp(lake: Lake, symbol: str, timeframe: Timeframe, otherwise_ns: int) -> int:
    """Return the close of a series' first bar, or `otherwise_ns` if there is none."""
    for entry in lake.describe():
        if entry.symbol == symbol and entry.timeframe is timeframe:
            return entry.first_ns
    return otherwise_ns


def open_stream(
    lake: Lake,
    symbol: str,
    timeframe: Timeframe,
    features: tuple[Feature, ...],
    before_ns: int,
) -> FeatureStream:
    """Return a stream whose next bar is the first to close at or after `before_ns`.

    Its values are those of `feature_repo.engine.compute_batch` over the whole lake, bit for bit.

    Parameters
    ----------
    lake, symbol, timeframe, before_ns
        As for `load_history`.
    features
        Entries of the catalogue, in the order of the vectors.
    """
    return FeatureStream(load_history(lake, symbol, timeframe, before_ns), features)
