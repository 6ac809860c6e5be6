"""What a model achieved out of fold: per fold and pooled, after costs, beside what is cheap.

Every figure rests on outputs that were not learnt from, calibrated by earlier folds alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.bars import Floats
from models.labels import Costs, Labels, Outcome
from models.reliability import Reliability, judge_probabilities
from models.trading import (
    Performance,
    Threshold,
    Trades,
    deflated_sharpe,
    hold_units,
    perform,
    signalled,
    span_seconds,
    toss_coins,
    trade,
)

COVERAGES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Signals of one model on the tested rows, in order of time.

    Parameters
    ----------
    name
        Of the model.
    probabilities
        Calibrated, shape ``(n_rows, 3)``.
    prior
        Class shares of the training behind each row, shape ``(n_rows, 3)``.
    labels
        Of the rows.
    fold
        Number of each row's fold, shape ``(n_rows,)``.
    """

    name: str
    probabilities: Floats
    prior: Floats
    labels: Labels
    fold: npt.NDArray[np.int64]

    @property
    def edge(self) -> Floats:
        """P(long) - P(short) of each row."""
        return self.probabilities[:, Outcome.LONG] - self.probabilities[:, Outcome.SHORT]


@dataclass(frozen=True, slots=True)
class Slice:
    """Figures of one fold, or of all folds together.

    Parameters
    ----------
    reliability
        Of the probabilities.
    performance
        Of the trades.
    coverage
        Share of the bars that are signalled.
    hit_rate
        Share of the signalled bars whose side reached its target; NaN if there are none.
    """

    reliability: Reliability
    performance: Performance
    coverage: float
    hit_rate: float

    def figures(self) -> dict[str, float]:
        """Return every figure by name."""
        return {
            **{k: float(v) for k, v in dataclasses.asdict(self.reliability).items()},
            **{k: float(v) for k, v in dataclasses.asdict(self.performance).items()},
            "coverage": self.coverage,
            "hit_rate": self.hit_rate,
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model, judged.

    Parameters
    ----------
    name
        Of the model.
    min_edge
        Threshold it was traded at.
    pooled, folds
        Figures of all tested rows and of each fold.
    trades
        What it traded.
    curve
        Hit rate at each of `COVERAGES`: the accuracy of the decisions actually taken.
    """

    name: str
    min_edge: float
    pooled: Slice
    folds: tuple[Slice, ...]
    trades: Trades
    curve: tuple[float, ...]


def evaluate(signals: OutOfFold, min_edge: float, costs: Costs) -> Evaluation:
    """Judge one model at one threshold.

    Parameters
    ----------
    signals
        Its out-of-fold signals.
    min_edge
        Least edge that is traded.
    costs
        Of the trades.
    """
    trades = trade(signals.edge, signals.labels, min_edge)
    everything = np.ones(len(signals.labels), dtype=np.bool_)
    return Evaluation(
        name=signals.name,
        min_edge=min_edge,
        pooled=_slice(signals, trades, everything, min_edge, costs),
        folds=tuple(
            _slice(signals, trades, signals.fold == number, min_edge, costs)
            for number in np.unique(signals.fold)
        ),
        trades=trades,
        curve=accuracy_by_coverage(signals),
    )


def accuracy_by_coverage(signals: OutOfFold) -> tuple[float, ...]:
    """Return the hit rate of the strongest signals, at each of `COVERAGES`."""
    order = np.argsort(-np.abs(signals.edge), kind="stable")
    hits = _hits(signals)[order]
    return tuple(float(hits[: max(1, math.ceil(share * len(hits)))].mean()) for share in COVERAGES)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A model beside the rule baseline, buy-and-hold and a coin.

    Parameters
    ----------
    model, baseline
        Judged on the same rows under the same costs.
    hold_units, hold_account_per_lot
        Buying the first bar and selling the last.
    coin_units
        Mean total of coins with the model's entries.
    coins_beaten
        Share of those coins that earned less than the model.
    deflated_sharpe
        Of the model's trades, for all trials.
    n_trials
        Configurations times thresholds, as counted.
    """

    model: Evaluation
    baseline: Evaluation
    hold_units: float
    hold_account_per_lot: float
    coin_units: float
    coins_beaten: float
    deflated_sharpe: float
    n_trials: int

    @property
    def beats_baseline(self) -> bool:
        """Whether the model earned more units than the rules."""
        mine, theirs = self.model.pooled.performance, self.baseline.pooled.performance
        return mine.total_units > theirs.total_units

    def verdict(self) -> str:
        """Return one plain sentence."""
        mine = self.model.pooled.performance
        theirs = self.baseline.pooled.performance
        figures = (
            f"{self.model.name} {mine.total_units:+.1f} R over {mine.n_trades} trades, "
            f"rules {theirs.total_units:+.1f} R over {theirs.n_trades}"
        )
        if not self.beats_baseline:
            return f"No model beats the baseline after costs: {figures}."
        if not mine.total_units > 0.0:
            return f"The model loses less than the baseline, but loses after costs: {figures}."
        return f"The model beats the baseline after costs: {figures}."

    def table(self) -> list[dict[str, str | float | int]]:
        """Return one row a contender, for people."""
        rows: list[dict[str, str | float | int]] = []
        for judged in (self.model, self.baseline):
            figures = judged.pooled.performance
            rows.append(
                {
                    "contender": judged.name,
                    "trades": figures.n_trades,
                    "net_units": round(figures.total_units, 2),
                    "net_units_per_trade": round(figures.mean_units, 4),
                    "account_per_lot": round(figures.account_per_lot, 2),
                    "sharpe_annual": round(figures.sharpe_annual, 2),
                    "max_drawdown_units": round(figures.max_drawdown_units, 2),
                    "log_loss": round(judged.pooled.reliability.log_loss, 4),
                    "hit_rate": round(judged.pooled.hit_rate, 4),
                }
            )
        rows.append(
            {
                "contender": "buy and hold",
                "trades": 1,
                "net_units": round(self.hold_units, 2),
                "account_per_lot": round(self.hold_account_per_lot, 2),
            }
        )
        rows.append(
            {
                "contender": "coin, same entries",
                "trades": self.model.pooled.performance.n_trades,
                "net_units": round(self.coin_units, 2),
            }
        )
        return rows


def compare(
    signals: OutOfFold,
    threshold: Threshold,
    baseline: OutOfFold,
    costs: Costs,
    *,
    n_configurations: int,
    seed: int,
) -> Comparison:
    """Judge a model beside everything cheap.

    Parameters
    ----------
    signals
        The model's, out of fold.
    threshold
        The threshold fitted on them, with all that were tried.
    baseline
        The rules, on the same rows; traded whenever they say something.
    costs
        Of the trades.
    n_configurations
        Configurations ever tried, this one included.
    seed
        Of the coins.
    """
    model = evaluate(signals, threshold.chosen.min_edge, costs)
    coins = toss_coins(model.trades, signals.labels, seed)
    rows = np.arange(len(signals.labels), dtype=np.int64)
    held_units, held_account = hold_units(signals.labels, rows, costs)
    n_trials = n_configurations * len(threshold.tried)
    return Comparison(
        model=model,
        baseline=evaluate(baseline, 0.0, costs),
        hold_units=held_units,
        hold_account_per_lot=held_account,
        coin_units=float(coins.mean()),
        coins_beaten=float((coins < model.trades.net_units.sum()).mean()),
        deflated_sharpe=deflated_sharpe(model.trades.net_units, threshold.sharpes, n_trials),
        n_trials=n_trials,
    )


def _hits(signals: OutOfFold) -> npt.NDArray[np.bool_]:
    """Tell of each row whether the side of its edge reached its target."""
    side = np.where(signals.edge > 0.0, Outcome.LONG, Outcome.SHORT)
    return np.asarray(signals.labels.classes == side, dtype=np.bool_)


def _slice(
    signals: OutOfFold,
    trades: Trades,
    mask: npt.NDArray[np.bool_],
    min_edge: float,
    costs: Costs,
) -> Slice:
    wanted = signalled(signals.edge, min_edge) & mask
    mine = mask[trades.rows]
    return Slice(
        reliability=judge_probabilities(
            signals.probabilities[mask], signals.labels.classes[mask], signals.prior[mask]
        ),
        performance=perform(
            trades.net_units[mine],
            trades.net_price[mine],
            span_seconds(signals.labels.decided_at_ns[mask]),
            costs,
        ),
        coverage=float(wanted.sum() / mask.sum()),
        hit_rate=float(_hits(signals)[wanted].mean()) if wanted.any() else math.nan,
    )


def number_folds(tests: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """Return the fold number of each tested row, folds in order."""
    return np.concatenate(
        [np.full(len(test), number, dtype=np.int64) for number, test in enumerate(tests)]
    )
