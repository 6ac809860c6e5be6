"""Leak checks of a training run: what leaks is refused by a named code and never registered."""

from __future__ import annotations

import numpy as np

from feature_repo.catalogue import select
from feature_repo.panel import Panel
from feature_repo.vector import compute_vectors
from models.dataset import Dataset
from models.families.build import build_family
from models.leaks import (
    refuse_hindsight,
    refuse_overlap,
    refuse_told_outcome,
)
from models.learn import Study, cut_folds
from online.domain.errors import ModelRefused
from pipelines.feature_history import load_panel
from pipelines.lake import Lake
from pipelines.training_data import TrainingData, TrainPlan
from pipelines.window_steps import recent_vectors

N_MOMENTS = 6
"""Moments of the window at which every feature is computed anew from the bars before."""


def refuse_leaking_data(plan: TrainPlan, data: TrainingData) -> None:
    """Refuse data that tells the outcome or was not known at its bar's close.

    Raises
    ------
    ModelRefused
        With code ``LABEL_AMONG_FEATURES`` or ``FEATURES_LOOK_AHEAD``.
    """
    sided = plan.recipe.label.target.is_tradable
    refuse_told_outcome(data.dataset, plan.recipe.seed, sided=sided)
    refuse_later_knowledge(plan, data.dataset)


def refuse_leaking_study(plan: TrainPlan, data: TrainingData, found: Study) -> None:
    """Refuse folds that overlap and fits that depend on what came after them.

    Raises
    ------
    ModelRefused
        With code ``FOLDS_OVERLAP`` or ``FIT_LOOKS_AHEAD``.
    """
    embargo_ns = plan.recipe.embargo_ns(plan.rule)
    refuse_overlap(found.folds, embargo_ns)
    refuse_hindsight(
        data.dataset,
        cut_folds(data.dataset, plan.recipe, plan.rule)[0],
        [build_family(config) for config in plan.recipe.families],
        found.folds[0].onnx_sha256,
        embargo_ns=embargo_ns,
        seed=plan.recipe.seed,
    )


def refuse_later_knowledge(plan: TrainPlan, dataset: Dataset) -> None:
    """Compute features anew from the bars up to some moments; every bit must be the dataset's.

    A feature that was scaled, filtered or encoded with later data differs from the one that the
    live side will compute from the same past. What every bar's features are by the lake as it is
    now is asked too: the store answers with an older row where a bar's own was never stored.

    Raises
    ------
    ModelRefused
        With code ``FEATURES_LOOK_AHEAD``, the first feature and moment that differ, or
        ``FEATURES_STALE`` if the store was not told of bars that the lake has.
    """
    if dataset.names != plan.vector.names:
        added = sorted(set(dataset.names) ^ set(plan.vector.names))
        raise ModelRefused(
            f"the columns are not the catalogue's vector; they differ in {', '.join(added)}",
            code="FEATURES_LOOK_AHEAD",
            remedy="Define every feature in the catalogue: what is not there cannot be served.",
        )
    features = select(dataset.names, plan.timeframe)
    lake, read = Lake(plan.home.lake), select(plan.vector.all_names, plan.timeframe)
    panel = load_panel(lake, plan.symbol, plan.timeframe, plan.end_ns, read)
    for row in np.unique(np.linspace(0, len(dataset) - 1, N_MOMENTS).astype(np.int64)):
        closed_at_ns = int(dataset.bars.closed_at_ns[row])
        end = int(np.searchsorted(panel.own.closed_at_ns, closed_at_ns, "right"))
        known = panel.part(0, end)
        values = compute_vectors(known, features, end - 1)
        for column, name in enumerate(dataset.names):
            then, now = values[name][-1], dataset.features[row, column]
            if then.tobytes() != now.tobytes():
                raise ModelRefused(
                    f"{name} at the close {closed_at_ns} ns was {then!s} to those who knew the "
                    f"bars until then; the training data say {now!s}",
                    code="FEATURES_LOOK_AHEAD",
                    remedy="Compute it from the bars up to its own close, or featurize again.",
                )
        _refuse_later_window(plan, dataset, known, row)
    _refuse_stale(plan, dataset, panel)


def _refuse_stale(plan: TrainPlan, dataset: Dataset, panel: Panel) -> None:
    """Refuse rows that hold other bits than the lake's bars give now."""
    place = np.searchsorted(panel.own.closed_at_ns, dataset.bars.closed_at_ns)
    held = dict(zip(dataset.names, dataset.features.T, strict=True))
    windows = dataset.windows
    if windows is not None:
        held |= dict(zip(windows.names, windows.last().T, strict=True))
    values = compute_vectors(panel, select(tuple(held), plan.timeframe))
    for name, column in held.items():
        now = values[name][place].view(np.uint32)
        differ = now != np.ascontiguousarray(column).view(np.uint32)
        if differ.any():
            first = int(dataset.bars.closed_at_ns[int(np.argmax(differ))])
            raise ModelRefused(
                f"{int(differ.sum())} of {len(dataset)} rows hold {name} otherwise than the bars "
                f"in the lake give it, the first at the close {first} ns",
                code="FEATURES_STALE",
                remedy=f"Store them again: `sextant features --symbol {plan.symbol} "
                f"--timeframe {plan.timeframe}`.",
            )


def _refuse_later_window(plan: TrainPlan, dataset: Dataset, known: Panel, row: int) -> None:
    """Refuse a row's window if it is not made of the vectors that the bars until then give."""
    windows = dataset.windows
    if windows is None:
        return
    features = select(windows.names, plan.timeframe)
    now = recent_vectors(known, features, windows.length)
    then = windows[np.array([row])][0]
    if now.tobytes() != then.tobytes():
        raise ModelRefused(
            f"the window at the close {dataset.bars.closed_at_ns[row]} ns does not hold the "
            f"{windows.length} vectors that those who knew the bars until then had",
            code="FEATURES_LOOK_AHEAD",
            remedy="Store the windows again with `sextant features`.",
        )
