"""The words a feature is written in.

An expression is written once and evaluated over arrays or bar by bar.

>>> (CLOSE / call("EMA", CLOSE, timeperiod=12) - 1.0).text
'((close / EMA(close, timeperiod=12)) - 1.0)'
"""

from __future__ import annotations

from feature_repo.indicator import Output, Talib
from feature_repo.nodes import Arithmetic, Lag, Node, Source, as_node

OPEN, HIGH, LOW, CLOSE = Source("open"), Source("high"), Source("low"), Source("close")
VOLUME = Source("volume")
QUOTES, RISES, FALLS = Source("quotes"), Source("rising_quotes"), Source("falling_quotes")
"""Quotes of the bar, and those that moved the mid price up and down."""
SPREAD, SPREAD_MAX = Source("spread_points"), Source("spread_max_points")
"""Mean and widest spread of the bar's quotes, points."""
TICK_IMBALANCE = Source("tick_imbalance")
QUOTE_VARIANCE, QUOTE_BIPOWER = Source("realised_variance"), Source("bipower_variation")
QUOTE_AUTOCOVARIANCE = Source("quote_autocovariance")
"""Sums over the bar's quotes; see `online.domain.microstructure`."""
CLOSED_AT = Source("closed_at_ns")
"""End of the bar, nanoseconds UTC, an integer."""


def call(function: str, *inputs: Node, output: int = 0, **parameters: float) -> Node:
    """Return a TA-Lib function's output, for example ``call("RSI", CLOSE, timeperiod=14)``.

    Parameters
    ----------
    function, inputs, parameters
        As of `Talib`.
    output
        Which one, where there are several.
    """
    node = Talib(function, *inputs, **parameters)
    return node if node.outputs == 1 else Output(node, output)


def total(node: Node, bars: int) -> Node:
    """Return the sum over the last `bars` bars."""
    return Talib("SUM", node, timeperiod=bars)


def mean(node: Node, bars: int) -> Node:
    """Return the simple average over the last `bars` bars."""
    return Talib("SMA", node, timeperiod=bars)


def highest(node: Node, bars: int) -> Node:
    """Return the greatest value of the last `bars` bars."""
    return Talib("MAX", node, timeperiod=bars)


def lowest(node: Node, bars: int) -> Node:
    """Return the least value of the last `bars` bars."""
    return Talib("MIN", node, timeperiod=bars)


def share(part: Node, whole: Node, floor: float) -> Node:
    """Return ``part / whole``, and zero where the whole does not exceed `floor`.

    A running sum that should be zero is some rounding error instead; dividing by it would make
    noise look like a signal.

    Parameters
    ----------
    part, whole
        Dividend and divisor.
    floor
        Size of the divisor that counts as nothing (> 0).
    """
    return part * exceeds(whole, floor) / maximum(whole, floor)


def lag(node: Node, bars: int) -> Node:
    """Return `node` as it was `bars` bars ago."""
    return Lag(node, bars)


def change(node: Node, bars: int) -> Node:
    """Return the difference to `bars` bars ago."""
    return node - Lag(node, bars)


def log(node: Node) -> Node:
    """Return the natural logarithm of a positive node, TA-Lib's in both directions."""
    return Talib("LN", node)


def absolute(node: Node) -> Node:
    """Return the absolute value."""
    return Arithmetic("absolute", node)


def square_root(node: Node) -> Node:
    """Return the square root; rounding below zero counts as zero."""
    return Arithmetic("square_root", maximum(node, 0.0))


def maximum(first: Node | float, second: Node | float) -> Node:
    """Return the larger of two values of one bar."""
    return Arithmetic("maximum", as_node(first), as_node(second))


def minimum(first: Node | float, second: Node | float) -> Node:
    """Return the smaller of two values of one bar."""
    return Arithmetic("minimum", as_node(first), as_node(second))


def exceeds(first: Node | float, second: Node | float) -> Node:
    """Return 1.0 where `first` is greater than `second`, else 0.0."""
    return Arithmetic(">", as_node(first), as_node(second))
