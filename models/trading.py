"""Trading on out-of-fold signals: one position at a time, after spread and commission."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from models.bars import Floats, Stamps
from models.labels import Costs, Labels, Mask, Rows
from online.domain.errors import InvalidInput

SECONDS_PER_YEAR = 365.25 * 86_400.0
EULER_MASCHERONI = 0.5772156649015329
COVERAGE_STEPS = 10
COIN_TOSSES = 500
_MOMENTS_NEED = 4


@dataclass(frozen=True, slots=True)
class Trades:
    """Trades in order of time, shape ``(n_trades,)`` each.

    Parameters
    ----------
    rows
        Decision of each among the labels.
    is_long
        Direction.
    net_units
        Result after costs in units of risk.
    net_price
        The same in price.
    """

    rows: Rows
    is_long: Mask
    net_units: Floats
    net_price: Floats

    def __len__(self) -> int:
        """Return the number of trades."""
        return len(self.rows)


def signalled(edge: Floats, min_edge: float) -> Mask:
    """Tell which edges are traded, as `online.domain.decision.decide` does."""
    return np.asarray((np.abs(edge) >= min_edge) & (edge != 0.0), dtype=np.bool_)


def trade(edge: Floats, labels: Labels, min_edge: float) -> Trades:
    """Trade the edges: while a position lives nothing else is entered.

    A position that ended within a bar leaves that bar's close free for the next decision.

    Parameters
    ----------
    edge
        P(long) - P(short) of each label, shape ``(n_labels,)``.
    labels
        What becomes of each side.
    min_edge
        Least edge that is traded.
    """
    wanted = np.flatnonzero(signalled(edge, min_edge))
    is_long = edge > 0.0
    ended = np.where(is_long, labels.long.ended_at_ns, labels.short.ended_at_ns)
    free_row = np.searchsorted(labels.decided_at_ns, ended, "left")
    next_wanted = np.searchsorted(wanted, free_row, "left")
    taken: list[int] = []
    position = 0
    while position < len(wanted):
        row = int(wanted[position])
        taken.append(row)
        position = max(int(next_wanted[row]), position + 1)
    rows = np.array(taken, dtype=np.int64)
    long = is_long[rows]
    return Trades(
        rows,
        long,
        np.where(long, labels.long.net_units[rows], labels.short.net_units[rows]),
        np.where(long, labels.long.net_price[rows], labels.short.net_price[rows]),
    )


@dataclass(frozen=True, slots=True)
class Performance:
    """What trades earned after costs.

    Parameters
    ----------
    n_trades
        Number of them.
    mean_units, total_units
        Result in units of risk.
    account_per_lot
        Total in the account's currency for one lot a trade.
    win_rate
        Share of trades with a net profit.
    sharpe
        Mean over standard deviation of a trade's units.
    sharpe_annual
        The same times the square root of trades a year.
    max_drawdown_units
        Deepest fall of the running total from its peak (>= 0).
    turnover_per_year
        Trades a year.
    """

    n_trades: int
    mean_units: float
    total_units: float
    account_per_lot: float
    win_rate: float
    sharpe: float
    sharpe_annual: float
    max_drawdown_units: float
    turnover_per_year: float


def perform(units: Floats, prices: Floats, seconds: float, costs: Costs) -> Performance:
    """Return what trades earned; NaN where there are too few to say.

    Parameters
    ----------
    units, prices
        Net result of each trade, shape ``(n_trades,)``.
    seconds
        Span of the market they were taken in (> 0).
    costs
        For the contract's size and the account's currency.
    """
    n_trades = len(units)
    per_year = n_trades / seconds * SECONDS_PER_YEAR
    ratio = sharpe(units)
    return Performance(
        n_trades=n_trades,
        mean_units=float(units.mean()) if n_trades else math.nan,
        total_units=float(units.sum()),
        account_per_lot=float(prices.sum()) * costs.contract_size * costs.account_per_profit,
        win_rate=float((units > 0.0).mean()) if n_trades else math.nan,
        sharpe=ratio,
        sharpe_annual=ratio * math.sqrt(per_year),
        max_drawdown_units=max_drawdown(units),
        turnover_per_year=per_year,
    )


def sharpe(units: Floats) -> float:
    """Return mean over standard deviation; NaN for fewer than two trades or no deviation."""
    if len(units) < 2 or units.std() == 0.0:  # noqa: PLR2004 - a deviation needs two
        return math.nan
    return float(units.mean() / units.std(ddof=1))


def max_drawdown(units: Floats) -> float:
    """Return the deepest fall of the running total from its peak, starting at zero (>= 0)."""
    equity = np.concatenate([[0.0], np.cumsum(units)])
    return float((np.maximum.accumulate(equity) - equity).max())


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


@dataclass(frozen=True, slots=True)
class Candidate:
    """One threshold tried.

    Parameters
    ----------
    min_edge
        The threshold.
    coverage
        Share of labelled bars that are signalled.
    trades
        What trading it gives.
    """

    min_edge: float
    coverage: float
    trades: Trades


@dataclass(frozen=True, slots=True)
class Threshold:
    """The threshold chosen and everything that was tried to choose it."""

    chosen: Candidate
    tried: tuple[Candidate, ...]

    @property
    def sharpes(self) -> tuple[float, ...]:
        """Per-trade Sharpe ratio of every candidate."""
        return tuple(sharpe(candidate.trades.net_units) for candidate in self.tried)


def fit_min_edge(edge: Floats, labels: Labels, min_coverage: float) -> Threshold:
    """Choose the least edge to trade: the greatest mean net result with enough coverage.

    Parameters
    ----------
    edge
        Out-of-fold edges, shape ``(n_labels,)``.
    labels
        Their labels.
    min_coverage
        Least share of labelled bars that must be signalled, in (0, 1].

    Raises
    ------
    InvalidInput
        With code ``NO_EDGE_VARIES`` if no threshold reaches the coverage.
    """
    if not 0.0 < min_coverage <= 1.0:
        raise InvalidInput(f"min_coverage must be within (0, 1], got {min_coverage}")
    tried: list[Candidate] = []
    for share in np.linspace(min_coverage, 1.0, COVERAGE_STEPS):
        # The k-th greatest edge itself: no interpolation that rounding could put above it.
        count = min(math.ceil(share * len(edge)), len(edge))
        min_edge = float(np.partition(np.abs(edge), len(edge) - count)[len(edge) - count])
        coverage = float(signalled(edge, min_edge).mean())
        if coverage >= min_coverage and min_edge not in [c.min_edge for c in tried]:
            tried.append(Candidate(min_edge, coverage, trade(edge, labels, min_edge)))
    if not tried:
        raise InvalidInput(
            f"the model sees an edge in fewer than {min_coverage:.0%} of the bars",
            code="NO_EDGE_VARIES",
        )
    best = max(tried, key=lambda c: (float(c.trades.net_units.mean()), -c.min_edge))
    return Threshold(best, tuple(tried))


def toss_coins(trades: Trades, labels: Labels, seed: int) -> Floats:
    """Return the total units of coins that trade the same entries in random directions.

    Parameters
    ----------
    trades
        The model's.
    labels
        What becomes of each side.
    seed
        Of the tosses.

    Returns
    -------
    numpy.ndarray
        One total a coin, shape ``(COIN_TOSSES,)``.
    """
    random = np.random.default_rng(seed)
    long, short = labels.long.net_units[trades.rows], labels.short.net_units[trades.rows]
    totals = np.empty(COIN_TOSSES)
    for coin in range(COIN_TOSSES):
        totals[coin] = np.where(random.random(len(trades)) < 0.5, long, short).sum()  # noqa: PLR2004 - a fair coin
    return totals


def hold_units(labels: Labels, rows: Rows, costs: Costs) -> tuple[float, float]:
    """Return what buying at the first of `rows` and selling at the last gives.

    Returns
    -------
    tuple of float
        Total in units of the median risk, and in the account's currency for one lot.
    """
    gained = labels.short.entry[rows[-1]] - labels.long.entry[rows[0]] - costs.commission_price
    in_account = float(gained) * costs.contract_size * costs.account_per_profit
    return float(gained / np.median(labels.long.risk[rows])), in_account


def span_seconds(decided_at_ns: Stamps) -> float:
    """Return the span from the first to the last decision, seconds."""
    return float(decided_at_ns[-1] - decided_at_ns[0]) / 1e9
