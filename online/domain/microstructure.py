"""What quotes tell of a bar beyond its prices."""

from __future__ import annotations

import math

import msgspec

from online.domain.errors import InvalidMarketData


class Microstructure(msgspec.Struct, frozen=True, gc=False):
    """Figures of the quotes that made a bar; all of them are known, or the bar has none.

    Parameters
    ----------
    quotes
        How many there were (> 0).
    rising_quotes, falling_quotes
        How many of them moved the mid price up and down (>= 0).
    spread_points, spread_max_points
        Mean and widest spread, the instrument's smallest steps (>= 0).
    tick_imbalance
        Rises less falls over both, in [-1, 1]; 0 without either.
    realised_variance
        Sum of the squared log returns of the mid price (>= 0).
    bipower_variation
        pi/2 times the sum of products of neighbouring absolute log returns (>= 0).
    quote_autocovariance
        Sum of products of neighbouring log returns.

    Raises
    ------
    InvalidMarketData
        If a figure is not finite or out of its range.
    """

    quotes: float
    rising_quotes: float
    falling_quotes: float
    spread_points: float
    spread_max_points: float
    tick_imbalance: float
    realised_variance: float
    bipower_variation: float
    quote_autocovariance: float

    def __post_init__(self) -> None:
        figures = msgspec.structs.astuple(self)
        signed = (self.tick_imbalance, self.quote_autocovariance)
        if not all(map(math.isfinite, figures)):
            raise InvalidMarketData(f"a bar's microstructure must be finite, got {self}")
        if sum(figure < 0.0 for figure in figures) > sum(figure < 0.0 for figure in signed):
            raise InvalidMarketData(f"only imbalance and covariance may be negative, got {self}")
        if self.quotes < 1.0 or abs(self.tick_imbalance) > 1.0:
            raise InvalidMarketData(f"a bar needs a quote and an imbalance of 1 at most: {self}")


MICROSTRUCTURE: tuple[str, ...] = Microstructure.__struct_fields__
"""Names of the figures, in order."""
