"""A market to trade on: the lake's bars of one symbol, with both sides of the price."""

from __future__ import annotations

import math
from dataclasses import dataclass

from feature_repo.bars import BarArrays
from online.domain.errors import InvalidInput, NotFound
from online.domain.market import Bar, Instrument, PriceSide, Timeframe
from online.simulator.bars import BidAskBar, two_sided
from pipelines.lake import Lake

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
    assumed_spread_points
        Spread used where the lake has none; None if every bar brought its own.
    """

    instrument: Instrument
    timeframe: Timeframe
    side: PriceSide
    bars: tuple[Bar, ...]
    quotes: tuple[BidAskBar, ...]
    assumed_spread_points: float | None

    @property
    def costs_note(self) -> str:
        """Say in one sentence where the spread comes from."""
        if self.assumed_spread_points is None:
            return f"Spread as recorded with each {self.side.value} bar."
        return (
            f"The bars are {self.side.value} prices without a spread: "
            f"{self.assumed_spread_points:g} points are assumed, a declared assumption."
        )


def read_market(
    lake: Lake,
    instrument: Instrument,
    timeframe: Timeframe,
    start_ns: int,
    end_ns: int,
    assumed_spread_points: float,
) -> Market:
    """Return the bars with ``start_ns <= closed_at_ns < end_ns`` as a market.

    Parameters
    ----------
    assumed_spread_points
        Used for bars that the source gave no spread (>= 0).

    Raises
    ------
    NotFound
        If the lake has no such series, or fewer than two bars in the interval.
    InvalidInput
        If the assumed spread is negative or not finite.
    """
    if not (math.isfinite(assumed_spread_points) and assumed_spread_points >= 0.0):
        raise InvalidInput(f"assumed_spread_points must be 0 or more: {assumed_spread_points}")
    frame = lake.read_bars(instrument.symbol, timeframe, start_ns, end_ns, microstructure=True)
    if len(frame) < _LEAST_BARS:
        raise NotFound(
            f"{instrument.symbol} {timeframe} has {len(frame)} bars between {start_ns} and "
            f"{end_ns}: at least {_LEAST_BARS} are needed",
            code="EMPTY_INTERVAL",
        )
    side = lake.price_side(instrument.symbol, timeframe)
    quotes, assumed = [], False
    arrays = BarArrays.from_frame(frame)
    bars = [arrays.bar(index) for index in range(len(arrays))]
    for bar, recorded in zip(bars, frame["spread_points"].tolist(), strict=True):
        spread = recorded
        if math.isnan(recorded):
            spread, assumed = assumed_spread_points, True
        quotes.append(two_sided(bar, timeframe, side, spread, instrument.scale))
    return Market(
        instrument,
        timeframe,
        side,
        tuple(bars),
        tuple(quotes),
        assumed_spread_points if assumed else None,
    )
