"""Validators fitted: by the past alone, at the coverage they promise, refusing what they should."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.ensemble import blend
from models.evaluate import OutOfFold
from models.families.build import build_family
from models.families.logistic import LogisticConfig
from models.fit import fit_folds
from models.gates import judge
from models.labels import Outcome, horizon_ns
from models.learn import learn
from models.recipe import Recipe, ValidatorChoice
from models.splits import Fold, walk_forward
from models.trading import trade
from models.validators import fit_conformal, fit_meta, fit_validators, refuse_rows
from online.domain.certificate import Policy
from online.domain.conformal import plausible
from online.domain.errors import InvalidInput
from online.domain.meta_label import AGREEMENT, CONFIDENCE, NEITHER
from online.domain.validators import Validators
from tests.unit.models.markets import CONTRACT, COSTS, NAMES, RULE, make_dataset
from tests.unit.models.test_learn import evidence

CHOICE = ValidatorChoice(0.99, 0.4, (CONFIDENCE, NEITHER, AGREEMENT, "hint"))
RECIPE = Recipe(families=(LogisticConfig(),), n_folds=5, validators=CHOICE)
DATASET = make_dataset(3000, drift=40.0)
HORIZON = horizon_ns(RULE)


@pytest.fixture(scope="module")
def folds() -> tuple[Fold, ...]:
    labels = DATASET.labels
    stamps = labels.decided_at_ns, labels.ended_at_ns
    return walk_forward(*stamps, n_folds=5, embargo_ns=HORIZON, horizon_ns=HORIZON)


@pytest.fixture(scope="module")
def signals(folds: tuple[Fold, ...]) -> OutOfFold:
    family = build_family(LogisticConfig())
    fits = fit_folds(DATASET, folds, family, embargo_ns=HORIZON, seed=7)
    return blend(DATASET, folds, [fits]).signals


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.05, 0.1, 0.2, 0.4]))
def test_the_plausible_outcomes_hold_the_true_one_as_often_as_promised(
    seed: int, error: float
) -> None:
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet((2.0, 1.0, 2.0), 6000)
    # Probabilities that are wrong about the outcomes: the promise does not lean on calibration.
    bent = probabilities**0.5 / (probabilities**0.5).sum(axis=1, keepdims=True)
    edges = np.cumsum(bent, axis=1)[:, :-1]
    classes = (random.random(6000)[:, None] > edges).sum(axis=1)
    rule = fit_conformal(probabilities[:3000], classes[:3000], error)
    held = [
        int(classes[row]) in plausible(tuple(probabilities[row]), rule) for row in range(3000, 6000)
    ]
    assert np.mean(held) >= 1.0 - error - 0.04


def test_too_few_rows_for_the_rate_of_error_rule_nothing_out() -> None:
    rule = fit_conformal(np.array([[0.1, 0.2, 0.7]] * 5), np.full(5, 2), 0.1)
    assert plausible((0.0, 0.0, 1.0), rule) == (0, 1, 2)


def test_what_refuses_a_fold_was_fitted_before_it(
    folds: tuple[Fold, ...], signals: OutOfFold
) -> None:
    known = fit_validators(DATASET, folds, signals, CHOICE, CONTRACT)
    last = signals.fold == 4
    features = DATASET.features.copy()
    features[folds[4].test[0] :] *= -3.0
    swapped = np.where(signals.labels.classes == Outcome.LONG, Outcome.SHORT, Outcome.LONG)
    labels = dataclasses.replace(
        signals.labels, classes=np.where(last, swapped, signals.labels.classes)
    )
    probabilities = np.where(last[:, None], signals.probabilities[:, ::-1], signals.probabilities)
    other = dataclasses.replace(signals, probabilities=probabilities, labels=labels)
    changed = fit_validators(
        dataclasses.replace(DATASET, features=features), folds, other, CHOICE, CONTRACT
    )
    assert known.allowed is not None
    assert changed.allowed is not None
    assert np.array_equal(known.allowed[~last], changed.allowed[~last])
    assert not np.array_equal(known.allowed[last], changed.allowed[last])
    assert known.serving != changed.serving


def test_nothing_is_traded_before_there_is_a_validator(
    folds: tuple[Fold, ...], signals: OutOfFold
) -> None:
    found = fit_validators(DATASET, folds, signals, CHOICE, CONTRACT)
    assert found.allowed is not None
    assert not found.allowed[signals.fold == 0].any()
    assert found.refused["NOT_FITTED"] == int((signals.fold <= 1).sum())
    only = ValidatorChoice(novelty_share=0.95)
    assert fit_validators(DATASET, folds, signals, only, CONTRACT).refused.keys() == {
        "OUT_OF_DISTRIBUTION"
    }


def test_novelty_lets_through_the_share_it_was_asked_for(
    folds: tuple[Fold, ...], signals: OutOfFold
) -> None:
    only = ValidatorChoice(novelty_share=0.9)
    found = fit_validators(DATASET, folds, signals, only, CONTRACT)
    assert found.allowed is not None
    assert 0.85 < found.allowed[signals.fold > 0].mean() < 0.95
    assert found.serving is not None
    assert found.serving.novelty is not None
    strange = DATASET.features[:1].astype(np.float64) + 1000.0
    assert refuse_rows(np.array([[0.1, 0.2, 0.7]]), strange, CONTRACT, found.serving) == [
        ("OUT_OF_DISTRIBUTION",)
    ]


def test_a_meta_label_learns_which_signals_earn(signals: OutOfFold) -> None:
    rows = signals.labels
    random = np.random.default_rng(5)
    values = random.standard_normal((len(rows), len(NAMES)))
    side = np.where(signals.said_edge > 0.0, 1.0, -1.0)
    net = np.where(signals.said_edge > 0.0, rows.long.net_units, rows.short.net_units)
    values[:, 1] = side * np.where(net > 0.0, 1.0, -1.0) + 0.3 * values[:, 1]
    rule = fit_meta(signals.probabilities, values, rows, ("noise_a", "noise_b"), CONTRACT)
    assert rule is not None
    assert rule.weights[0] > 10 * abs(rule.weights[1])
    reasons = refuse_rows(signals.probabilities, values, CONTRACT, Validators(meta=rule))
    taken = np.array([not names for names in reasons])
    assert net[taken].mean() > 0.5
    assert net[~taken].mean() < 0.0


def test_validators_that_cannot_be_fitted_stop_the_training(
    folds: tuple[Fold, ...], signals: OutOfFold
) -> None:
    first = np.flatnonzero(signals.fold == 0)
    few = OutOfFold(
        *(signals.name, signals.probabilities[first], signals.prior[first]),
        *(signals.labels.take(first), signals.fold[first]),
    )
    with pytest.raises(InvalidInput) as caught:
        fit_validators(DATASET, folds[:1], few, CHOICE, CONTRACT)
    assert caught.value.code == "VALIDATOR_NOT_FITTED"


def test_a_study_with_validators_is_judged_on_what_they_let_through() -> None:
    study = learn(DATASET, RECIPE, CONTRACT, RULE, COSTS, 1)
    assert study.validators is not None
    assert study.signals.allowed is not None
    rows = study.comparison.model.trades.rows
    assert study.signals.allowed[rows].all()
    min_edge = study.threshold.chosen.min_edge
    assert len(rows) < len(trade(study.signals.said_edge, study.signals.labels, min_edge))
    assert study.refused["CONFORMAL_ABSTAINS"] > 0
    fold, rules = study.signals.fold, study.comparison.baseline.trades.rows
    assert study.refused["NOT_FITTED"] == int((fold <= 1).sum())
    assert set(fold[rules]) == set(fold) - {0, 1}  # nor do the rules trade where it could not
    assert judge(evidence(study)).passes(Policy.PAPER)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_that_cannot_be_is_refused(share: float) -> None:
    with pytest.raises(InvalidInput):
        ValidatorChoice(novelty_share=share)
