"""A market to trade on: the lake's bars of one symbol, with both sides of the price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feature_repo.bars import BarArrays
from online.domain.errors import NotFound
from online.domain.market import Bar, Instrument, PriceSide, Timeframe
from online.simulator.bars import BidAskBar, two_sided
from pipelines.lake import Lake
from pipelines.spread import SpreadUsed, choose_spread

_LEAST_BARS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """Bars of one symbol and timeframe, oldest first, each with bid and ask.

    Parameters
    ----------
    instrument, timeframe, side
        What it is, and which side the lake stores.
    bars
        As stored.
    quotes
        The same bars with both sides.
    spread
        Which spread was used, and where it comes from.
    """

    instrument: Instrument
    timeframe: Timeframe
    side: PriceSide
    bars: tuple[Bar, ...]
    quotes: tuple[BidAskBar, ...]
    spread: SpreadUsed

    @property
    def costs_note(self) -> str:
        """Say where spread, swap and slippage come from, a sentence each."""
        symbol, side = self.instrument.symbol, self.side.value
        night = (
            f"A night's swap of {symbol}: {self.instrument.swap_told}. "
            f"Slippage of {symbol}: {self.instrument.slippage_told}."
        )
        if self.spread.points is None:
            return f"The spread of {symbol} was {self.spread.source}. {night}"
        return (
            f"The bars of {symbol} are {side} prices without a spread: {self.spread.points:g} "
            f"points are assumed ({self.spread.source}). {night}"
        )


def read_market(
    lake: Lake,
    instrument: Instrument,
    timeframe: Timeframe,
    start_ns: int,
    end_ns: int,
    assumed_spread_points: float | None = None,
) -> Market:
    """Return the bars with ``start_ns <= closed_at_ns < end_ns`` as a market.

    Parameters
    ----------
    assumed_spread_points
        Used for bars that the source gave no spread (>= 0); None for what is known of the
        symbol, as `pipelines.spread.choose_spread` says.

    Raises
    ------
    NotFound
        If the lake has no such series, or fewer than two bars in the interval.
    InvalidInput
        If the assumed spread is negative or not finite, or nothing is known of it.
    """
    frame = lake.read_bars(instrument.symbol, timeframe, start_ns, end_ns, microstructure=True)
    if len(frame) < _LEAST_BARS:
        raise NotFound(
            f"{instrument.symbol} {timeframe} has {len(frame)} bars between {start_ns} and "
            f"{end_ns}: at least {_LEAST_BARS} are needed",
            code="EMPTY_INTERVAL",
        )
    side = lake.price_side(instrument.symbol, timeframe)
    arrays = BarArrays.from_frame(frame)
    bars = [arrays.bar(index) for index in range(len(arrays))]
    recorded = frame["spread_points"].to_numpy(dtype=np.float64)
    spread, points = choose_spread(recorded, lake, instrument, assumed_spread_points, end_ns)
    quotes = [
        two_sided(bar, timeframe, side, each, instrument.scale)
        for bar, each in zip(bars, points.tolist(), strict=True)
    ]
    return Market(
        instrument,
        timeframe,
        side,
        tuple(bars),
        tuple(quotes),
        spread,
    )
