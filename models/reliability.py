"""How good probabilities are: log loss, Brier, AUC and calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.bars import Floats
from models.labels import Outcome

Classes = npt.NDArray[np.int64]
N_BINS = 10
CHANCE_DRAWS = 20
TINY = 1e-15
"""Probabilities below it count as it, so that a logarithm stays finite."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Quality of probabilities on rows that were not learnt from.

    Parameters
    ----------
    n_rows
        Rows judged.
    log_loss, prior_log_loss
        Mean negative log likelihood in nats, of the model and of the training's class shares.
    brier
        Mean squared distance from the truth, summed over classes, in [0, 2].
    auc
        Area under the ROC curve of the edge, long against short; NaN if one of them is absent.
    ece
        Expected calibration error, mean over classes, in [0, 1].
    """

    n_rows: int
    log_loss: float
    prior_log_loss: float
    brier: float
    auc: float
    ece: float


def judge_probabilities(probabilities: Floats, classes: Classes, prior: Floats) -> Reliability:
    """Return the quality of `probabilities`, beside the prior's log loss.

    Parameters
    ----------
    probabilities
        Shape ``(n_rows, 3)``.
    classes
        What came, shape ``(n_rows,)``.
    prior
        Class shares of the training rows behind each row, shape ``(n_rows, 3)``.
    """
    truth = np.eye(len(Outcome))[classes]
    return Reliability(
        n_rows=len(classes),
        log_loss=log_loss(probabilities, classes),
        prior_log_loss=log_loss(prior, classes),
        brier=float(((probabilities - truth) ** 2).sum(axis=1).mean()),
        auc=edge_auc(probabilities[:, Outcome.LONG] - probabilities[:, Outcome.SHORT], classes),
        ece=calibration_error(probabilities, classes),
    )


def log_loss(probabilities: Floats, classes: Classes) -> float:
    """Return the mean negative log likelihood, nats."""
    chosen = probabilities[np.arange(len(classes)), classes]
    return float(-np.log(np.maximum(chosen, TINY)).mean())


def edge_auc(edge: Floats, classes: Classes) -> float:
    """Return how often a long that reached its target has the greater edge than such a short.

    Ties count half. Rows of neither are not asked.
    """
    long, short = edge[classes == Outcome.LONG], edge[classes == Outcome.SHORT]
    if len(long) == 0 or len(short) == 0:
        return float("nan")
    ordered = np.sort(short)
    below = np.searchsorted(ordered, long, "left")
    not_above = np.searchsorted(ordered, long, "right")
    return float((below + not_above).mean() / 2.0 / len(short))


def calibration_error(probabilities: Floats, classes: Classes) -> float:
    """Return the expected calibration error over bins of equal mass, mean over the classes."""
    errors = []
    for outcome in Outcome:
        predicted, observed, counts = reliability_curve(probabilities, classes, outcome)
        errors.append(float((np.abs(predicted - observed) * counts).sum() / counts.sum()))
    return float(np.mean(errors))


def chance_calibration_error(probabilities: Floats, seed: int) -> float:
    """Return the calibration error that perfectly calibrated probabilities show by chance.

    Outcomes are drawn from the probabilities themselves; on few rows no bin's share is ever quite
    what was predicted. Draws are independent, labels are not: this is the least chance can do.

    Parameters
    ----------
    probabilities
        Shape ``(n_rows, 3)``.
    seed
        Of the draws.
    """
    random = np.random.default_rng(seed)
    edges = np.cumsum(probabilities, axis=1)[:, :-1]
    found = [
        calibration_error(
            probabilities, (random.random(len(edges))[:, None] > edges).sum(axis=1).astype(np.int64)
        )
        for _ in range(CHANCE_DRAWS)
    ]
    return float(np.mean(found))


def reliability_curve(
    probabilities: Floats, classes: Classes, outcome: Outcome
) -> tuple[Floats, Floats, Floats]:
    """Return predicted probability, observed share and count of each bin of equal mass."""
    chosen = probabilities[:, outcome]
    order = np.argsort(chosen, kind="stable")
    bins = [part for part in np.array_split(order, N_BINS) if len(part)]
    predicted = np.array([chosen[part].mean() for part in bins])
    observed = np.array([(classes[part] == outcome).mean() for part in bins])
    return predicted, observed, np.array([len(part) for part in bins], dtype=np.float64)
