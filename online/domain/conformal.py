"""Conformal prediction: the outcomes that cannot be ruled out at a known rate of error.

An outcome is plausible if one less its probability is no greater than what came of past outcomes
in all but a share `error` of cases. On exchangeable rows the true outcome is then among the
plausible ones at least as often as promised.

Source: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005, chapter 4
(split conformal prediction with the least ambiguous set of Sadinle, Lei and Wasserman, 2019).
"""

from __future__ import annotations

import math

import msgspec

from online.domain.errors import InvalidManifest
from online.domain.signal import Probabilities

N_OUTCOMES = 3


class ConformalRule(msgspec.Struct, frozen=True):
    """What was fitted on calibrated out-of-fold probabilities.

    Parameters
    ----------
    error
        Share of outcomes that may lie outside their set, in (0, 1).
    limit
        Greatest value of one less the probability of a plausible outcome, in [0, 1].
    """

    error: float
    limit: float

    def __post_init__(self) -> None:
        if not 0.0 < self.error < 1.0:
            raise InvalidManifest(f"conformal error must be within (0, 1), got {self.error}")
        if not (math.isfinite(self.limit) and 0.0 <= self.limit <= 1.0):
            raise InvalidManifest(f"conformal limit must be within [0, 1], got {self.limit}")


def plausible(probabilities: Probabilities, rule: ConformalRule) -> tuple[int, ...]:
    """Return the outcomes that cannot be ruled out: 0 short, 1 neither, 2 long."""
    return tuple(n for n in range(N_OUTCOMES) if 1.0 - probabilities[n] <= rule.limit)
