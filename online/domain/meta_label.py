"""The meta-label: should this signal be taken? A second model that sees the first one's signal.

A logistic regression on what the signal says and on features that are read in its direction: a
feature counts as leaning with the trade or against it. It can refuse a trade, never make one.

Source: López de Prado, Advances in Financial Machine Learning, 2018, section 3.6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from online.domain.errors import InvalidManifest
from online.domain.rules import vote
from online.domain.signal import Probabilities
from online.domain.vector import VectorContract

CONFIDENCE, NEITHER, AGREEMENT = "signal:confidence", "signal:neither", "rules:agreement"
SPOKEN = (CONFIDENCE, NEITHER, AGREEMENT)
"""Inputs that are no features: size of the edge, P(neither), and whether the rules agree."""


class MetaRule(msgspec.Struct, frozen=True):
    """The regression, as data.

    Parameters
    ----------
    inputs
        Names of `SPOKEN` and of features.
    centre, spread
        Of each input (spread > 0); a feature is centred before it is turned in the trade's
        direction, the others are not turned.
    weights, bias
        Of the log odds that the trade ends with a profit after costs.
    least
        Least probability at which a signal is taken, in [0, 1].
    """

    inputs: tuple[str, ...]
    centre: tuple[float, ...]
    spread: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    least: float

    def __post_init__(self) -> None:
        sizes = {len(part) for part in (self.inputs, self.centre, self.spread, self.weights)}
        figures = (*self.centre, *self.spread, *self.weights, self.bias, self.least)
        if len(sizes) != 1 or not self.inputs or not all(map(math.isfinite, figures)):
            raise InvalidManifest("a meta-label needs finite figures for each of its inputs")
        if min(self.spread) <= 0.0 or not 0.0 <= self.least <= 1.0:
            raise InvalidManifest("a meta-label needs spreads > 0 and least within [0, 1]")


def read_inputs(
    inputs: Sequence[str],
    centre: Sequence[float],
    probabilities: Probabilities,
    values: Sequence[float],
    contract: VectorContract,
) -> list[float]:
    """Return the centred inputs of one signal, features turned in its direction.

    Parameters
    ----------
    inputs, centre
        As of `MetaRule`.
    probabilities
        Of the signal: short, neither, long.
    values, contract
        The vector it was made from.
    """
    short, neither, long = probabilities
    sign = 1.0 if long > short else -1.0
    found = []
    for name, middle in zip(inputs, centre, strict=True):
        if name == CONFIDENCE:
            found.append(abs(long - short) - middle)
        elif name == NEITHER:
            found.append(neither - middle)
        elif name == AGREEMENT:
            rules = vote(values, contract)
            found.append(sign * (rules[2] - rules[0]) - middle)
        else:
            found.append(sign * (values[contract.index(name)] - middle))
    return found


def chance_to_earn(
    probabilities: Probabilities, values: Sequence[float], contract: VectorContract, rule: MetaRule
) -> float:
    """Return the probability that the signal's trade ends with a profit, in (0, 1)."""
    read = read_inputs(rule.inputs, rule.centre, probabilities, values, contract)
    odds = rule.bias
    for value, spread, weight in zip(read, rule.spread, rule.weights, strict=True):
        odds += weight * (value / spread)
    return 1.0 / (1.0 + math.exp(-odds)) if odds > 0.0 else math.exp(odds) / (1.0 + math.exp(odds))
