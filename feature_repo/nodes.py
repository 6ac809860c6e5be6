"""Nodes of an expression: columns of the bars, arithmetic and looking back.

Each node knows two things that the laws prove equal bit for bit: `batch`, over arrays, and
`open`, which returns a step to be fed one bar after the other.
"""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from feature_repo.bars import Floats
from online.domain.errors import InvalidInput

Values = Any
"""An array of shape ``(n_bars,)``, a number, or a tuple of either where there are many outputs."""

Step = Callable[..., Values]
"""Takes the inputs' values at one bar, returns the node's."""

NAN = float("nan")


class Node(ABC):
    """One operation of an expression.

    Parameters
    ----------
    inputs
        The nodes it reads.

    Attributes
    ----------
    memory_bars : int
        Leading bars for which the value is NaN; from then on it is a number.
    text : str
        Canonical formula; equal texts are one node.
    makes_fresh_arrays : bool
        Whether `batch` always returns an array of its own, which may be written over once
        nobody needs it.
    """

    memory_bars: int
    text: str
    makes_fresh_arrays: ClassVar[bool] = False

    def __init__(self, *inputs: Node) -> None:
        self.inputs = inputs

    @abstractmethod
    def batch(self, *arrays: Values) -> Values:
        """Return the values over all bars, given the inputs' arrays, shape ``(n_bars,)``."""

    @abstractmethod
    def open(self, *histories: Values) -> Step:
        """Return a step that goes on after `histories`, the inputs' arrays so far."""

    @cached_property
    def sources(self) -> frozenset[str]:
        """Names of the bar's columns this depends on."""
        return frozenset().union(*(node.sources for node in self.inputs))

    def __add__(self, other: Node | float) -> Node:
        return Arithmetic("+", self, as_node(other))

    def __radd__(self, other: float) -> Node:
        return Arithmetic("+", as_node(other), self)

    def __sub__(self, other: Node | float) -> Node:
        return Arithmetic("-", self, as_node(other))

    def __rsub__(self, other: float) -> Node:
        return Arithmetic("-", as_node(other), self)

    def __mul__(self, other: Node | float) -> Node:
        return Arithmetic("*", self, as_node(other))

    def __rmul__(self, other: float) -> Node:
        return Arithmetic("*", as_node(other), self)

    def __truediv__(self, other: Node | float) -> Node:
        return Arithmetic("/", self, as_node(other))

    def __rtruediv__(self, other: float) -> Node:
        return Arithmetic("/", as_node(other), self)


class Source(Node):
    """A column of the bars."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.text = name
        self.memory_bars = 0

    @cached_property
    def sources(self) -> frozenset[str]:
        """Its own name."""
        return frozenset((self.text,))

    def batch(self, *arrays: Values) -> Values:
        """Raise: the engine hands the column over itself."""
        raise NotImplementedError

    def open(self, *histories: Values) -> Step:
        """Raise: the engine hands the column over itself."""
        raise NotImplementedError


class Constant(Node):
    """A number."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = float(value)
        self.text = repr(self.value)
        self.memory_bars = 0

    def batch(self, *arrays: Values) -> float:  # noqa: ARG002 - it has no state
        """Return the number; NumPy spreads it."""
        return self.value

    def open(self, *histories: Values) -> Step:  # noqa: ARG002 - it has no state
        """Return a step that returns the number."""
        value = self.value
        return lambda: value


def _divide_arrays(dividend: Values, divisor: Values, out: Floats | None = None) -> Values:
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = np.divide(dividend, divisor, out=out)
    nothing = np.equal(divisor, 0.0)
    if nothing.any():
        np.copyto(quotient, np.multiply(dividend, 0.0), where=nothing)
    return quotient


def _divide(dividend: float, divisor: float) -> float:
    return dividend * 0.0 if divisor == 0.0 else dividend / divisor


def _larger(first: float, second: float) -> float:
    return first if first >= second or first != first else second  # noqa: PLR0124 - NaN test


def _smaller(first: float, second: float) -> float:
    return first if first <= second or first != first else second  # noqa: PLR0124 - NaN test


