"""The signal: calibrated probabilities of a model and how they are combined."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, isfinite, log
from operator import attrgetter
from typing import Final

import msgspec

from online.domain.errors import InvalidManifest

Probabilities = tuple[float, float, float]
"""Of a short reaching its target, of neither, of a long reaching its target."""

_RAW: Final = attrgetter("raw")
_TINY = 1e-7  # float32 softmax underflows to exactly 0.0; its logarithm must stay finite
_SUM_TOLERANCE = 1e-3


class Calibration(msgspec.Struct, frozen=True):
    """Vector scaling: a weight and a bias for each class's log probability.

    ``softmax(weights * log(p) + biases)``; fitted on out-of-fold outputs of the ONNX file that
    serves. Weights of one and biases of zero change nothing.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.

    Parameters
    ----------
    weights, biases
        One number a class: short, neither, long.
    """

    weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    biases: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if not all(isfinite(x) for x in (*self.weights, *self.biases)):
            raise InvalidManifest(f"calibration must be finite, got {self}")

    def apply(self, raw: Probabilities) -> Probabilities:
        """Return the calibrated probabilities of one raw output."""
        w, b = self.weights, self.biases
        short, neither, long = raw
        short = w[0] * log(max(short, _TINY)) + b[0]
        neither = w[1] * log(max(neither, _TINY)) + b[1]
        long = w[2] * log(max(long, _TINY)) + b[2]
        top = max(short, neither, long)
        e_short, e_neither, e_long = exp(short - top), exp(neither - top), exp(long - top)
        total = e_short + e_neither + e_long
        return e_short / total, e_neither / total, e_long / total


class MemberOutput(msgspec.Struct, frozen=True, gc=False):
    """Raw output of one member of the ensemble."""

    name: str
    raw: Probabilities


class Checks(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What the validators measured; None where the model has no such validator.

    Parameters
    ----------
    novelty
        Distance of the vector from the training vectors (>= 0).
    plausible
        Outcomes that cannot be ruled out: 0 short, 1 neither, 2 long.
    chance
        Probability that the trade earns after costs.
    """

    novelty: float | None = None
    plausible: tuple[int, ...] | None = None
    chance: float | None = None


class Signal(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What the model says of one bar.

    Parameters
    ----------
    members
        Raw output of every member, in the manifest's order.
    probabilities
        Calibrated and combined: short, neither, long; they add up to one.
    missing
        Members that gave no output, in the manifest's order; the others spoke without them.
    checks
        What the validators measured; None where the model has none.
    """

    members: tuple[MemberOutput, ...]
    probabilities: Probabilities
    missing: tuple[str, ...] = ()
    checks: Checks | None = None

    @property
    def edge(self) -> float:
        """P(long reaches its target) - P(short reaches its target), in [-1, 1]."""
        return self.probabilities[2] - self.probabilities[0]

    @property
    def confidence(self) -> float:
        """Size of the edge, in [0, 1]."""
        return abs(self.edge)


def is_distribution(raw: Probabilities) -> bool:
    """Tell whether `raw` is finite, within [0, 1] and adds up to one."""
    short, neither, long = raw  # what is no number is not within [0, 1] either
    within = 0.0 <= short <= 1.0 and 0.0 <= neither <= 1.0 and 0.0 <= long <= 1.0
    return within and abs(short + neither + long - 1.0) <= _SUM_TOLERANCE


def combine(
    outputs: tuple[MemberOutput, ...],
    calibrations: tuple[Calibration, ...],
    weights: tuple[float, ...],
) -> Signal:
    """Return the ensemble's signal: the weighted mean of its members' calibrated outputs.

    Parameters
    ----------
    outputs
        Raw outputs, one a member.
    calibrations
        Each member's calibration, same order.
    weights
        Each member's weight (> 0), same order; they need not add up to one.
    """
    return Signal(outputs, _weigh([output.raw for output in outputs], calibrations, weights))


class Mixture:
    """The weighted mean of calibrated outputs of the same members.

    Rules, and trees at times, say the same again: what was worked out last is kept.

    Parameters
    ----------
    calibrations, weights
        One a member, as in `combine`.
    """

    __slots__ = ("_calibrations", "_last", "_weights")

    def __init__(self, calibrations: tuple[Calibration, ...], weights: tuple[float, ...]) -> None:
        self._calibrations, self._weights = calibrations, weights
        self._last: tuple[tuple[Probabilities, ...], Probabilities | None] = ((), None)

    def of(self, outputs: tuple[MemberOutput, ...]) -> Probabilities | None:
        """Return the mean; None if one of the members' raw outputs is no distribution."""
        raws = (outputs[0].raw,) if len(outputs) == 1 else tuple(map(_RAW, outputs))
        known, mean = self._last
        if raws != known:
            sound = all(map(is_distribution, raws))
            mean = _weigh(raws, self._calibrations, self._weights) if sound else None
            self._last = (raws, mean)
        return mean


def _weigh(
    raws: Sequence[Probabilities],
    calibrations: tuple[Calibration, ...],
    weights: tuple[float, ...],
) -> Probabilities:
    short = neither = long = total = 0.0
    for raw, calibration, weight in zip(raws, calibrations, weights, strict=True):
        p = calibration.apply(raw)
        short += weight * p[0]
        neither += weight * p[1]
        long += weight * p[2]
        total += weight
    return short / total, neither / total, long / total
