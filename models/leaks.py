"""Leaks: what a model may not have learnt from is looked for in the data and the fits themselves.

1. A feature that tells the outcome: its association with the label is beyond what the label says
   of itself when it is shifted in time, and beyond what any market grants (`refuse_told_outcome`).
2. Folds whose training labels reach into the embargo before their test (`refuse_overlap`).
3. A fit that changes with what came after it: the first fold is fitted again with all later data
   replaced, and must give the same bytes (`refuse_hindsight`).

That features are those known at the bar's close is proved where the catalogue is at hand
(`pipelines.leak_checks`).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.bars import Floats
from models.dataset import Dataset
from models.families.family import Family
from models.fit import FoldSummary, training_set
from models.labels import Outcome, Rows
from models.splits import Fold
from online.domain.errors import ModelRefused

MAX_TOLD = 0.15
"""Greatest share of the entropy that one feature may tell beyond chance of which side paid."""
MAX_TOLD_OF_RANGE = 0.6
"""The same of whether either side paid, and of how wide the market moves: what range and hour were
tells much of that, the more the greater costs are beside a bar."""
N_BINS = 20
N_SHIFTS = 20
MAX_ROWS = 20_000
"""Rows the association is measured on, evenly spread."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one feature tells of the outcome.

    Parameters
    ----------
    feature
        Its name.
    share
        Share of the outcome's entropy that knowing its bin removes, in [0, 1].
    by_chance
        The greatest share among shifts of the outcome against the feature.
    """

    feature: str
    share: float
    by_chance: float

    @property
    def beyond(self) -> float:
        """Share beyond chance."""
        return self.share - self.by_chance


def measure_told(dataset: Dataset, seed: int) -> tuple[Told, ...]:
    """Return what each feature tells of the outcome, beside what chance tells.

    Outcomes are shifted in a circle, not shuffled: neighbouring labels resemble each other, and
    so do neighbouring features.

    Source: Theil, On the Estimation of Relationships Involving Qualitative Variables, American
    Journal of Sociology 76, 1970 (the uncertainty coefficient).

    Parameters
    ----------
    dataset
        All rows.
    seed
        Of the shifts.
    """
    return _measure(dataset, dataset.labels.classes, np.arange(len(dataset)), seed)


def measure_told_side(dataset: Dataset, seed: int) -> tuple[Told, ...]:
    """Return what each feature tells of the side that paid, where one did; as `measure_told`."""
    classes = dataset.labels.classes
    return _measure(dataset, classes, np.flatnonzero(classes != Outcome.NEITHER), seed)


def measure_told_any(dataset: Dataset, seed: int) -> tuple[Told, ...]:
    """Return what each feature tells of whether a side paid at all; as `measure_told`."""
    any_paid = (dataset.labels.classes != Outcome.NEITHER).astype(np.int64)
    return _measure(dataset, any_paid, np.arange(len(dataset)), seed)


def refuse_told_outcome(dataset: Dataset, seed: int, *, sided: bool = True) -> None:
    """Refuse a dataset in which one feature tells more of the outcome than a market grants.

    Parameters
    ----------
    sided
        Whether the outcome is a side that paid, or neither, each asked for by itself: that a quiet
        market pays no side its costs is no leak. False where it is how wide the market moves.

    Raises
    ------
    ModelRefused
        With code ``LABEL_AMONG_FEATURES``, the feature and how much it tells.
    """
    if not sided:
        _refuse(measure_told(dataset, seed), "the outcome", MAX_TOLD_OF_RANGE)
        return
    _refuse(measure_told_side(dataset, seed), "which side paid", MAX_TOLD)
    _refuse(measure_told_any(dataset, seed), "whether a side paid", MAX_TOLD_OF_RANGE)


def measure_embargo(folds: Sequence[FoldSummary]) -> int:
    """Return the least distance between training labels and the test after them, nanoseconds."""
    return min(fold.test_began_at_ns - fold.train_ended_at_ns for fold in folds)


def refuse_overlap(folds: Sequence[FoldSummary], embargo_ns: int) -> None:
    """Refuse folds that learnt within `embargo_ns` of their test.

    Raises
    ------
    ModelRefused
        With code ``FOLDS_OVERLAP`` and the first such fold.
    """
    for fold in folds:
        gap_ns = fold.test_began_at_ns - fold.train_ended_at_ns
        if gap_ns <= embargo_ns:
            raise ModelRefused(
                f"fold {fold.number + 1} learnt from labels that end {gap_ns / 3.6e12:g} h before "
                f"its test; more than the embargo of {embargo_ns / 3.6e12:g} h is needed",
                code="FOLDS_OVERLAP",
                remedy="Purge and embargo the folds (models.splits.walk_forward).",
            )


def refuse_hindsight(
    dataset: Dataset,
    fold: Fold,
    families: Sequence[Family],
    onnx_sha256: Sequence[str],
    *,
    embargo_ns: int,
    seed: int,
) -> None:
    """Refuse fits that change when everything after their training is replaced.

    Parameters
    ----------
    dataset
        As it was loaded.
    fold
        One split of it.
    families, onnx_sha256
        What was fitted on the fold, and the files that came out.
    embargo_ns, seed
        As of the study.

    Raises
    ------
    ModelRefused
        With code ``FIT_LOOKS_AHEAD`` and the family.
    """
    replaced = replace_after(dataset, int(fold.train[-1]), seed)
    training = training_set(replaced, fold.train, embargo_ns)
    for family, known in zip(families, onnx_sha256, strict=True):
        found = hashlib.sha256(family.fit(training, seed).to_onnx()).hexdigest()
        if found != known:
            raise ModelRefused(
                f"{family.name} of fold {fold.number + 1} comes out differently when all data "
                "after its training is replaced: something it was fitted on knew what came later",
                code="FIT_LOOKS_AHEAD",
                remedy="Fit scalers, encodings and filters inside the fold, on its training rows.",
            )


def replace_after(dataset: Dataset, last: int, seed: int) -> Dataset:
    """Return the dataset with features and outcomes after row `last` replaced by chance."""
    random = np.random.default_rng(seed)
    features, classes = dataset.features.copy(), dataset.labels.classes.copy()
    later = slice(last + 1, None)
    features[later] = 100.0 * random.standard_normal(features[later].shape)
    classes[later] = random.integers(0, len(Outcome), len(classes[later]))
    labels = dataclasses.replace(dataset.labels, classes=classes)
    windows = dataset.windows
    if windows is not None:
        vectors = windows.vectors.copy()
        beyond = slice(int(windows.ends[last]) + 1, None)
        vectors[beyond] = 100.0 * random.standard_normal(vectors[beyond].shape)
        windows = dataclasses.replace(windows, vectors=vectors)
    return dataclasses.replace(dataset, features=features, labels=labels, windows=windows)


def _measure(
    dataset: Dataset, classes: npt.NDArray[np.int64], rows: Rows, seed: int
) -> tuple[Told, ...]:
    """Return what each feature tells of the classes on the rows that are given."""
    rows = rows[:: max(1, len(rows) // MAX_ROWS)]
    n_rows, kept = len(rows), classes[rows]
    if n_rows < N_BINS:
        return ()
    shifts = np.random.default_rng(seed).integers(n_rows // 10, n_rows - n_rows // 10, N_SHIFTS)
    told = []
    for name, column in _columns(dataset).items():
        bins = _cut(column[rows])
        chance = [_uncertainty(bins, np.roll(kept, shift)) for shift in shifts]
        told.append(Told(name, _uncertainty(bins, kept), max(chance)))
    return tuple(told)


def _refuse(told: Sequence[Told], what: str, most: float) -> None:
    """Refuse the feature that tells most, if that is more than `most`."""
    worst = max(told, key=lambda one: one.beyond, default=None)
    if worst is not None and worst.beyond > most:
        raise ModelRefused(
            f"the feature {worst.feature!r} tells {worst.share:.0%} of {what}, chance "
            f"{worst.by_chance:.0%}; a feature known at the bar's close tells at most "
            f"{most:.0%} beyond chance",
            code="LABEL_AMONG_FEATURES",
            remedy="Look for the label, or prices after the close, in how the feature is made.",
        )


def _columns(dataset: Dataset) -> dict[str, npt.NDArray[np.float32]]:
    """Return every feature at its bar's close, those that only windows have too."""
    columns = dict(zip(dataset.names, dataset.features.T, strict=True))
    windows = dataset.windows
    if windows is None:
        return columns
    return {**dict(zip(windows.names, windows.last().T, strict=True)), **columns}


def _cut(values: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Return each value's bin among equally filled ones; equal values share theirs."""
    edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, N_BINS + 1)[1:-1]))
    return np.searchsorted(edges, values, "right").astype(np.int64)


def _uncertainty(bins: npt.NDArray[np.int64], classes: npt.NDArray[np.int64]) -> float:
    """Return the share of the classes' entropy that knowing the bin removes."""
    joint = np.bincount(bins * len(Outcome) + classes, minlength=N_BINS * len(Outcome))
    table = joint.reshape(-1, len(Outcome)) / len(classes)
    known = _entropy(table.ravel()) - _entropy(table.sum(axis=1))
    total = _entropy(table.sum(axis=0))
    return 1.0 - known / total if total > 0.0 else 0.0


def _entropy(shares: Floats) -> float:
    positive = shares[shares > 0.0]
    return float(-(positive * np.log(positive)).sum())
