"""Variation: volatility measured from returns and ranges, and what jumps add to it."""

from __future__ import annotations

import math

from feature_repo.expression import (
    CLOSE,
    HIGH,
    LOW,
    OPEN,
    absolute,
    change,
    lag,
    log,
    maximum,
    minimum,
    share,
    square_root,
    total,
)
from feature_repo.feature import Feature, Group
from feature_repo.indicators.returns import log_return
from feature_repo.nodes import Node

_FLOOR = 1e-16
"""Realised variance that counts as none: the market is frozen and what is left is rounding."""

_ONE = log_return(1)
_BODY = log(CLOSE / OPEN)
_RANGE = log(HIGH / LOW)


def realised_variance(bars: int) -> Node:
    """Return the summed squared log returns of `bars` bars."""
    return total(_ONE * _ONE, bars)


def bipower_variation(bars: int) -> Node:
    """Return the variance without jumps: neighbouring absolute returns multiplied."""
    size = absolute(_ONE)
    return (math.pi / 2.0) * total(size * lag(size, 1), bars)


def parkinson(bars: int) -> Node:
    """Return the volatility of a bar from its range, over `bars` bars."""
    return square_root(total(_RANGE * _RANGE, bars) * (1.0 / (4.0 * math.log(2.0) * bars)))


def garman_klass(bars: int) -> Node:
    """Return the volatility of a bar from range and body, over `bars` bars."""
    one = 0.5 * (_RANGE * _RANGE) - (2.0 * math.log(2.0) - 1.0) * (_BODY * _BODY)
    return square_root(total(one, bars) * (1.0 / bars))


def rogers_satchell(bars: int) -> Node:
    """Return the volatility of a bar that a trend does not bias, over `bars` bars."""
    up, down = log(HIGH / OPEN), log(LOW / OPEN)
    one = up * (up - _BODY) + down * (down - _BODY)
    return square_root(total(one, bars) * (1.0 / bars))


def roll_spread(bars: int) -> Node:
    """Return the spread that the bounce of closes implies, as a fraction of the close."""
    step = change(CLOSE, 1)
    bounce = total(step * lag(step, 1), bars) * (-1.0 / bars)
    return 2.0 * square_root(bounce) / CLOSE


_RV = realised_variance(24)
_ROOT = square_root(_RV)

VARIATION = tuple(
    Feature(name, meaning, source, expression, Group.VOLATILITY)
    for name, meaning, source, expression in (
        (
            "realised_volatility_12",
            "Root of the summed squared log returns of 12 bars.",
            "Andersen, Bollerslev 1998",
            square_root(realised_variance(12)),
        ),
        (
            "realised_volatility_48",
            "Root of the summed squared log returns of 48 bars.",
            "Andersen, Bollerslev 1998",
            square_root(realised_variance(48)),
        ),
        (
            "volatility_ratio_12_48",
            "Realised volatility a bar of 12 bars over that of 48.",
            "ratio of realised volatilities",
            square_root(share(4.0 * realised_variance(12), realised_variance(48), _FLOOR)),
        ),
        (
            "bipower_volatility_24",
            "Root of the bipower variation of 24 bars, which jumps hardly move.",
            "Barndorff-Nielsen, Shephard 2004",
            square_root(bipower_variation(24)),
        ),
        (
            "jump_share_24",
            "Share of jumps in the realised variance of 24 bars, 0 to 1.",
            "Barndorff-Nielsen, Shephard 2004",
            share(maximum(_RV - bipower_variation(24), 0.0), _RV, _FLOOR),
        ),
        (
            "downside_share_24",
            "Share of falls in the realised variance of 24 bars, 0 to 1.",
            "Barndorff-Nielsen, Kinnebrock, Shephard 2010, realised semivariance",
            share(total(minimum(_ONE, 0.0) * minimum(_ONE, 0.0), 24), _RV, _FLOOR),
        ),
        (
            "realised_skewness_24",
            "Asymmetry of the log returns of 24 bars.",
            "Amaya, Christoffersen, Jacobs, Vasquez 2015",
            share(
                math.sqrt(24.0) * total(_ONE * _ONE * _ONE, 24),
                _RV * _ROOT,
                _FLOOR * math.sqrt(_FLOOR),
            ),
        ),
        (
            "realised_kurtosis_24",
            "Heaviness of the tails of the log returns of 24 bars.",
            "Amaya, Christoffersen, Jacobs, Vasquez 2015",
            share(24.0 * total(_ONE * _ONE * (_ONE * _ONE), 24), _RV * _RV, _FLOOR * _FLOOR),
        ),
        (
            "parkinson_volatility_24",
            "Volatility of a bar from the ranges of 24 bars.",
            "Parkinson 1980",
            parkinson(24),
        ),
        (
            "garman_klass_volatility_24",
            "Volatility of a bar from ranges and bodies of 24 bars.",
            "Garman, Klass 1980",
            garman_klass(24),
        ),
        (
            "rogers_satchell_volatility_24",
            "Volatility of a bar from 24 bars, free of their trend.",
            "Rogers, Satchell 1991",
            rogers_satchell(24),
        ),
        (
            "roll_spread_24",
            "Spread implied by the bounce of 24 closes, as a fraction of the close.",
            "Roll 1984",
            roll_spread(24),
        ),
    )
)
