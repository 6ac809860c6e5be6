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
