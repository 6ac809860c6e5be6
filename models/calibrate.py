"""Calibration: vector scaling fitted on out-of-fold outputs of the ONNX file that serves.

Long and short share their weight and their bias: a calibration may make a model surer or less
sure, never inclined to one side.

Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from models.bars import Floats, Stamps
from models.export import Scores
from models.labels import Outcome
from models.splits import Fold
from online.domain.errors import ModelRefused
from online.domain.signal import Calibration, MemberOutput, Probabilities, combine

N_CLASSES = len(Outcome)
PRIOR_ROWS = 20.0
"""Weight of the pull towards changing nothing, in rows."""
_TINY = 1e-7
_KIND = np.array([0, 1, 0])
"""Of short, neither, long: a direction or none."""
_N_KINDS = 2
_PLACE = np.concatenate([_KIND, _KIND + _N_KINDS])


def fit_calibration(raw: Scores, classes: npt.NDArray[np.int64]) -> Calibration:
    """Fit weights and biases of the log probabilities by regularised maximum likelihood.

    The directions share theirs, so a model without an edge is not given one by the drift of the
    rows it is calibrated on.

    Parameters
    ----------
    raw
        Out-of-fold probabilities, shape ``(n_rows, 3)``.
    classes
        What came, shape ``(n_rows,)``.

    Raises
    ------
    ModelRefused
        With code ``CALIBRATION_FAILED`` if no finite optimum is found.
    """
    logs = np.log(np.maximum(raw.astype(np.float64), _TINY))
    truth = np.eye(N_CLASSES)[classes]

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, biases = parameters[:_N_KINDS][_KIND], parameters[_N_KINDS:][_KIND]
        scores = logs * weights + biases
        scores -= scores.max(axis=1, keepdims=True)
        log_total = np.log(np.exp(scores).sum(axis=1, keepdims=True))
        error = np.exp(scores - log_total) - truth
        pull = np.concatenate([weights - 1.0, biases])
        value = -float(((scores - log_total) * truth).sum()) + PRIOR_ROWS * float(pull @ pull)
        slope = np.concatenate([(error * logs).sum(axis=0), error.sum(axis=0)])
        slope += 2.0 * PRIOR_ROWS * pull
        return value, np.bincount(_PLACE, slope).astype(np.float64)

    start = np.concatenate([np.ones(_N_KINDS), np.zeros(_N_KINDS)])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    if not np.all(np.isfinite(found.x)):
        raise ModelRefused(f"no calibration was found: {found.message}", code="CALIBRATION_FAILED")
    direction, neither, bias, neither_bias = (float(value) for value in found.x)
    return Calibration((direction, neither, direction), (bias, neither_bias, bias))


def combine_rows(
    raw: Sequence[Scores], calibrations: tuple[Calibration, ...], weights: tuple[float, ...]
) -> Floats:
    """Return the ensemble's probabilities by the function that serves, row by row.

    Parameters
    ----------
    raw
        Each member's raw outputs, shape ``(n_rows, 3)`` each.
    calibrations, weights
        One a member.
    """
    names = tuple(str(number) for number in range(len(raw)))
    rows = zip(*(_tuples(scores) for scores in raw), strict=True)
    combined = [
        combine(
            tuple(MemberOutput(name, p) for name, p in zip(names, row, strict=True)),
            calibrations,
            weights,
        ).probabilities
        for row in rows
    ]
    return np.array(combined, dtype=np.float64).reshape(-1, N_CLASSES)


def calibrate_forward(
    raw: Scores,
    classes: npt.NDArray[np.int64],
    folds: Sequence[Fold],
    decided_at_ns: Stamps,
    ended_at_ns: Stamps,
) -> tuple[Calibration, ...]:
    """Return a calibration for each fold, fitted on earlier folds alone.

    A fold's calibration uses the out-of-fold outputs whose labels ended before the fold's first
    decision; the first fold has none and changes nothing. Figures on such outputs are honest.

    Parameters
    ----------
    raw, classes
        Of every label, shape ``(n_labels, 3)`` and ``(n_labels,)``; only test rows are read.
    folds
        In order of time.
    decided_at_ns, ended_at_ns
        Life of every label, shape ``(n_labels,)``.
    """
    fitted: list[Calibration] = []
    for number, fold in enumerate(folds):
        before = [earlier.test for earlier in folds[:number]]
        rows = np.concatenate(before) if before else np.empty(0, dtype=np.int64)
        rows = rows[ended_at_ns[rows] < decided_at_ns[fold.test[0]]]
        known = fit_calibration(raw[rows], classes[rows]) if len(rows) else Calibration()
        fitted.append(known)
    return tuple(fitted)


def _tuples(scores: Scores) -> list[Probabilities]:
    return [(row[0], row[1], row[2]) for row in scores.astype(np.float64).tolist()]
