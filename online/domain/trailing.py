"""A trailing stop: the broker-side stop follows the market, in the position's favour alone.

A model's exit is its label's barriers, and no label trails. So only a position that an operator
has put under a rule is trailed, and the journal says who did it and when.
"""

from __future__ import annotations

from math import isfinite

import msgspec

from online.domain.account import Position
from online.domain.errors import InvalidInput
from online.domain.market import Instrument, Quote, to_tick

BY = "trailing rule"
"""Who moves a stop, in the journal."""
_TOLERANCE_POINTS = 1e-6


class TrailingRule(msgspec.Struct, frozen=True, gc=False):
    """How a stop follows the market.

    Parameters
    ----------
    distance
        From the price the position would close at to its stop, in price (> 0).
    step
        Least move of the stop, in price (>= 0); a smaller one is not worth a request.

    Raises
    ------
    InvalidInput
        If either cannot be.
    """

    distance: float
    step: float = 0.0

    def __post_init__(self) -> None:
        if not (isfinite(self.distance) and self.distance > 0.0):
            raise InvalidInput(f"a trailing distance must be above 0, got {self.distance}")
        if not (isfinite(self.step) and self.step >= 0.0):
            raise InvalidInput(f"a trailing step must not be negative, got {self.step}")


def trail(
    position: Position, quote: Quote, rule: TrailingRule, instrument: Instrument
) -> float | None:
    """Return the stop that a position is to have now; None while the present one stays.

    Parameters
    ----------
    position
        As the broker tells it, with the stop it has there; one without a stop gets one.
    quote
        The latest of its symbol.
    rule, instrument
        Of the position.

    Examples
    --------
    >>> from online.domain.market import Side
    >>> eurusd = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0)
    >>> held = Position(1, 1, "EURUSD", Side.BUY, 0.1, 1.1, 0, stop=1.09, target=0.0)
    >>> trail(held, Quote("EURUSD", 1.12, 1.1201, 0), TrailingRule(0.01), eurusd)
    1.11
    """
    side, scale = position.side, instrument.scale
    price = quote.price_to_close(side)
    if quote.symbol != position.symbol or not (isfinite(price) and 0.0 < quote.bid <= quote.ask):
        return None
    wanted = to_tick(price - side.sign * rule.distance, scale)
    least_points = max(instrument.stops_level_points, 1) - _TOLERANCE_POINTS
    if not wanted > 0.0 or side.sign * (price - wanted) * scale < least_points:
        return None
    if position.stop:
        gained_points = side.sign * (wanted - position.stop) * scale
        if gained_points < max(rule.step * scale, 1.0) - _TOLERANCE_POINTS:
            return None
    return wanted
