"""Fitting: on every fold for honest outputs, and on everything for the model that serves."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.bars import Floats
from models.dataset import Dataset
from models.export import ExportedMember, OnnxScorer, Scores, export_member
from models.families.family import Explained, Family, Fitted, TrainingSet
from models.labels import Outcome, Rows
from models.progress import Steps
from models.splits import Fold, inner_split, recent
from models.weights import balance_directions, weigh
from online.domain.errors import InvalidInput

logger = logging.getLogger(__name__)
STOPPING_SHARE = 0.2
"""Part of a training set, its last, by which the number of rounds is chosen."""
FOLD_PARITY_ROWS = 500
EXPLAINED_ROWS = 1_000
"""Tested rows of a fold by which its model is explained, evenly spread over it."""


@dataclass(frozen=True, slots=True)
class FoldFit:
    """What one fold's model said of its test rows.

    Parameters
    ----------
    fold
        The split.
    raw
        ONNX outputs of the test rows, shape ``(n_test, 3)``.
    prior
        Class shares of the training rows, shape ``(3,)``.
    gains
        Share of each feature in the fit, shape ``(n_features,)``; None if the family has none.
    member
        The fold's ONNX file.
    contributions
        Mean absolute Shapley value of each feature on tested rows, over the classes, shape
        ``(n_features,)``; None if the family cannot say.
    """

    fold: Fold
    raw: Scores
    prior: Floats
    gains: Floats | None
    member: ExportedMember
    contributions: Floats | None = None


@dataclass(frozen=True, slots=True)
class FoldSummary:
    """What a run shows of a fold.

    Parameters
    ----------
    number
        From 0, in order of time.
    train_rows, test_rows
        How many.
    train_ended_at_ns, test_began_at_ns
        End of the last training label, and the first test decision, nanoseconds UTC.
    onnx_sha256
        Of the fold's ONNX files, in the members' order.
    """

    number: int
    train_rows: int
    test_rows: int
    train_ended_at_ns: int
    test_began_at_ns: int
    onnx_sha256: tuple[str, ...]


def summarise(dataset: Dataset, fits: Sequence[FoldFit]) -> FoldSummary:
    """Return what a run shows of one fold, which every member fitted."""
    labels, fold = dataset.labels, fits[0].fold
    return FoldSummary(
        number=fold.number,
        train_rows=len(fold.train),
        test_rows=len(fold.test),
        train_ended_at_ns=int(labels.ended_at_ns[fold.train].max()),
        test_began_at_ns=int(labels.decided_at_ns[fold.test].min()),
        onnx_sha256=tuple(fit.member.sha256 for fit in fits),
    )


def training_set(dataset: Dataset, rows: Rows, embargo_ns: int) -> TrainingSet:
    """Return `rows` of the dataset, ready for a family.

    Raises
    ------
    InvalidInput
        With code ``TOO_FEW_ROWS`` if nothing is left to fit on, ``ONE_CLASS`` if all that is left
        came out alike.
    """
    taken = dataset.take(rows)
    labels = taken.labels
    everything = np.arange(len(rows), dtype=np.int64)
    inner_fit, inner_valid = inner_split(
        labels.decided_at_ns,
        labels.ended_at_ns,
        everything,
        valid_share=STOPPING_SHARE,
        embargo_ns=embargo_ns,
    )
    known = np.unique(labels.classes[inner_fit])
    if len(known) < 2:  # noqa: PLR2004 - one class cannot be told from another
        only = Outcome(int(known[0])).name.lower()
        raise InvalidInput(
            f"one class only: each of the {len(inner_fit)} labels of a training set, without "
            f"those that decide when to stop, is {only}",
            code="ONE_CLASS",
            remedy="Train on a longer window, on fewer folds, or with nearer barriers.",
        )
    unique = weigh(labels.decided_at_ns, labels.ended_at_ns)
    weights = balance_directions(unique, labels.classes)
    return TrainingSet(
        *(taken.features, taken.names, labels.classes, weights),
        *(inner_fit, inner_valid, taken.windows),
    )


def fit_folds(
    dataset: Dataset,
    folds: Sequence[Fold],
    family: Family,
    *,
    embargo_ns: int,
    seed: int,
    steps: Steps | None = None,
) -> tuple[FoldFit, ...]:
    """Fit every fold on its training rows alone and score its test rows through ONNX.

    Parameters
    ----------
    dataset, folds
        Rows and their splits.
    family
        What is fitted.
    embargo_ns, seed
        Of the inner split and of every random choice.
    steps
        Told of each fold; None tells nobody.
    """
    fits: list[FoldFit] = []
    for fold in folds:
        training = training_set(dataset, fold.train, embargo_ns)
        fitted = family.fit(training, seed)
        inputs = dataset.take(fold.train).inputs(family.reads)
        member = export_member(family.name, fitted, inputs, seed, FOLD_PARITY_ROWS, family.reads)
        raw = OnnxScorer(member.onnx).score(dataset.inputs(family.reads)[fold.test])
        prior = np.bincount(training.classes, minlength=len(Outcome)) / len(training.classes)
        explained = _explain(fitted, dataset, fold)
        fits.append(FoldFit(fold, raw, prior, fitted.gains(), member, explained))
        logger.info(
            "fold %d of %d: %s fitted on %d rows, scored %d",
            *(fold.number + 1, len(folds), family.name, len(fold.train), len(fold.test)),
        )
        if steps is not None:
            steps.advance(f"{family.name}, fold {fold.number + 1} of {len(folds)}")
    return tuple(fits)


def spread_rows(rows: Rows, most: int) -> Rows:
    """Return about `most` of the rows, evenly spread over them."""
    return rows[:: max(1, len(rows) // most)]


def _explain(fitted: Fitted, dataset: Dataset, fold: Fold) -> Floats | None:
    """Return the mean absolute contributions on tested rows; None if the family cannot say."""
    if not isinstance(fitted, Explained):
        return None
    values = fitted.contributions(dataset.features[spread_rows(fold.test, EXPLAINED_ROWS)])
    return np.asarray(np.abs(values).mean(axis=(0, 2)), dtype=np.float64)


def fit_everything(
    dataset: Dataset,
    family: Family,
    *,
    embargo_ns: int,
    seed: int,
    rolling_ns: int | None = None,
) -> ExportedMember:
    """Fit on every row, or those of a last rolling window, and export.

    Every label of the dataset ends inside its window.
    """
    rows = served_rows(dataset, rolling_ns)
    fitted = family.fit(training_set(dataset, rows, embargo_ns), seed)
    return export_member(
        family.name, fitted, dataset.inputs(family.reads), seed, reads=family.reads
    )


def served_rows(dataset: Dataset, rolling_ns: int | None) -> Rows:
    """Return the rows that what serves is fitted on: all, or those of a last rolling window."""
    decided_at_ns = dataset.labels.decided_at_ns
    everything = np.arange(len(dataset), dtype=np.int64)
    return recent(decided_at_ns, everything, int(decided_at_ns[-1]), rolling_ns)


def gather(fits: Sequence[FoldFit], n_rows: int) -> tuple[Rows, Scores, Floats]:
    """Return the tested rows, and raw outputs and priors of all rows; untested ones are NaN."""
    raw = np.full((n_rows, len(Outcome)), np.nan, dtype=np.float32)
    prior = np.full((n_rows, len(Outcome)), np.nan)
    for fit in fits:
        raw[fit.fold.test] = fit.raw
        prior[fit.fold.test] = fit.prior
    return np.concatenate([fit.fold.test for fit in fits]), raw, prior
