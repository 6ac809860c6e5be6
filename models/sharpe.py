"""Return for risk: Sharpe and Sortino ratios, and the Sharpe ratio after counting the tries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pandas as pd

from models.bars import Floats
from online.domain.errors import InvalidInput

EULER_MASCHERONI = 0.5772156649015329
_MOMENTS_NEED = 4


def sharpe(units: Floats) -> float:
    """Return mean over standard deviation; NaN for fewer than two trades or no deviation."""
    if len(units) < 2 or units.std() == 0.0:  # noqa: PLR2004 - a deviation needs two
        return math.nan
    return float(units.mean() / units.std(ddof=1))


def sortino(units: Floats) -> float:
    """Return the mean over the root mean square of the losses; NaN where nothing was lost."""
    losses = np.minimum(units, 0.0)
    if len(units) == 0 or not losses.any():
        return math.nan
    return float(units.mean() / np.sqrt((losses**2).mean()))


def deflated_sharpe(units: Floats, trial_sharpes: Sequence[float], n_trials: int) -> float:
    """Return the probability that the true Sharpe ratio beats the best of that many null trials.

    The trials are taken as independent (an upper bound of their effective number), and the
    variance of their Sharpe ratios as the greater of what was seen among them and ``1 / n``, the
    variance of the estimate itself: related trials vary too little to be believed.

    Source: Bailey and López de Prado, The Deflated Sharpe Ratio, Journal of Portfolio
    Management, 2014, equations 9 and 10.

    Parameters
    ----------
    units
        Net result of each trade, shape ``(n_trades,)``.
    trial_sharpes
        Per-trade Sharpe ratio of the trials that are known; not finite ones are ignored.
    n_trials
        All configurations ever tried, this one included (>= 1).

    Returns
    -------
    float
        In [0, 1]; NaN for too few trades or no deviation.
    """
    observed, n = sharpe(units), len(units)
    if n < _MOMENTS_NEED or not math.isfinite(observed):
        return math.nan
    known = np.array([s for s in trial_sharpes if math.isfinite(s)])
    variance = max(float(known.var(ddof=1)) if len(known) > 1 else 0.0, 1.0 / n)
    threshold = expected_best(n_trials) * math.sqrt(variance)
    z = (units - units.mean()) / units.std()
    moments = float((z**3).mean()), float((z**4).mean())
    return probabilistic_sharpe(observed, threshold, n, *moments)


def effective_trials(returns: Floats) -> float:
    """Return how many independent trials related ones are worth, from 1 to their number.

    The participation ratio of the eigenvalues of their correlations: trials that trade alike have
    one great eigenvalue, independent ones have equal ones. It is the square of the eigenvalues'
    sum over the sum of their squares, which are the trace and the sum of the squared correlations.

    Source: Bretherton, Widmann, Dymnikov, Wallace and Bladé, The Effective Number of Spatial
    Degrees of Freedom of a Time-Varying Field, Journal of Climate, 1999, equation 5.

    Parameters
    ----------
    returns
        Result of every trial in every period, NaN where it was not judged, shape ``(n_periods,
        n_trials)``. Two trials are related by the periods of both; those that share none, or in
        which one does not move, count as independent.
    """
    table = pd.DataFrame(returns)
    moving = table.loc[:, table.std(ddof=0).to_numpy() > 0.0]
    if moving.shape[1] < 2:  # noqa: PLR2004 - one trial leans on none
        return 1.0
    related = moving.corr(min_periods=2).fillna(0.0).to_numpy(copy=True)
    np.fill_diagonal(related, 1.0)
    return float(len(related) ** 2 / (related**2).sum())


def probabilistic_sharpe(
    observed: float, threshold: float, n: int, skew: float, kurtosis: float
) -> float:
    """Return the probability that the true Sharpe ratio is above `threshold`.

    Source: Bailey and López de Prado, The Sharpe Ratio Efficient Frontier, Journal of Risk, 2012.

    Parameters
    ----------
    observed, threshold
        Sharpe ratios of one period.
    n
        Periods behind `observed` (> 1).
    skew, kurtosis
        Of the periods' results; 0 and 3 for a normal.

    Returns
    -------
    float
        In [0, 1]; NaN where the estimate's variance would not be positive.
    """
    variance = 1.0 - skew * observed + (kurtosis - 1.0) / 4.0 * observed**2
    if variance <= 0.0:
        return math.nan
    return NormalDist().cdf((observed - threshold) * math.sqrt((n - 1) / variance))


def expected_best(n_trials: int) -> float:
    """Return the expected maximum of `n_trials` standard normals; 0.0 for a single one."""
    if n_trials < 1:
        raise InvalidInput(f"at least one trial took place, got {n_trials}")
    if n_trials == 1:
        return 0.0
    normal = NormalDist()
    return (1.0 - EULER_MASCHERONI) * normal.inv_cdf(
        1.0 - 1.0 / n_trials
    ) + EULER_MASCHERONI * normal.inv_cdf(1.0 - 1.0 / (n_trials * math.e))
