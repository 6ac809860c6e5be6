"""Several families as one model: weights and calibration from the past alone."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.calibrate import combine_rows
from models.ensemble import Blend, blend, weigh_members
from models.families.build import build_family, parse_families
from models.families.logistic import LogisticConfig
from models.families.xgboost import XgboostConfig
from models.fit import FoldFit, fit_folds
from models.labels import horizon_ns
from models.learn import Study, learn
from models.recipe import Recipe
from models.splits import Fold, walk_forward
from online.domain.errors import InvalidInput, NotFound
from online.domain.rules import RULE_FEATURES
from online.domain.signal import MemberOutput, combine
from online.domain.vector import VectorContract, ViewContract
from tests.unit.models.markets import CONTRACT, COSTS, NAMES, RULE, make_dataset

FAMILIES = (XgboostConfig(max_rounds=30, patience=5, min_rounds=5), LogisticConfig())
RECIPE = Recipe(families=FAMILIES, n_folds=4)
HORIZON = horizon_ns(RULE)


@pytest.fixture(scope="module")
def folds() -> tuple[Fold, ...]:
    labels = make_dataset(drift=40.0).labels
    stamps = labels.decided_at_ns, labels.ended_at_ns
    return walk_forward(*stamps, n_folds=4, embargo_ns=HORIZON, horizon_ns=HORIZON)


@pytest.fixture(scope="module")
def fits(folds: tuple[Fold, ...]) -> list[tuple[FoldFit, ...]]:
    dataset = make_dataset(drift=40.0)
    return [
        fit_folds(dataset, folds, build_family(config), embargo_ns=HORIZON, seed=7)
        for config in FAMILIES
    ]


@pytest.fixture(scope="module")
def blended(folds: tuple[Fold, ...], fits: list[tuple[FoldFit, ...]]) -> Blend:
    return blend(make_dataset(drift=40.0), folds, fits)


@pytest.fixture(scope="module")
def study() -> Study:
    return learn(make_dataset(drift=40.0), RECIPE, CONTRACT, RULE, COSTS, 1)


def test_the_better_member_weighs_more_and_weights_add_up_to_one(blended: Blend) -> None:
    assert sum(blended.weights) == pytest.approx(1.0)
    assert (blended.weights[0] > blended.weights[1]) == (blended.losses[0] < blended.losses[1])
    assert weigh_members([0.2, 0.6]) == pytest.approx((0.75, 0.25))
    assert weigh_members([0.9]) == (1.0,)


def test_folds_without_a_calibrated_past_weigh_all_members_alike(blended: Blend) -> None:
    assert blended.fold_weights[:2] == ((0.5, 0.5), (0.5, 0.5))
    assert blended.fold_weights[2] != (0.5, 0.5)
    assert blended.fold_weights[3] != blended.fold_weights[2]


def test_what_comes_later_changes_no_earlier_weight_and_no_earlier_signal(
    folds: tuple[Fold, ...], fits: list[tuple[FoldFit, ...]], blended: Blend
) -> None:
    last = folds[-1].number
    turned = [
        tuple(
            dataclasses.replace(fit, raw=fit.raw[:, ::-1].copy())
            if fit.fold.number == last
            else fit
            for fit in of_member
        )
        for of_member in fits
    ]
    again = blend(make_dataset(drift=40.0), folds, turned)
    before = blended.signals.fold < last
    assert again.fold_weights == blended.fold_weights
    assert np.array_equal(
        again.signals.probabilities[before], blended.signals.probabilities[before]
    )
    assert again.weights != blended.weights


def test_a_member_alone_weighs_one_and_is_the_ensemble(
    folds: tuple[Fold, ...], fits: list[tuple[FoldFit, ...]]
) -> None:
    alone = blend(make_dataset(drift=40.0), folds, fits[:1])
    first = fits[0][0]
    raw = combine_rows([first.raw], (type(alone.calibrations[0])(),), (1.0,))
    assert alone.weights == (1.0,)
    assert np.array_equal(alone.signals.probabilities[: len(raw)], raw)


def test_the_study_carries_every_member_with_its_own_calibration(study: Study) -> None:
    assert [member.exported.family for member in study.members] == ["xgboost", "logistic"]
    assert study.members[0].calibration != study.members[1].calibration
    assert [found.family for found in study.importances] == ["xgboost", "logistic"]
    assert study.golden.outputs.shape[0] == 2
    assert study.refit_differs == 0
    assert all(len(fold.onnx_sha256) == 2 for fold in study.folds)


def test_the_ensembles_probabilities_are_those_the_scorer_combines(
    fits: list[tuple[FoldFit, ...]], blended: Blend, folds: tuple[Fold, ...]
) -> None:
    row = len(blended.signals.labels) - 1
    raw = [tuple(float(p) for p in of_member[-1].raw[-1]) for of_member in fits]
    outputs = tuple(MemberOutput(str(n), p) for n, p in enumerate(raw))  # type: ignore[arg-type] # three each
    served = combine(outputs, blended.calibrations, blended.weights).probabilities
    known = blended.signals.probabilities[row]
    assert len(folds[-1].test) > 0
    assert np.abs(np.array(served) - known).max() < 0.1
    assert sum(served) == pytest.approx(1.0)


def test_families_are_named_with_commas_and_must_differ() -> None:
    kinds = [config.kind for config in parse_families("xgboost, lightgbm")]
    assert kinds == ["xgboost", "lightgbm"]
    with pytest.raises(NotFound, match="oracle"):
        parse_families("xgboost,oracle")
    with pytest.raises(InvalidInput) as caught:
        Recipe(families=parse_families("xgboost,xgboost"))
    assert caught.value.code == "REPEATED_FAMILY"
    with pytest.raises(InvalidInput) as none:
        Recipe(families=())
    assert none.value.code == "NO_FAMILY"


def test_the_rules_are_a_member_as_any_other_and_stand_beside_themselves() -> None:
    dataset = make_dataset(1000, drift=40.0)
    recipe = Recipe(families=parse_families("rules,logistic"), n_folds=3)
    both = learn(dataset, recipe, CONTRACT, RULE, COSTS, 1)
    assert [member.exported.family for member in both.members] == ["rules", "logistic"]
    assert 0.0 < both.members[0].weight < both.members[1].weight
    assert [found.family for found in both.importances] == ["rules", "logistic"]
    heard = np.abs(both.importances[0].permutation).max(axis=0) > 0.0
    assert {name for name, told in zip(NAMES, heard, strict=True) if told} == set(RULE_FEATURES)
    alone = learn(
        dataset, Recipe(families=parse_families("rules"), n_folds=3), CONTRACT, RULE, COSTS, 1
    )
    contenders = [row["contender"] for row in alone.comparison.table()]
    assert contenders[:2] == ["rules", "rules as they are"]
    assert alone.refit_differs == 0
    assert "rules as they are" in alone.comparison.verdict()


def test_a_vector_without_what_the_rules_read_is_refused_before_anything_is_fitted() -> None:
    contract = VectorContract((ViewContract("h1_all", 1, ("hint",), 3600),))
    with pytest.raises(InvalidInput) as caught:
        learn(make_dataset(drift=40.0), RECIPE, contract, RULE, COSTS, 1)
    assert caught.value.code == "RULES_LACK_FEATURES"