def _larger_arrays(first: Values, second: Values, out: Floats | None = None) -> Values:
    if isinstance(second, float) and second != 0.0:
        return np.maximum(first, second, out=out)
    return np.where((first >= second) | np.isnan(first), first, second)


def _smaller_arrays(first: Values, second: Values, out: Floats | None = None) -> Values:
    if isinstance(second, float) and second != 0.0:
        return np.minimum(first, second, out=out)
    return np.where((first <= second) | np.isnan(first), first, second)


def _exceeds_arrays(first: Values, second: Values, out: Floats | None = None) -> Values:
    result = np.add(first, second, out=out)
    missing = np.isnan(result)
    np.copyto(result, np.greater(first, second))
    np.copyto(result, np.nan, where=missing)
    return result


def _exceeds(first: float, second: float) -> float:
    total = first + second
    if total != total:  # noqa: PLR0124 - NaN test
        return NAN
    return 1.0 if first > second else 0.0


class Arithmetic(Node):
    """An operation on the values of one bar; exact in IEEE arithmetic, so both ways agree.

    Dividing by zero gives zero: a bar without range, a window without movement. ``>`` gives 1.0
    or 0.0.
    """

    makes_fresh_arrays = True
    _BATCH: ClassVar[dict[str, Callable[..., Any]]] = {
        "+": np.add,
        "-": np.subtract,
        "*": np.multiply,
        "/": _divide_arrays,
        ">": _exceeds_arrays,
        "maximum": _larger_arrays,
        "minimum": _smaller_arrays,
        "absolute": np.abs,
        "square_root": np.sqrt,
    }
    _LIVE: ClassVar[dict[str, Step]] = {
        "+": operator.add,
        "-": operator.sub,
        "*": operator.mul,
        "/": _divide,
        ">": _exceeds,
        "maximum": _larger,
        "minimum": _smaller,
        "absolute": abs,
        "square_root": math.sqrt,
    }

    def __init__(self, operation: str, *inputs: Node) -> None:
        super().__init__(*inputs)
        self.operation = operation
        self.memory_bars = max(node.memory_bars for node in inputs)
        if operation.isalpha() or "_" in operation:
            self.text = f"{operation}({', '.join(node.text for node in inputs)})"
        else:
            self.text = f"({inputs[0].text} {operation} {inputs[1].text})"

    def batch(self, *arrays: Values, out: Floats | None = None) -> Values:
        """Apply the operation to arrays.

        Parameters
        ----------
        arrays
            The inputs'.
        out
            An array nobody needs any more, to write into: fresh memory costs more than the sum.
        """
        return self._BATCH[self.operation](*arrays, out=out)

    def open(self, *histories: Values) -> Step:  # noqa: ARG002 - it has no state
        """Return the operation on numbers; it has no state."""
        return self._LIVE[self.operation]


class Lag(Node):
    """The value some bars ago.

    Parameters
    ----------
    node
        What is looked back at.
    bars
        How far (> 0); looking ahead is refused.
    """

    makes_fresh_arrays = True

    def __init__(self, node: Node, bars: int) -> None:
        super().__init__(node)
        if bars < 1:
            raise InvalidInput(f"a lag looks back at least one bar, got {bars}")
        self.bars = bars
        self.memory_bars = node.memory_bars + bars
        self.text = f"lag({node.text}, {bars})"

    def batch(self, *arrays: Floats) -> Floats:
        """Shift the array by `bars`, NaN first."""
        (values,) = arrays
        shifted = np.full(len(values), NAN)
        shifted[self.bars :] = values[: -self.bars]
        return shifted

    def open(self, *histories: Floats) -> Step:
        """Return a step over a queue of the last `bars` values."""
        (history,) = histories
        last = history[-self.bars :].tolist()
        queue = deque([NAN] * (self.bars - len(last)) + last)
        append, popleft = queue.append, queue.popleft

        def step(value: float) -> float:
            append(value)
            return float(popleft())

        return step


def as_node(value: Node | float) -> Node:
    """Return `value` itself, or a constant of it."""
    return value if isinstance(value, Node) else Constant(value)
