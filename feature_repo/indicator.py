"""TA-Lib as nodes: its array functions in batch, its stream handles live."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import talib
from talib import stream
from talib.abstract import Function  # type: ignore[attr-defined] # made at import

from feature_repo.bars import Floats
from feature_repo.nodes import NAN, Node, Step, Values


class Talib(Node):
    """A TA-Lib function: its array form in batch, its stream handle live.

    Parameters
    ----------
    function
        TA-Lib's name in capitals.
    inputs
        In the function's order.
    parameters
        By TA-Lib's names; what is not given has TA-Lib's default.
    """

    makes_fresh_arrays = True

    def __init__(self, function: str, *inputs: Node, **parameters: float) -> None:
        super().__init__(*inputs)
        self.function = function
        self.parameters = parameters
        self.lookback_bars: int = Function(function, **parameters).lookback
        self.memory_bars = max(node.memory_bars for node in inputs) + self.lookback_bars
        settings = [f"{name}={value}" for name, value in sorted(parameters.items())]
        self.text = f"{function}({', '.join([node.text for node in inputs] + settings)})"
        self.outputs: int = len(Function(function).output_names)

    @property
    def _input_memory(self) -> int:
        return max(node.memory_bars for node in self.inputs)

    def batch(self, *arrays: Floats) -> Values:
        """Call the array function; all NaN where there are too few bars."""
        if len(arrays[0]) <= self.memory_bars:
            empty = np.full(len(arrays[0]), NAN)
            return empty if self.outputs == 1 else (empty,) * self.outputs
        result = getattr(talib, self.function)(*arrays, **self.parameters)
        return result if self.outputs == 1 else tuple(result)

    def open(self, *histories: Floats) -> Step:
        """Return the handle's update, or a step that waits for enough bars to open one."""
        known = [history[self._input_memory :] for history in histories]
        if len(known[0]) > self.lookback_bars:
            handle = getattr(stream, self.function)(*known, **self.parameters)
            return handle.update  # type: ignore[no-any-return] # TA-Lib's class is built in C
        return _WaitingHandle(self, [array.tolist() for array in known])


class _WaitingHandle:
    """A TA-Lib handle that opens itself once it has seen enough bars."""

    def __init__(self, node: Talib, known: list[list[float]]) -> None:
        self._node = node
        self._known = known
        self._update: Step | None = None
        self._nothing: Any = NAN if node.outputs == 1 else (NAN,) * node.outputs

    def __call__(self, *values: float) -> Values:
        if self._update is not None:
            return self._update(*values)
        if any(value != value for value in values):  # noqa: PLR0124 - NaN test
            return self._nothing
        for column, value in zip(self._known, values, strict=True):
            column.append(value)
        if len(self._known[0]) <= self._node.lookback_bars:
            return self._nothing
        handle = getattr(stream, self._node.function)(
            *(np.array(column) for column in self._known), **self._node.parameters
        )
        self._update = handle.update
        self._known = []
        return handle.value


class Output(Node):
    """One of several outputs of a TA-Lib function."""

    def __init__(self, talib_call: Talib, index: int) -> None:
        super().__init__(talib_call)
        self.index = index
        self.memory_bars = talib_call.memory_bars
        self.text = f"{talib_call.text}[{index}]"

    def batch(self, *arrays: Values) -> Values:
        """Pick the output's array."""
        return arrays[0][self.index]

    def open(self, *histories: Values) -> Step:  # noqa: ARG002 - it has no state
        """Pick the output's number."""
        return operator.itemgetter(self.index)
