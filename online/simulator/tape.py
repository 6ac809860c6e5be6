"""The tape: recorded ticks of several symbols, played to a terminal in order of time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from online.simulator.prices import Ticks
from online.simulator.terminal import SimulatedTerminal


class Tape:
    """Recorded ticks that are played as far as one asks.

    Parameters
    ----------
    terminal
        Who hears them.
    ticks
        By symbol; ticks of one instant are played in the symbols' order.
    """

    def __init__(self, terminal: SimulatedTerminal, ticks: Mapping[str, Ticks]) -> None:
        self._terminal = terminal
        self._ticks = dict(ticks)
        self._symbols = list(self._ticks)
        counts = [len(each) for each in self._ticks.values()]
        at_ns = np.concatenate([np.empty(0, np.int64), *(t.at_ns for t in self._ticks.values())])
        owners = np.repeat(np.arange(len(counts)), counts)
        order = np.argsort(at_ns, kind="stable")
        self._at_ns, self._owners = at_ns[order], owners[order]
        self._places = (np.arange(len(at_ns)) - np.repeat(np.cumsum([0, *counts])[:-1], counts))[
            order
        ]
        self._next = 0

    @property
    def finished(self) -> bool:
        """True if every tick was played."""
        return self._next >= len(self._at_ns)

    def play(self, n_ticks: int) -> None:
        """Play the next ticks, or what is left of them."""
        self._play_to(min(self._next + n_ticks, len(self._at_ns)))

    def play_until(self, now_ns: int) -> None:
        """Play all ticks up to an instant, and let time pass to it."""
        self._play_to(int(np.searchsorted(self._at_ns, now_ns, side="right")))
        self._terminal.pass_time(now_ns)

    def _play_to(self, end: int) -> None:
        """Play up to a place, one run of a symbol after the other."""
        if end <= self._next:
            return
        owners = self._owners[self._next : end]
        edges = np.flatnonzero(np.diff(owners)) + 1
        starts = [self._next, *(edges + self._next).tolist()]
        for start, stop in zip(starts, [*starts[1:], end], strict=True):
            symbol = self._symbols[int(self._owners[start])]
            first, last = int(self._places[start]), int(self._places[stop - 1]) + 1
            run = self._ticks[symbol].slice(first, last)
            self._terminal.on_ticks(symbol, run.at_ns, run.bid, run.ask)
        self._next = end
