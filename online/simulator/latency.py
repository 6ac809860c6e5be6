"""Latency and slippage, drawn from a seed: the same seed gives the same journal."""

from __future__ import annotations

import random

from online.domain.errors import InvalidSettings
from online.domain.market import Side
from online.simulator.markets import Market

_NANOSECONDS_PER_MILLISECOND = 1_000_000


class Latency:
    """Time an order takes to the trade server: a constant and an exponential part.

    Parameters
    ----------
    constant_milliseconds, mean_extra_milliseconds
        The parts (>= 0).
    seed
        Of the second.
    """

    def __init__(
        self,
        constant_milliseconds: float = 0.0,
        mean_extra_milliseconds: float = 0.0,
        seed: int = 0,
    ) -> None:
        if not (constant_milliseconds >= 0.0 and mean_extra_milliseconds >= 0.0):
            raise InvalidSettings(
                "latency needs parts of 0 ms or more, got "
                f"{constant_milliseconds} and {mean_extra_milliseconds}"
            )
        self._constant, self._mean = constant_milliseconds, mean_extra_milliseconds
        self._random = random.Random(seed)  # noqa: S311  # reproducible delays, not secrets

    def draw_ns(self) -> int:
        """Return the next order's travel time, nanoseconds."""
        extra = self._random.expovariate(1.0 / self._mean) if self._mean else 0.0
        return round((self._constant + extra) * _NANOSECONDS_PER_MILLISECOND)


class RandomSlippage:
    """Slippage of market orders: a whole number of points, never in the client's favour.

    Parameters
    ----------
    mean_points
        Of the exponential distribution it is drawn from (> 0).
    seed
        Of the draws.
    """

    def __init__(self, mean_points: float, seed: int = 0) -> None:
        if not mean_points > 0.0:
            raise InvalidSettings(f"slippage needs mean_points > 0, got {mean_points}")
        self._rate = 1.0 / mean_points
        self._random = random.Random(seed)  # noqa: S311  # reproducible fills, not secrets

    def __call__(self, _market: Market, _side: Side) -> float:
        """Return how many points worse than the quote the next order fills."""
        return float(int(self._random.expovariate(self._rate)))
