"""Plots of an evaluation, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from models.compare import Comparison
from models.evaluate import COVERAGES, OutOfFold
from models.importance import Importance
from models.labels import Outcome
from models.reliability import reliability_curve

_DPI = 90
_SHOWN = 20


def draw_all(
    folder: Path,
    comparison: Comparison,
    signals: OutOfFold,
    baseline: OutOfFold,
    importances: Sequence[Importance],
) -> tuple[Path, ...]:
    """Draw every plot into `folder` and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    return (
        _save(draw_reliability(signals), folder / "reliability.png"),
        _save(draw_equity(comparison, signals, baseline), folder / "equity.png"),
        _save(draw_accuracy(comparison), folder / "accuracy_coverage.png"),
        *(
            _save(draw_importance(importance), folder / f"importance_{importance.family}.png")
            for importance in importances
        ),
    )


def draw_reliability(signals: OutOfFold) -> Figure:
    """Draw predicted against observed shares of every class, of the calibrated rows."""
    figure, axes = _new("Reliability, out of fold", "predicted probability", "observed share")
    known = signals.calibrated
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    for outcome in Outcome:
        predicted, observed, _ = reliability_curve(
            signals.probabilities[known], signals.labels.classes[known], outcome
        )
        axes.plot(predicted, observed, marker="o", label=outcome.name.lower())
    axes.legend()
    return figure


def draw_equity(comparison: Comparison, signals: OutOfFold, baseline: OutOfFold) -> Figure:
    """Draw the running total of model and baseline after costs, with the folds' borders."""
    figure, axes = _new("Equity after costs, out of fold", "", "units of risk")
    for evaluation, source in ((comparison.model, signals), (comparison.baseline, baseline)):
        stamps = source.labels.decided_at_ns[evaluation.trades.rows].astype("datetime64[ns]")
        axes.step(stamps, np.cumsum(evaluation.trades.net_units), label=evaluation.name)
    borders = np.flatnonzero(np.diff(signals.fold)) + 1
    for border in signals.labels.decided_at_ns[borders].astype("datetime64[ns]"):
        axes.axvline(border, color="grey", linewidth=0.6, linestyle=":")
    axes.axhline(0.0, color="black", linewidth=0.6)
    axes.legend()
    figure.autofmt_xdate()
    return figure


def draw_accuracy(comparison: Comparison) -> Figure:
    """Draw the hit rate of the strongest signals against how many are taken."""
    figure, axes = _new("Accuracy against coverage", "share of bars signalled", "hit rate")
    axes.plot(COVERAGES, comparison.model.curve, marker="o", label=comparison.model.name)
    axes.axvline(comparison.model.pooled.coverage, color="grey", linestyle=":", label="threshold")
    axes.legend()
    return figure


def draw_importance(importance: Importance) -> Figure:
    """Draw permutation importance, Shapley values and gain, with their spread over folds."""
    mean = importance.permutation.mean(axis=0)
    order = np.argsort(mean)[-_SHOWN:]
    names = [importance.names[place] for place in order]
    panels = (
        ("permutation: rise of log loss, nats", importance.permutation),
        ("mean absolute SHAP of the scores", importance.shapley),
        ("share of gain", importance.gain),
    )
    known = [(title, values) for title, values in panels if values is not None]
    figure = Figure(figsize=(4 + 4 * len(known), 6), layout="constrained")
    for place, (title, values) in enumerate(known):
        axes = figure.add_subplot(1, len(known), place + 1)
        axes.barh(names, values.mean(axis=0)[order], xerr=values.std(axis=0)[order])
        axes.set_title(f"{importance.family}, {title}" if place == 0 else title)
        if place:
            axes.set_yticks([])
    return figure


def _new(title: str, x_label: str, y_label: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return figure, axes


def _save(figure: Figure, path: Path) -> Path:
    # Without the library's version and date the same figure gives the same bytes.
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})
    return path
