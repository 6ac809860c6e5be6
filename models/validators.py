"""Validators fitted: novelty, conformal sets and the meta-label, each by earlier folds alone.

What refuses a row of a fold was fitted on that fold's training rows and on out-of-fold signals
whose labels had ended before the fold began, those being calibrated by folds earlier still. Where
there is too little to fit a validator that the recipe asks for, nothing is traded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from models.bars import Floats
from models.dataset import Dataset, Features
from models.evaluate import OutOfFold
from models.labels import Labels, Outcome, Rows
from models.recipe import ValidatorChoice
from models.splits import Fold
from models.weights import weigh
from online.domain.conformal import ConformalRule
from online.domain.errors import InvalidInput
from online.domain.meta_label import SPOKEN, MetaRule, read_inputs
from online.domain.novelty import NoveltyRule, novelty
from online.domain.signal import Signal
from online.domain.validators import Validators, measure, refusals
from online.domain.vector import VectorContract

MIN_ROWS = 200
"""Fewest out-of-fold signals that a conformal limit or a meta-label is fitted on."""
PRIOR_ROWS = 20.0
"""Weight of the pull of the meta-label's weights towards zero, in rows."""
_NORMAL_IQR = 1.349  # a normal's interquartile range in standard deviations
_WIDE = 1e9


@dataclass(frozen=True, slots=True)
class Validated:
    """Validators and what they refused out of fold.

    Parameters
    ----------
    serving
        Fitted on everything; None where the recipe asks for none, or nothing could be fitted.
    allowed
        Rows let through by validators of earlier folds, shape ``(n_rows,)``; None for all.
    refused
        Out-of-fold rows refused, by reason.
    judged
        Rows of the folds for which there were validators, shape ``(n_rows,)``; None for all.
    """

    serving: Validators | None
    allowed: npt.NDArray[np.bool_] | None
    refused: dict[str, int]
    judged: npt.NDArray[np.bool_] | None = None


def fit_validators(
    dataset: Dataset,
    folds: Sequence[Fold],
    signals: OutOfFold,
    choice: ValidatorChoice,
    contract: VectorContract,
) -> Validated:
    """Fit what the recipe asks for, for every fold and for serving.

    Parameters
    ----------
    dataset, folds
        Rows and their splits, in order of time.
    signals
        Of the ensemble on the tested rows, in the folds' order.
    choice
        Which validators.
    contract
        The vector behind the dataset's columns.

    Raises
    ------
    InvalidInput
        With code ``VALIDATOR_NOT_FITTED`` if there is too little to fit one that is asked for.
    """
    if choice == ValidatorChoice():
        return Validated(None, None, {})
    features = dataset.features[:, : len(contract.names)]
    values = features[np.concatenate([fold.test for fold in folds])].astype(np.float64)
    allowed = np.zeros(len(signals.labels), dtype=np.bool_)
    judged = np.ones(len(signals.labels), dtype=np.bool_)
    refused: dict[str, int] = {}
    distances: list[float] = []
    for number, fold in enumerate(folds):
        mine = np.flatnonzero(signals.fold == number)
        centre = _centre(features[fold.train], choice)
        known = centre and _limit(centre, distances, features[fold.train], choice)
        fitted = _fit(signals, values, _settled(signals, number), choice, contract, known)
        distances += [] if centre is None else [novelty(values[row], centre) for row in mine]
        if fitted is None:
            refused["NOT_FITTED"] = refused.get("NOT_FITTED", 0) + len(mine)
            judged[mine] = False
            continue
        reasons = refuse_rows(signals.probabilities[mine], values[mine], contract, fitted)
        allowed[mine] = [not names for names in reasons]
        for name in (name for names in reasons for name in names):
            refused[name] = refused.get(name, 0) + 1
    centre = _centre(features, choice)
    known = centre and _limit(centre, distances, features, choice)
    serving = _fit(signals, values, np.flatnonzero(signals.fold > 0), choice, contract, known)
    if serving is None:
        raise InvalidInput(
            f"the validators asked for need {MIN_ROWS} calibrated out-of-fold signals, some of "
            "which earn and some of which lose",
            code="VALIDATOR_NOT_FITTED",
            remedy="Train on a longer window, or leave conformal_error and meta_inputs out.",
        )
    return Validated(serving, allowed, refused, judged)


def refuse_rows(
    probabilities: Floats, values: Floats, contract: VectorContract, validators: Validators
) -> list[tuple[str, ...]]:
    """Return the reasons against each row, by the functions that serve.

    Parameters
    ----------
    probabilities
        Calibrated and combined, shape ``(n_rows, 3)``.
    values
        Of the vectors, shape ``(n_rows, n_features)``.
    contract, validators
        Of the model.
    """
    found = []
    for (short, neither, long), row in zip(probabilities.tolist(), values.tolist(), strict=True):
        signal = Signal((), (short, neither, long))
        checks = measure(signal, row, contract, validators)
        checked = Signal((), signal.probabilities, checks=checks)
        found.append(tuple(str(veto.reason) for veto in refusals(checked, 0.0, validators)))
    return found


def fit_conformal(
    probabilities: Floats, classes: npt.NDArray[np.int64], error: float
) -> ConformalRule:
    """Return the limit that leaves out at most `error` of outcomes exchangeable with these.

    Parameters
    ----------
    probabilities
        Out of fold, calibrated and combined, shape ``(n_rows, 3)``.
    classes
        What came, shape ``(n_rows,)``.
    error
        In (0, 1).
    """
    scores = np.sort(1.0 - probabilities[np.arange(len(classes)), classes])
    rank = int(np.ceil((len(scores) + 1) * (1.0 - error)))
    limit = 1.0 if rank > len(scores) else float(scores[rank - 1])
    return ConformalRule(error, min(max(limit, 0.0), 1.0))


