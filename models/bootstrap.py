"""Intervals of figures whose observations lean on their neighbours: the circular block bootstrap.

Source: Politis and Romano, A Circular Block-Resampling Procedure for Stationary Data, 1992.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from models.bars import Floats
from models.labels import Rows

N_RESAMPLES = 1000
FEW_RESAMPLES = 100
"""For figures that must be computed anew on each resample's rows."""
LEVEL = 0.90


class Interval(NamedTuple):
    """Bounds that hold the figure with probability `LEVEL`; NaN where there is too little."""

    low: float
    high: float


def mean_interval(values: Floats, block: int, seed: int) -> Interval:
    """Return an interval of the mean.

    Parameters
    ----------
    values
        In order of time, shape ``(n,)``.
    block
        Neighbours drawn together (> 0), at least as many as lean on each other.
    seed
        Of the draws.
    """
    if len(values) < 2:  # noqa: PLR2004 - one value has no spread
        return Interval(math.nan, math.nan)
    return _bounds(resampled_sums(values, block, seed) / len(values))


def sharpe_interval(values: Floats, block: int, seed: int) -> Interval:
    """Return an interval of mean over standard deviation; parameters as of `mean_interval`."""
    if len(values) < 2:  # noqa: PLR2004 - see above
        return Interval(math.nan, math.nan)
    mean = resampled_sums(values, block, seed) / len(values)
    square = resampled_sums(values**2, block, seed) / len(values)
    variance = square - mean**2
    return _bounds(mean[variance > 0.0] / np.sqrt(variance[variance > 0.0]))


def resampled_sums(values: Floats, block: int, seed: int) -> Floats:
    """Return the sum of each resample, shape ``(N_RESAMPLES,)``.

    The same seed, block and length draw the same rows, whatever the values are.
    """
    n = len(values)
    length = min(max(block, 1), n)
    n_blocks, rest = divmod(n, length)
    starts = np.random.default_rng(seed).integers(0, n, (N_RESAMPLES, n_blocks + 1))
    running = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values[:length]]))])
    whole = (running[starts[:, :-1] + length] - running[starts[:, :-1]]).sum(axis=1)
    last = running[starts[:, -1] + rest] - running[starts[:, -1]]
    return np.asarray(whole + last, dtype=np.float64)


def figure_interval(
    figure: Callable[[Rows], float],
    n_rows: int,
    block: int,
    seed: int,
    *,
    repeats_inflate: bool = False,
) -> Interval:
    """Return an interval of any figure of rows.

    Parameters
    ----------
    figure
        Computed on the rows of each resample; what is not finite is left out.
    n_rows
        Rows there are.
    block, seed
        As of `mean_interval`.
    repeats_inflate
        Whether rows that are drawn twice make the figure greater, as any distance from what is
        expected: the resamples' mean excess over the figure of all rows is taken off both bounds,
        which are not below zero.
    """
    if n_rows < 2:  # noqa: PLR2004 - see above
        return Interval(math.nan, math.nan)
    length = min(max(block, 1), n_rows)
    random, offsets = np.random.default_rng(seed), np.arange(length)
    found = []
    for _ in range(FEW_RESAMPLES):
        starts = random.integers(0, n_rows, -(-n_rows // length))
        rows = (starts[:, None] + offsets).ravel()[:n_rows] % n_rows
        found.append(figure(rows))
    known = np.array(found)
    bounds = _bounds(known[np.isfinite(known)])
    if not repeats_inflate:
        return bounds
    excess = float(np.nanmean(known)) - figure(np.arange(n_rows, dtype=np.int64))
    return Interval(*(max(bound - excess, 0.0) for bound in bounds))


def total_interval(values: Floats, block: int, seed: int) -> Interval:
    """Return an interval of the sum; parameters as of `mean_interval`."""
    if len(values) < 2:  # noqa: PLR2004 - see above
        return Interval(math.nan, math.nan)
    return _bounds(resampled_sums(values, block, seed))


def _bounds(figures: Floats) -> Interval:
    if len(figures) == 0:
        return Interval(math.nan, math.nan)
    low, high = np.quantile(figures, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    return Interval(float(low), float(high))
