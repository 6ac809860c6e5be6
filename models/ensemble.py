"""The ensemble: several families, each calibrated, weighted by what they showed out of fold.

A fold's calibrations are fitted on earlier folds, and its weights on earlier folds as those were
calibrated by folds earlier still: nothing behind a row's probabilities has seen the row or what
came after it. An ensemble serves whole or not at all, because its threshold and its gates speak
of all members together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.bars import Floats
from models.calibrate import calibrate_forward, combine_rows, fit_calibration
from models.dataset import Dataset
from models.evaluate import OutOfFold, number_folds
from models.export import ExportedMember
from models.fit import FoldFit, gather
from models.labels import Rows
from models.reliability import log_loss
from models.splits import Fold
from online.domain.signal import Calibration

Weights = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TrainedMember:
    """One model of the ensemble, fitted on everything.

    Parameters
    ----------
    exported
        Its ONNX file.
    calibration
        Fitted on all its out-of-fold outputs.
    weight
        In the ensemble; the weights of all members add up to one.
    log_loss
        Of its calibrated outputs, out of fold, first fold left out, nats.
    """

    exported: ExportedMember
    calibration: Calibration
    weight: float
    log_loss: float


@dataclass(frozen=True, slots=True)
class Blend:
    """What several families said out of fold, and how they are combined from now on.

    Parameters
    ----------
    signals
        Of the ensemble.
    calibrations, weights, losses
        One a member: what serves, and the log loss behind each weight.
    fold_weights
        The members' weights in each fold.
    """

    signals: OutOfFold
    calibrations: tuple[Calibration, ...]
    weights: Weights
    losses: tuple[float, ...]
    fold_weights: tuple[Weights, ...]


def weigh_members(losses: Sequence[float]) -> Weights:
    """Return weights in inverse proportion to the losses, adding up to one.

    Parameters
    ----------
    losses
        Log loss of each member (> 0), nats.

    Examples
    --------
    >>> weigh_members([0.5, 1.5])
    (0.75, 0.25)
    """
    inverse = 1.0 / np.maximum(np.asarray(losses, dtype=np.float64), np.finfo(np.float64).tiny)
    return tuple(float(weight) for weight in inverse / inverse.sum())


def blend(dataset: Dataset, folds: Sequence[Fold], fits: Sequence[Sequence[FoldFit]]) -> Blend:
    """Calibrate every member, weigh them, and combine them by the function that serves.

    Parameters
    ----------
    dataset
        All rows.
    folds
        In order of time.
    fits
        For each member, its fit of every fold.
    """
    labels = dataset.labels
    gathered = [gather(of_member, len(dataset)) for of_member in fits]
    rows, prior = gathered[0][0], gathered[0][2]
    forward = [
        calibrate_forward(raw, labels.classes, folds, labels.decided_at_ns, labels.ended_at_ns)
        for _, raw, _ in gathered
    ]
    calibrated = [
        _calibrate(dataset, of_member, calibrations)
        for of_member, calibrations in zip(fits, forward, strict=True)
    ]
    fold_weights = tuple(
        weigh_members(_losses(dataset, calibrated, _settled(dataset, folds, number)))
        for number in range(len(folds))
    )
    probabilities = [
        combine_rows(
            [of_member[number].raw for of_member in fits],
            tuple(calibrations[number] for calibrations in forward),
            fold_weights[number],
        )
        for number in range(len(folds))
    ]
    losses = _losses(dataset, calibrated, np.concatenate([fold.test for fold in folds[1:]]))
    return Blend(
        signals=OutOfFold(
            name="+".join(of_member[0].member.family for of_member in fits),
            probabilities=np.concatenate(probabilities),
            prior=prior[rows],
            labels=labels.take(rows),
            fold=number_folds([fold.test for fold in folds]),
        ),
        calibrations=tuple(
            fit_calibration(raw[rows], labels.classes[rows]) for _, raw, _ in gathered
        ),
        weights=weigh_members(losses),
        losses=losses,
        fold_weights=fold_weights,
    )


def _calibrate(
    dataset: Dataset, fits: Sequence[FoldFit], calibrations: Sequence[Calibration]
) -> Floats:
    """Return one member's calibrated probabilities; rows of no test are NaN."""
    known = np.full((len(dataset), fits[0].raw.shape[1]), np.nan)
    for fit, calibration in zip(fits, calibrations, strict=True):
        known[fit.fold.test] = combine_rows([fit.raw], (calibration,), (1.0,))
    return known


def _settled(dataset: Dataset, folds: Sequence[Fold], number: int) -> Rows:
    """Return the calibrated rows whose labels ended before fold `number` began.

    The first fold is none of them: nothing has calibrated it, as what serves is.
    """
    before = [fold.test for fold in folds[1:number]]
    rows = np.concatenate(before) if before else np.empty(0, dtype=np.int64)
    began = dataset.labels.decided_at_ns[folds[number].test[0]]
    return np.asarray(rows[dataset.labels.ended_at_ns[rows] < began], dtype=np.int64)


def _losses(dataset: Dataset, calibrated: Sequence[Floats], rows: Rows) -> tuple[float, ...]:
    """Return each member's log loss on `rows`; all alike where there are none."""
    if len(rows) == 0:
        return (1.0,) * len(calibrated)
    return tuple(log_loss(known[rows], dataset.labels.classes[rows]) for known in calibrated)
