"""Leaks planted into a training run, and the code that must refuse each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from models.bars import Stamps
from models.learn import Study
from models.splits import Fold
from pipelines.training import study
from pipelines.training_data import TrainingData, TrainPlan

Load = Callable[[TrainPlan], TrainingData]
LearnFrom = Callable[[TrainPlan, TrainingData, int], Study]
COLUMN = 3
"""Of the default vector: a moving average's ratio, continuous and never missing."""


@dataclass(frozen=True, slots=True)
class Planted:
    """One leak.

    Parameters
    ----------
    name
        What was done wrong.
    spoil
        Done to the data as they are loaded.
    learn_from
        How the study is made.
    code
        Of the refusal.
    """

    name: str
    spoil: Callable[[TrainingData], TrainingData]
    learn_from: LearnFrom
    code: str

    def load(self, load: Load) -> Load:
        """Return `load` with the leak in it."""
        return lambda plan: self.spoil(load(plan))


def _nothing(data: TrainingData) -> TrainingData:
    return data


def _label(data: TrainingData) -> TrainingData:
    return _with_column(data, data.dataset.labels.classes.astype(np.float64))


def _scaled(data: TrainingData) -> TrainingData:
    column = data.dataset.features[:, COLUMN].astype(np.float64)
    return _with_column(data, (column - column.mean()) / column.std())


def _target_encoded(data: TrainingData) -> TrainingData:
    """Replace a feature by the mean outcome of its tenth, future rows included."""
    column, classes = data.dataset.features[:, COLUMN], data.dataset.labels.classes
    tenth = np.searchsorted(np.quantile(column, np.linspace(0.1, 0.9, 9)), column)
    means = np.bincount(tenth, classes, 10) / np.maximum(np.bincount(tenth, minlength=10), 1)
    return _with_column(data, means[tenth])


def _with_column(data: TrainingData, values: np.ndarray) -> TrainingData:
    features = data.dataset.features.copy()
    features[:, COLUMN] = values
    return replace(data, dataset=replace(data.dataset, features=features))


def _scaled_before_the_folds(plan: TrainPlan, data: TrainingData, trials: int) -> Study:
    scaled = data.dataset.features / data.dataset.features.std(axis=0)
    return study(plan, replace(data, dataset=replace(data.dataset, features=scaled)), trials)


def _folds_without_purge(plan: TrainPlan, data: TrainingData, trials: int) -> Study:
    def cut(decided_at_ns: Stamps, *_: object, n_folds: int, **_named: object) -> object:
        edges = np.linspace(len(decided_at_ns) // 2, len(decided_at_ns), n_folds + 1).astype(int)
        return tuple(
            Fold(n, np.arange(edges[n]), np.arange(edges[n], edges[n + 1])) for n in range(n_folds)
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("models.learn.walk_forward", cut)
        return study(plan, data, trials)


LEAKS = (
    Planted("label in features", _label, study, "LABEL_AMONG_FEATURES"),
    Planted("scaling on all data", _scaled, study, "FEATURES_LOOK_AHEAD"),
    Planted("target-encoded future", _target_encoded, study, "FEATURES_LOOK_AHEAD"),
    Planted("scaling before the folds", _nothing, _scaled_before_the_folds, "FIT_LOOKS_AHEAD"),
    Planted("folds without purge", _nothing, _folds_without_purge, "FOLDS_OVERLAP"),
)
