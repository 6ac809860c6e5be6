"""Returns: how far the close moved."""

from __future__ import annotations

from feature_repo.expression import CLOSE, OPEN, call, lag, log, mean, share
from feature_repo.feature import Feature, Group
from feature_repo.nodes import Node

_SOURCE = "log(close[t] / close[t - n]); Campbell, Lo, MacKinlay 1997, section 1.4"


def log_return(bars: int) -> Node:
    """Return the logarithm of the close over the close `bars` bars ago."""
    return log(CLOSE / lag(CLOSE, bars))


def _entry(bars: int) -> Feature:
    return Feature(
        name=f"log_return_{bars}",
        meaning=f"Logarithmic return of the close over {bars} bars.",
        source=_SOURCE,
        expression=log_return(bars),
        group=Group.RETURNS,
    )


_ONE = log_return(1)

FEATURES = (
    *(_entry(bars) for bars in (1, 2, 4, 8, 12, 24)),
    Feature(
        name="opening_gap",
        meaning="Logarithm of the open over the close before.",
        source="log(open[t] / close[t - 1])",
        expression=log(OPEN / lag(CLOSE, 1)),
        group=Group.RETURNS,
    ),
    Feature(
        name="return_mean_24",
        meaning="Mean logarithmic return of 24 bars.",
        source="sample mean",
        expression=mean(_ONE, 24),
        group=Group.RETURNS,
    ),
    Feature(
        name="return_to_deviation_24",
        meaning="Mean over standard deviation of the log returns of 24 bars.",
        source="Sharpe 1966, per bar and without a riskless rate",
        expression=share(mean(_ONE, 24), call("STDDEV", _ONE, timeperiod=24), 1e-9),
        group=Group.RETURNS,
    ),
    Feature(
        name="return_autocorrelation_24",
        meaning="Correlation of log returns with those one bar before over 24 bars, -1 to 1.",
        source="TA-Lib CORREL(24)",
        expression=call("CORREL", _ONE, lag(_ONE, 1), timeperiod=24),
        group=Group.RETURNS,
    ),
)
