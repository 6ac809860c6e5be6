"""Trading on out-of-fold signals: one position at a time, after every cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from models.bars import Floats, Stamps
from models.costs import Costs
from models.labels import Labels, Mask, Rows
from models.sharpe import sharpe, sortino
from online.domain.market import Side

SECONDS_PER_YEAR = 365.25 * 86_400.0
COIN_TOSSES = 500


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
    held_ns
        From decision to end, nanoseconds.
    """

    rows: Rows
    is_long: Mask
    net_units: Floats
    net_price: Floats
    held_ns: Stamps

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
        ended[rows] - labels.decided_at_ns[rows],
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
    sortino
        Mean over the root mean square of the losses.
    exposure
        Share of the time a position was open.
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
    sortino: float
    exposure: float
    max_drawdown_units: float
    turnover_per_year: float


def perform(trades: Trades, chosen: Mask, seconds: float, costs: Costs) -> Performance:
    """Return what trades earned; NaN where there are too few to say.

    Parameters
    ----------
    trades
        In order of time.
    chosen
        Those that count, shape ``(n_trades,)``.
    seconds
        Span of the market they were taken in (> 0).
    costs
        For the contract's size and the account's currency.
    """
    units, prices = trades.net_units[chosen], trades.net_price[chosen]
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
        sortino=sortino(units),
        exposure=float(trades.held_ns[chosen].sum()) / 1e9 / seconds,
        max_drawdown_units=max_drawdown(units),
        turnover_per_year=per_year,
    )


def max_drawdown(units: Floats) -> float:
    """Return the deepest fall of the running total from its peak, starting at zero (>= 0)."""
    equity = np.concatenate([[0.0], np.cumsum(units)])
    return float((np.maximum.accumulate(equity) - equity).max())


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
    first, last = labels.decided_at_ns[rows[:1]], labels.decided_at_ns[rows[-1:]]
    gained = labels.short.entry[rows[-1]] - labels.long.entry[rows[0]] - costs.commission_price
    gained += costs.swap.paid(Side.BUY, first, last)[0]
    in_account = float(gained) * costs.contract_size * costs.account_per_profit
    return float(gained / np.median(labels.long.risk[rows])), in_account


def span_seconds(decided_at_ns: Stamps) -> float:
    """Return the span from the first to the last decision, seconds."""
    return float(decided_at_ns[-1] - decided_at_ns[0]) / 1e9
