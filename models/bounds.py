"""Bounds: an interval for every figure of an evaluation, by the block bootstrap."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from models.bars import Floats
from models.bootstrap import (
    Interval,
    figure_interval,
    mean_interval,
    sharpe_interval,
    total_interval,
)
from models.evaluate import OutOfFold, hits, rank_correlation
from models.labels import Rows
from models.reliability import TINY, calibration_error, edge_auc
from models.sharpe import sortino
from models.trading import SECONDS_PER_YEAR, Trades, max_drawdown, signalled


def bound(signals: OutOfFold, trades: Trades, min_edge: float, seed: int) -> dict[str, Interval]:
    """Return intervals of the figures of `models.evaluate.Slice`, by the figure's name.

    Rows lean on their neighbours by shared labels, so blocks are as long as the longest label's
    rows, at least the cube root of their number; trades do not overlap, and use the cube root.

    Parameters
    ----------
    signals, trades
        The model's, out of fold.
    min_edge
        Threshold it was traded at.
    seed
        Of the draws.
    """
    return {**_of_rows(signals, min_edge, seed), **_of_trades(signals, trades, seed)}


def bound_folds(
    signals: OutOfFold, trades: Trades, min_edge: float, seed: int
) -> tuple[dict[str, Interval], ...]:
    """Return the intervals of means that each fold has by itself; parameters as of `bound`."""
    found = []
    for number in np.unique(signals.fold):
        rows = np.flatnonzero(signals.fold == number)
        units = trades.net_units[signals.fold[trades.rows] == number]
        block = _block(signals)
        means = _losses(signals, rows, block, seed)
        means |= _decisions(signals, rows, min_edge, block, seed)
        means["mean_units"] = mean_interval(units, _among(len(units)), seed)
        found.append(means)
    return tuple(found)


def _of_rows(signals: OutOfFold, min_edge: float, seed: int) -> dict[str, Interval]:
    """Return intervals of the figures of rows, those of probabilities without the first fold."""
    known, block = np.flatnonzero(signals.calibrated), _block(signals)
    labels = signals.labels.take(known)
    edge, said = signals.said_edge[known], signals.probabilities[known]
    gained, classes = labels.long.net_units - labels.short.net_units, labels.classes

    def bounded(figure: Callable[[Rows], float], *, repeats_inflate: bool = False) -> Interval:
        return figure_interval(figure, len(known), block, seed, repeats_inflate=repeats_inflate)

    return {
        **_losses(signals, known, block, seed),
        **_decisions(signals, np.arange(len(signals.labels)), min_edge, block, seed),
        "auc": bounded(lambda rows: edge_auc(edge[rows], classes[rows])),
        "information": bounded(lambda rows: rank_correlation(edge[rows], gained[rows])),
        "ece": bounded(
            lambda rows: calibration_error(said[rows], classes[rows]), repeats_inflate=True
        ),
    }


def _losses(signals: OutOfFold, rows: Rows, block: int, seed: int) -> dict[str, Interval]:
    """Return intervals of what the probabilities of rows lose on the mean."""
    classes = signals.labels.classes[rows]
    said, prior, place = signals.probabilities[rows], signals.prior[rows], np.arange(len(rows))
    losses = -np.log(np.maximum(said[place, classes], TINY))
    known = -np.log(np.maximum(prior[place, classes], TINY))
    brier = ((said - np.eye(said.shape[1])[classes]) ** 2).sum(axis=1)
    return {
        "log_loss": mean_interval(losses, block, seed),
        "log_loss_gain": mean_interval(known - losses, block, seed),
        "brier": mean_interval(brier, block, seed),
    }


def _decisions(
    signals: OutOfFold, rows: Rows, min_edge: float, block: int, seed: int
) -> dict[str, Interval]:
    """Return intervals of what is signalled and what is right of it."""
    wanted = signalled(signals.edge[rows], min_edge)
    hit = hits(signals)[rows][wanted].astype(np.float64)
    return {
        "coverage": mean_interval(wanted.astype(np.float64), block, seed),
        "hit_rate": mean_interval(hit, block, seed),
    }


def _of_trades(signals: OutOfFold, trades: Trades, seed: int) -> dict[str, Interval]:
    units, n_trades = trades.net_units, len(trades)
    among = _among(n_trades)
    decided = signals.labels.decided_at_ns
    starts = np.concatenate([decided[:1], decided[trades.rows]])
    waits, held = np.diff(starts) / 1e9, trades.held_ns / 1e9

    def bounded(figure: Callable[[Rows], float]) -> Interval:
        return figure_interval(figure, n_trades, among, seed)

    return {
        "mean_units": mean_interval(units, among, seed),
        "total_units": total_interval(units, among, seed),
        "win_rate": mean_interval((units > 0.0).astype(np.float64), among, seed),
        "sharpe": sharpe_interval(units, among, seed),
        "sortino": bounded(lambda rows: sortino(units[rows])),
        "max_drawdown_units": bounded(lambda rows: max_drawdown(units[rows])),
        "exposure": bounded(lambda rows: _over(held[rows], waits[rows])),
        "turnover_per_year": bounded(
            lambda rows: _over(np.full(len(rows), SECONDS_PER_YEAR), waits[rows])
        ),
    }


def _over(values: Floats, waits: Floats) -> float:
    total = float(waits.sum())
    return float(values.sum()) / total if total > 0.0 else float("nan")


def _block(signals: OutOfFold) -> int:
    labels = signals.labels
    lived = np.searchsorted(labels.decided_at_ns, labels.ended_at_ns) - np.arange(len(labels))
    return max(int(lived.max()), _among(len(labels)))


def _among(n_trades: int) -> int:
    return max(1, round(math.cbrt(n_trades)))
