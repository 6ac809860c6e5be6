"""Slippage: by how much what is bought or sold at the market is worse than the price seen.

Labels, the simulated terminal and what is bought and held call these functions and no others. They
use arithmetic alone, so a NumPy array takes the same path, bit for bit, as each of its elements.
"""

from __future__ import annotations

from online.domain.barriers import Exit
from online.domain.market import Side, to_tick

_TARGET = Exit.TARGET


def slip(price: float, side: Side, points: float, scale: float) -> float:
    """Return where an order of `side` fills at the market.

    Parameters
    ----------
    price
        That was seen, or an array of such.
    side
        Of the order: a buy pays more, a sell gets less.
    points
        Slippage, a whole number (>= 0).
    scale
        Points in one unit of price.

    Examples
    --------
    >>> from online.domain.market import Side
    >>> slip(1.1, Side.SELL, 2, 100_000.0)
    1.09998
    """
    if not points:
        return price
    return to_tick(price + side.sign * points / scale, scale)


def slips(ended: Exit) -> bool:
    """Tell whether what ended a position was an order at the market.

    A stop and a time-out are; a target is a limit, which fills at its price.
    """
    return ended is not _TARGET
