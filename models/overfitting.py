"""How much of the best trial is luck: the probability of backtest overfitting.

Source: Bailey, Borwein, López de Prado and Zhu, The Probability of Backtest Overfitting, Journal
of Computational Finance, 2017 (combinatorially symmetric cross-validation).
"""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from models.bars import Floats
from online.domain.errors import InvalidInput

N_BLOCKS = 10


def overfitting_probability(returns: Floats, n_blocks: int = N_BLOCKS) -> float:
    """Return how often the best trial of one half of time is below the median in the other.

    Parameters
    ----------
    returns
        Result of every trial in every period, zero where it did not trade, NaN where it was not
        judged, shape ``(n_periods, n_trials)``. A trial that was given up early takes part in the
        ways that leave it periods in both halves.
    n_blocks
        Even number of stretches the time is cut into; all ways to choose half are tried.

    Returns
    -------
    float
        In [0, 1]; about 0.5 where the trials do not differ. NaN where fewer than two trials can
        be compared.

    Raises
    ------
    InvalidInput
        If the blocks are odd in number or more than the periods.
    """
    n_periods, n_trials = returns.shape
    if n_blocks % 2 or not 2 <= n_blocks <= n_periods:  # noqa: PLR2004 - two halves
        raise InvalidInput(f"n_blocks must be even, within 2 and {n_periods}, got {n_blocks}")
    if n_trials < 2:  # noqa: PLR2004 - one trial is no choice
        return math.nan
    known = ~np.isnan(returns)
    results = np.where(known, returns, 0.0)
    parts = np.array_split(np.arange(n_periods), n_blocks)
    counts = np.stack([known[part].sum(axis=0) for part in parts]).astype(np.float64)
    sums = np.stack([results[part].sum(axis=0) for part in parts])
    squares = np.stack([(results[part] ** 2).sum(axis=0) for part in parts])
    below, compared = 0.0, 0
    for half in combinations(range(n_blocks), n_blocks // 2):
        chosen = np.zeros(n_blocks, dtype=np.bool_)
        chosen[list(half)] = True
        judged = (counts[chosen].sum(axis=0) > 0.0) & (counts[~chosen].sum(axis=0) > 0.0)
        if judged.sum() < 2:  # noqa: PLR2004 - one trial is no choice
            continue
        compared += 1
        inside, outside = (
            _ratio(*(cells[side][:, judged].sum(axis=0) for cells in (sums, squares, counts)))
            for side in (chosen, ~chosen)
        )
        best = int(np.argmax(inside))
        worse = float(np.sum(outside < outside[best])) + float(np.sum(outside == outside[best])) / 2
        rank = worse / len(outside)
        below += 1.0 if rank < 0.5 else 0.5 if rank == 0.5 else 0.0  # noqa: PLR2004 - the median
    return below / compared if compared else math.nan


def _ratio(total: Floats, squares: Floats, n_periods: Floats) -> Floats:
    """Return mean over deviation of every trial; zero where nothing was traded."""
    mean = total / n_periods
    variance = np.maximum(squares / n_periods - mean**2, 0.0)
    safe = np.where(variance > 0.0, variance, 1.0)
    return np.where(variance > 0.0, mean / np.sqrt(safe), 0.0)