def fit_meta(
    probabilities: Floats,
    values: Floats,
    labels: Labels,
    inputs: tuple[str, ...],
    contract: VectorContract,
) -> MetaRule | None:
    """Return the regression of a trade's profit on its signal; None if it cannot be fitted.

    The least probability is the break-even: what a trade loses on average when it loses, by what
    it wins and loses together. It is no choice among results, so it counts as no trial.

    Parameters
    ----------
    probabilities, values, labels
        Of out-of-fold signals, one a row, in order of time.
    inputs
        What it reads.
    contract
        The vector behind the columns of `values`.
    """
    edge = probabilities[:, Outcome.LONG] - probabilities[:, Outcome.SHORT]
    rows = np.flatnonzero(edge)
    if len(rows) < MIN_ROWS:
        return None
    taken = labels.take(rows)
    net = np.where(edge[rows] > 0.0, taken.long.net_units, taken.short.net_units)
    earned = (net > 0.0).astype(np.float64)
    if earned.min() == earned.max():
        return None
    weights = weigh(taken.decided_at_ns, taken.ended_at_ns)
    centre = [
        0.0 if name in SPOKEN else float(np.median(values[rows, contract.index(name)]))
        for name in inputs
    ]
    table = np.array(
        [
            read_inputs(inputs, centre, (p[0], p[1], p[2]), row, contract)
            for p, row in zip(probabilities[rows].tolist(), values[rows].tolist(), strict=True)
        ]
    )
    for place, name in enumerate(inputs):
        if name in SPOKEN:
            centre[place] = float(table[:, place].mean())
            table[:, place] -= centre[place]
    spread = np.where(table.std(axis=0) > 0.0, table.std(axis=0), 1.0)
    bias, *slopes = _regress(table / spread, earned, weights)
    won, lost = float(net[net > 0.0].mean()), -float(net[net <= 0.0].mean())
    return MetaRule(
        inputs,
        tuple(centre),
        tuple(spread.tolist()),
        tuple(slopes),
        bias,
        min(max(lost / (won + lost), 0.0), 1.0),
    )


def _fit(
    signals: OutOfFold,
    values: Floats,
    rows: Rows,
    choice: ValidatorChoice,
    contract: VectorContract,
    known: NoveltyRule | None,
) -> Validators | None:
    """Return all validators that are asked for, None if one of them cannot be fitted."""
    conformal, meta = None, None
    asked = choice.conformal_error > 0.0 or len(choice.meta_inputs) > 0
    if asked and len(rows) < MIN_ROWS:
        return None
    probabilities, labels = signals.probabilities[rows], signals.labels.take(rows)
    if choice.conformal_error > 0.0:
        conformal = fit_conformal(probabilities, labels.classes, choice.conformal_error)
    if choice.meta_inputs:
        meta = fit_meta(probabilities, values[rows], labels, choice.meta_inputs, contract)
        if meta is None:
            return None
    return Validators(known, conformal, meta)


def _settled(signals: OutOfFold, number: int) -> Rows:
    """Return earlier calibrated rows whose labels ended before fold `number` began."""
    began = signals.labels.decided_at_ns[signals.fold == number][0]
    before = (signals.fold > 0) & (signals.fold < number)
    return np.flatnonzero(before & (signals.labels.ended_at_ns < began))


def _centre(features: Features, choice: ValidatorChoice) -> NoveltyRule | None:
    """Return where vectors lie, without a limit yet; None if it is not asked for."""
    if choice.novelty_share == 0.0:
        return None
    low, middle, high = np.quantile(features.astype(np.float64), (0.25, 0.5, 0.75), axis=0)
    deviation = features.std(axis=0, dtype=np.float64)
    spread = np.where(high > low, (high - low) / _NORMAL_IQR, deviation)
    spread = np.where(spread > 0.0, spread, 1.0)
    return NoveltyRule(tuple(middle.tolist()), tuple(spread.tolist()), _WIDE)


def _limit(
    rule: NoveltyRule, distances: Sequence[float], features: Features, choice: ValidatorChoice
) -> NoveltyRule:
    """Return the rule with the limit of earlier tested vectors, of its own where there are none."""
    if not distances:
        distances = [novelty(row, rule) for row in features.astype(np.float64).tolist()]
    limit = float(np.quantile(np.asarray(distances), choice.novelty_share))
    return NoveltyRule(rule.centre, rule.spread, max(limit, np.finfo(np.float64).tiny))


def _regress(table: Floats, earned: Floats, weights: Floats) -> list[float]:
    """Return bias and slopes of a weighted logistic regression pulled towards zero slopes."""

    def loss(parameters: Floats) -> tuple[float, Floats]:
        odds = parameters[0] + table @ parameters[1:]
        chance = expit(odds)
        pull = PRIOR_ROWS * float(parameters[1:] @ parameters[1:])
        value = float((weights * (np.logaddexp(0.0, odds) - earned * odds)).sum()) + pull
        error = weights * (chance - earned)
        slope = np.concatenate([[error.sum()], table.T @ error + 2.0 * PRIOR_ROWS * parameters[1:]])
        return value, slope

    start = np.zeros(table.shape[1] + 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    return [float(value) for value in found.x]
