"""Returns: how far the close moved."""

from __future__ import annotations

from feature_repo.expression import CLOSE, lag, log
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


FEATURES = tuple(_entry(bars) for bars in (1, 4, 24))
