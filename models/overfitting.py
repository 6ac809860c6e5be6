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
        Result of every trial in every period, zero where it did not trade, shape
        ``(n_periods, n_trials)``.
    n_blocks
        Even number of stretches the time is cut into; all ways to choose half are tried.

    Returns
    -------
    float
        In [0, 1]; about 0.5 where the trials do not differ. NaN for fewer than two trials.

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
    parts = np.array_split(np.arange(n_periods), n_blocks)
    counts = np.array([len(part) for part in parts], dtype=np.float64)
    sums = np.stack([returns[part].sum(axis=0) for part in parts])
    squares = np.stack([(returns[part] ** 2).sum(axis=0) for part in parts])
    below = 0.0
    halves = list(combinations(range(n_blocks), n_blocks // 2))
    for half in halves:
        chosen = np.zeros(n_blocks, dtype=np.bool_)
        chosen[list(half)] = True
        inside, outside = (
            _ratio(sums[side].sum(axis=0), squares[side].sum(axis=0), float(counts[side].sum()))
            for side in (chosen, ~chosen)
        )
        best = int(np.argmax(inside))
        worse = float(np.sum(outside < outside[best])) + float(np.sum(outside == outside[best])) / 2
        rank = worse / n_trials
        below += 1.0 if rank < 0.5 else 0.5 if rank == 0.5 else 0.0  # noqa: PLR2004 - the median
    return below / len(halves)


def _ratio(total: Floats, squares: Floats, n_periods: float) -> Floats:
    """Return mean over deviation of every trial; zero where nothing was traded."""
    mean = total / n_periods
    variance = np.maximum(squares / n_periods - mean**2, 0.0)
    safe = np.where(variance > 0.0, variance, 1.0)
    return np.where(variance > 0.0, mean / np.sqrt(safe), 0.0)
