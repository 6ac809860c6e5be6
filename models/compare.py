"""A model beside what is cheap: the rules, buy-and-hold and a coin, with luck counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.bars import Floats
from models.bootstrap import Interval
from models.bounds import bound, bound_folds
from models.costs import Costs
from models.evaluate import Evaluation, OutOfFold, evaluate
from models.overfitting import overfitting_probability
from models.reliability import calibration_error, chance_calibration_error
from models.search import SearchLuck
from models.sharpe import deflated_sharpe, effective_trials
from models.threshold import Threshold
from models.trading import Trades, hold_units, toss_coins


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
    n_configurations, n_trials
        Configurations ever tried, and those times thresholds, as counted.
    overfitting
        Probability of backtest overfitting among the thresholds tried.
    effective_trials
        What number of independent trials all of them are worth: the settings of the search by
        what they earned each day, every other configuration as unlike all others.
    deflated_sharpe_effective
        The deflated Sharpe ratio for that number; both are shown and never used, as the gate
        counts every trial.
    intervals, fold_intervals
        Bounds of the model's figures by a block bootstrap, pooled and of each fold.
    forward
        Trades of the model at thresholds that earlier folds alone would have chosen.
    served_ece
        Expected calibration error of the folds that earlier ones calibrated, as what serves is
        (the first fold has nothing to be calibrated on), less what chance alone shows.
    search
        How much of the best settings is luck; None where none were searched.
    """

    model: Evaluation
    baseline: Evaluation
    hold_units: float
    hold_account_per_lot: float
    coin_units: float
    coins_beaten: float
    deflated_sharpe: float
    n_configurations: int
    n_trials: int
    overfitting: float
    intervals: dict[str, Interval]
    fold_intervals: tuple[dict[str, Interval], ...]
    effective_trials: float
    deflated_sharpe_effective: float
    served_ece: float
    forward: Trades
    search: SearchLuck | None = None

    @property
    def beats_baseline(self) -> bool:
        """Whether the model earned more units than the rules."""
        mine, theirs = self.model.pooled.performance, self.baseline.pooled.performance
        return mine.total_units > theirs.total_units

    @property
    def forward_units(self) -> float:
        """What those trades earned, units of risk after costs."""
        return float(self.forward.net_units.sum())

    def verdict(self) -> str:
        """Return one plain sentence."""
        mine = self.model.pooled.performance
        theirs = self.baseline.pooled.performance
        figures = (
            f"{self.model.name} {mine.total_units:+.1f} R over {mine.n_trades} trades, "
            f"{self.baseline.name} {theirs.total_units:+.1f} R over {theirs.n_trades}"
        )
        if not self.beats_baseline:
            return f"No model beats the baseline after costs: {figures}."
        if not mine.total_units > 0.0:
            return f"The model loses less than the baseline, but loses after costs: {figures}."
        return f"The model beats the baseline after costs: {figures}."

    def luck(self) -> dict[str, float]:
        """Return what tells how much of the result is luck, by the names a run shows it."""
        return {
            "trials": float(self.n_trials),
            "effective_trials": self.effective_trials,
            "deflated_sharpe": self.deflated_sharpe,
            "deflated_sharpe_effective": self.deflated_sharpe_effective,
            "overfitting": self.overfitting,
            "forward_units": self.forward_units,
            "forward_trades": float(len(self.forward)),
            **({} if self.search is None else self.search.figures()),
        }

    def luck_told(self) -> str:
        """Return the same as one plain sentence."""
        searched = "no settings were searched"
        if self.search is not None:
            searched = (
                f"{_percent(self.search.overfitting)} among the {self.search.n_columns} pairs of "
                f"{self.search.n_trials} settings and their thresholds"
            )
        return (
            f"Luck: deflated Sharpe ratio {self.deflated_sharpe:.2f} for all {self.n_trials} "
            f"trials, {self.deflated_sharpe_effective:.2f} for the {self.effective_trials:.1f} "
            f"they are worth; probability of backtest overfitting {_percent(self.overfitting)} "
            f"among the thresholds; {searched}. With thresholds that earlier folds alone would "
            f"have chosen {self.forward_units:+.1f} R over {len(self.forward)} trades."
        )

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
        return [_known(row) for row in rows]


def _known(row: dict[str, str | float | int]) -> dict[str, str | float | int]:
    """Return the row without figures that are not finite; JSON has no word for them."""
    return {
        name: cell
        for name, cell in row.items()
        if not isinstance(cell, float) or math.isfinite(cell)
    }


def _percent(share: float) -> str:
    return f"{share:.0%}" if math.isfinite(share) else "unknown"


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
    min_edge = threshold.chosen.min_edge
    model = evaluate(signals, min_edge, costs)
    returns = returns_of([tried.trades for tried in threshold.tried], len(signals.labels))
    coins = toss_coins(model.trades, signals.labels, seed)
    rows = np.arange(len(signals.labels), dtype=np.int64)
    held_units, held_account = hold_units(signals.labels, rows, costs)
    n_trials = n_configurations * len(threshold.tried)
    worth = n_configurations * effective_trials(returns)
    later = signals.calibrated
    served = signals.probabilities[later]
    return Comparison(
        model=model,
        baseline=evaluate(baseline, 0.0, costs),
        hold_units=held_units,
        hold_account_per_lot=held_account,
        coin_units=float(coins.mean()),
        coins_beaten=float((coins < model.trades.net_units.sum()).mean()),
        deflated_sharpe=deflated_sharpe(model.trades.net_units, threshold.sharpes, n_trials),
        n_configurations=n_configurations,
        n_trials=n_trials,
        overfitting=overfitting_probability(returns),
        intervals=bound(signals, model.trades, min_edge, seed),
        fold_intervals=bound_folds(signals, model.trades, min_edge, seed),
        effective_trials=worth,
        deflated_sharpe_effective=deflated_sharpe(
            model.trades.net_units, threshold.sharpes, math.ceil(worth)
        ),
        served_ece=calibration_error(served, signals.labels.classes[later])
        - chance_calibration_error(served, seed),
        forward=threshold.trade_forward(signals.edge, signals.labels, signals.fold),
    )


def count_search(
    comparison: Comparison, threshold: Threshold, search: SearchLuck | None
) -> Comparison:
    """Return the comparison with a search weighed by what its settings earned.

    The settings are among the configurations that were counted, so neither the number of trials
    nor the deflated Sharpe ratio for all of them changes.

    Parameters
    ----------
    comparison
        As `compare` made it.
    threshold
        Behind it.
    search
        None for no change.
    """
    if search is None:
        return comparison
    others = max(comparison.n_configurations - search.n_trials, 0)
    of_one = comparison.effective_trials / comparison.n_configurations
    worth = min(search.effective_trials + others * of_one, float(comparison.n_trials))
    units = comparison.model.trades.net_units
    return replace(
        comparison,
        search=search,
        effective_trials=worth,
        deflated_sharpe_effective=deflated_sharpe(units, threshold.sharpes, math.ceil(worth)),
    )


def returns_of(tried: Sequence[Trades], n_rows: int) -> Floats:
    """Return each trial's result at the bar that decided it, shape ``(n_rows, n_trials)``."""
    returns = np.zeros((n_rows, len(tried)))
    for number, trades in enumerate(tried):
        returns[trades.rows, number] = trades.net_units
    return returns
