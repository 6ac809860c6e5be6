"""Classic technical rules: the baseline every model is judged beside.

1. Trend: the close stands above (below) its 50-bar exponential average.
2. Momentum agrees: the MACD histogram is positive (negative).
3. Not too late: RSI(14) is not yet above 70 (below 30).

All three say buy (sell), or the rules say nothing.

Source: Murphy, Technical Analysis of the Financial Markets, 1999, chapters 9 and 10.
"""

from __future__ import annotations

from collections.abc import Sequence

from online.domain.market import BUY, SELL, Side
from online.domain.signal import Probabilities
from online.domain.vector import VectorContract

TREND, MOMENTUM, STRENGTH = "ema_50_ratio", "macd_histogram_atr", "rsi_14"
RULE_FEATURES = (TREND, MOMENTUM, STRENGTH)
OVERBOUGHT, OVERSOLD = 70.0, 30.0

SAY_SHORT: Probabilities = (0.5, 0.2, 0.3)
SAY_NOTHING: Probabilities = (0.4, 0.2, 0.4)
SAY_LONG: Probabilities = (0.3, 0.2, 0.5)


def vote(values: Sequence[float], contract: VectorContract) -> Probabilities:
    """Return what the rules say of one vector.

    Parameters
    ----------
    values
        Finite feature values in the contract's order.
    contract
        Holds `RULE_FEATURES` among its features.

    Returns
    -------
    Probabilities
        Fixed numbers for a short, for nothing and for a long: a vote, no forecast.

    Raises
    ------
    InvalidManifest
        If the contract lacks one of the rules' features.
    """
    trend = values[contract.index(TREND)]
    momentum = values[contract.index(MOMENTUM)]
    strength = values[contract.index(STRENGTH)]
    if trend > 0.0 and momentum > 0.0 and strength <= OVERBOUGHT:
        return SAY_LONG
    if trend < 0.0 and momentum < 0.0 and strength >= OVERSOLD:
        return SAY_SHORT
    return SAY_NOTHING


def candidate(edge: float, min_edge: float) -> Side | None:
    """Return the side that an edge asks for; None where it is too small to be traded.

    Everything that may be traded passes here before the validators see it.

    Parameters
    ----------
    edge
        P(long reaches its target) - P(short reaches its target).
    min_edge
        Least size that is traded.
    """
    if edge == 0.0 or abs(edge) < min_edge:
        return None
    return BUY if edge > 0.0 else SELL
