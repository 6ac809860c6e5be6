"""Bars of so much volume out of bars on the clock, where the quotes themselves are not kept."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from online.domain.errors import InvalidInput
from pipelines.sources.raw import BAR_COLUMNS


def bars_by_volume(bars: pd.DataFrame, volume_per_bar: float) -> pd.DataFrame:
    """Return bars of so much volume, each of whole bars on the clock.

    Parameters
    ----------
    bars
        Ascending, with the columns of `BAR_COLUMNS` and a known volume; minutes are finest.
    volume_per_bar
        Volume at which a bar is complete (> 0): it closes with the bar that reaches it.

    Returns
    -------
    frame
        The columns of `BAR_COLUMNS`; spread is the mean of the parts. The last bar is shown once it
        is complete.

    Raises
    ------
    InvalidInput
        ``BAD_AMOUNT`` if `volume_per_bar` is not above 0, ``NO_VOLUME`` if a bar's volume is not
        known or all are 0.
    """
    if not 0.0 < volume_per_bar < math.inf:
        raise InvalidInput(
            f"a bar must be complete after more than 0, got {volume_per_bar}", code="BAD_AMOUNT"
        )
    volume = bars["volume"].to_numpy(dtype=np.float64)
    if np.isnan(volume).any() or not (volume > 0.0).any():
        raise InvalidInput(
            "the bars have no volume", code="NO_VOLUME", remedy="Make bars by quotes instead."
        )
    ends, reached = [], 0.0
    for place, amount in enumerate(volume.tolist()):
        reached += amount
        if reached >= volume_per_bar:
            ends.append(place + 1)
            reached = 0.0
    whole = ends[-1] if ends else 0
    group = np.repeat(np.arange(len(ends)), np.diff([0, *ends]))
    parts = bars.iloc[:whole].groupby(group)
    made = parts.agg(
        {
            "closed_at_ns": "last",
            "open": "first",
            "high": "max",
            "low": "min",
            "close": "last",
            "volume": "sum",
            "spread_points": "mean",
        }
    )
    return made[list(BAR_COLUMNS)].reset_index(drop=True)
