"""Novelty: how far a vector lies from those the model has learnt from.

The root mean square of the features' distances from their median, each in units of its spread
and cut at `CUT`, so that no single feature decides alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from online.domain.errors import InvalidManifest

CUT = 8.0
"""Distance beyond which a feature counts no further, spreads."""


class NoveltyRule(msgspec.Struct, frozen=True):
    """Where the training vectors lay.

    Parameters
    ----------
    centre
        Median of each feature, in the vector's order.
    spread
        What one unit of its distance is (> 0).
    limit
        Greatest novelty that is traded (> 0).
    """

    centre: tuple[float, ...]
    spread: tuple[float, ...]
    limit: float

    def __post_init__(self) -> None:
        known = all(map(math.isfinite, (*self.centre, *self.spread, self.limit)))
        if not known or len(self.centre) != len(self.spread) or not self.centre:
            raise InvalidManifest("a novelty rule needs a finite centre and spread a feature")
        if min(self.spread) <= 0.0 or self.limit <= 0.0:
            raise InvalidManifest("a novelty rule needs spreads and a limit > 0")


def novelty(values: Sequence[float], rule: NoveltyRule) -> float:
    """Return how far a vector lies from the training vectors (>= 0).

    Parameters
    ----------
    values
        Finite feature values in the vector's order.
    rule
        Of the same features.
    """
    total = 0.0
    for value, centre, spread in zip(values, rule.centre, rule.spread, strict=True):
        distance = min(abs(value - centre) / spread, CUT)
        total += distance * distance
    return math.sqrt(total / len(rule.centre))
