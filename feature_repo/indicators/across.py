"""Across symbols: what a currency does against the others, and how a symbol moves with another.

Their expressions are evaluated on joint bars, whose open is the own and whose close is the other
symbol's last close before the stamp (`feature_repo.cross`). Names do not tell which symbols those
are: ``peers.toml`` does, so that one schema serves every symbol.
"""

from __future__ import annotations

from feature_repo.expression import CLOSE, OPEN, call, lag, log, mean, share
from feature_repo.feature import CrossFeature, Group, Role

_OWN = log(OPEN / lag(OPEN, 1))
_OTHER = log(CLOSE / lag(CLOSE, 1))
_STRENGTH = "mean of log(close[t - 1] / close[t - 25]) through the hub of the peers"

OTHER_RETURN_24 = log(CLOSE / lag(CLOSE, 24))
"""Logarithmic return of the other symbol over 24 bars."""

FEATURES = (
    CrossFeature(
        name="base_strength_24",
        meaning="Mean log return of the base currency against the others, 24 bars, one bar late.",
        source=_STRENGTH,
        expression=OTHER_RETURN_24,
        group=Group.CROSS,
        role=Role.BASE,
    ),
    CrossFeature(
        name="quote_strength_24",
        meaning="Mean log return of the quote currency against the others, 24 bars, one bar late.",
        source=_STRENGTH,
        expression=OTHER_RETURN_24,
        group=Group.CROSS,
        role=Role.QUOTE,
    ),
    CrossFeature(
        name="reference_correlation_24",
        meaning="Correlation with the reference's log returns over 24 bars, one bar late, -1 to 1.",
        source="TA-Lib CORREL(24)",
        expression=call("CORREL", _OWN, _OTHER, timeperiod=24),
        group=Group.CROSS,
        role=Role.REFERENCE,
    ),
    CrossFeature(
        name="reference_beta_24",
        meaning="Slope on the reference's log returns over 24 bars, one bar late.",
        source="covariance / variance; Sharpe 1964",
        expression=share(
            mean(_OWN * _OTHER, 24) - mean(_OWN, 24) * mean(_OTHER, 24),
            mean(_OTHER * _OTHER, 24) - mean(_OTHER, 24) * mean(_OTHER, 24),
            1e-14,
        ),
        group=Group.CROSS,
        role=Role.REFERENCE,
    ),
)
