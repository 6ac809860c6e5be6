"""Bars as columns, and both sides of the market behind one-sided bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from online.domain.barriers import other_side
from online.domain.errors import InvalidMarketData
from online.domain.market import PriceSide

Floats = npt.NDArray[np.float64]
Stamps = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of one symbol and timeframe, oldest first, one array a column.

    Parameters
    ----------
    closed_at_ns
        End of each bar, nanoseconds UTC, strictly increasing, shape ``(n_bars,)``.
    open, high, low, close
        Prices of one side of the market, shape ``(n_bars,)``.

    Raises
    ------
    InvalidMarketData
        If the columns differ in length, the stamps do not increase, or a price cannot be.
    """

    closed_at_ns: Stamps
    open: Floats
    high: Floats
    low: Floats
    close: Floats

    def __post_init__(self) -> None:
        columns = (self.open, self.high, self.low, self.close)
        if any(c.shape != self.closed_at_ns.shape or c.ndim != 1 for c in columns):
            raise InvalidMarketData("the columns of bars must be of one length")
        if np.any(np.diff(self.closed_at_ns) <= 0):
            raise InvalidMarketData("bars must be ordered by strictly increasing close stamps")
        for column in columns:
            if not np.all(np.isfinite(column) & (column > 0.0)):
                raise InvalidMarketData("bar prices must be finite and positive")
        if np.any(self.low > np.minimum(self.open, self.close)) or np.any(
            self.high < np.maximum(self.open, self.close)
        ):
            raise InvalidMarketData("bars need low <= open, close <= high")

    def __len__(self) -> int:
        """Return the number of bars."""
        return len(self.closed_at_ns)

    def take(self, rows: npt.NDArray[np.int64]) -> Bars:
        """Return the bars at `rows` (increasing positions)."""
        return Bars(
            self.closed_at_ns[rows],
            self.open[rows],
            self.high[rows],
            self.low[rows],
            self.close[rows],
        )


@dataclass(frozen=True, slots=True)
class TwoSided:
    """The same bars on both sides of the market.

    Parameters
    ----------
    bid, ask
        What sells fill at and what buys fill at.
    """

    bid: Bars
    ask: Bars


def quote_both_sides(
    bars: Bars, price_side: PriceSide, spread_points: Floats | float, scale: float
) -> TwoSided:
    """Return both sides of one-sided bars under a recorded or assumed spread.

    Each of the four prices is shifted and rounded to the instrument's step on its own, as the
    simulated terminal does.

    Parameters
    ----------
    bars
        Bars of one side.
    price_side
        The side they are.
    spread_points
        Of every bar, points (>= 0): one number, or one a bar.
    scale
        Points in one unit of price (`Instrument.scale`).

    Raises
    ------
    InvalidMarketData
        If a spread is negative or not a number, or leaves no price.
    """
    if not np.all(np.isfinite(spread_points) & (np.asarray(spread_points) >= 0.0)):
        raise InvalidMarketData("spreads must be finite and not negative, in points")
    spread: Any = spread_points
    sign = -1 if price_side is PriceSide.ASK else 1

    def shifted(prices: Any) -> Floats:  # noqa: ANN401 - the domain's float arithmetic, on an array
        return np.asarray(other_side(prices, spread, sign, scale), dtype=np.float64)

    other = Bars(
        bars.closed_at_ns,
        shifted(bars.open),
        shifted(bars.high),
        shifted(bars.low),
        shifted(bars.close),
    )
    return TwoSided(other, bars) if price_side is PriceSide.ASK else TwoSided(bars, other)
