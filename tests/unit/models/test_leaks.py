"""Leaks planted in data and fits are found; what is merely good is not called a leak."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from models.dataset import Dataset
from models.families.build import build_family
from models.families.xgboost import XgboostConfig
from models.fit import FoldSummary, fit_folds, summarise
from models.labels import Outcome, horizon_ns
from models.leaks import (
    MAX_TOLD,
    measure_told,
    measure_told_side,
    refuse_hindsight,
    refuse_overlap,
    refuse_told_outcome,
    replace_after,
)
from models.learn import cut_folds
from models.recipe import Recipe
from models.splits import Fold
from online.domain.errors import ModelRefused
from tests.unit.models.markets import NAMES, RULE, make_dataset

FAMILY = build_family(XgboostConfig(max_rounds=30, patience=5, min_rounds=5))
EMBARGO = horizon_ns(RULE)


def plant(values: np.ndarray) -> Dataset:
    dataset = make_dataset()
    features = dataset.features.copy()
    features[:, NAMES.index("noise_a")] = values
    return dataclasses.replace(dataset, features=features)


def summary_of(dataset: Dataset, fold: Fold) -> FoldSummary:
    return summarise(dataset, fit_folds(dataset, [fold], FAMILY, embargo_ns=EMBARGO, seed=7))


def test_the_label_among_the_features_is_refused_by_name() -> None:
    with pytest.raises(ModelRefused, match="noise_a") as caught:
        refuse_told_outcome(plant(make_dataset().labels.classes), 7)
    assert caught.value.code == "LABEL_AMONG_FEATURES"


def test_the_label_is_found_beneath_noise_and_in_either_direction() -> None:
    labels = make_dataset().labels
    noise = np.random.default_rng(1).standard_normal(len(labels))
    for planted in (labels.long.net_units + noise, -3.0 * labels.long.net_units + noise):
        with pytest.raises(ModelRefused) as caught:
            refuse_told_outcome(plant(planted), 7)
        assert caught.value.code == "LABEL_AMONG_FEATURES"


def test_that_a_quiet_market_pays_neither_side_is_no_leak_and_which_side_paid_is_one() -> None:
    dataset = make_dataset()
    random = np.random.default_rng(5)
    paid = random.random(len(dataset)) < 0.4
    side = np.where(random.random(len(dataset)) < 0.5, Outcome.SHORT, Outcome.LONG)
    labels = dataclasses.replace(dataset.labels, classes=np.where(paid, side, Outcome.NEITHER))
    market = dataclasses.replace(dataset, labels=labels)
    column, features = NAMES.index("noise_a"), market.features.copy()
    features[:, column] = paid + random.normal(0.0, 0.5, len(paid))  # as a bar's range tells it
    quiet = dataclasses.replace(market, features=features)
    assert max(told.beyond for told in measure_told(quiet, 7)) > MAX_TOLD
    refuse_told_outcome(quiet, 7)
    for planted, what in ((side, "which side paid"), (paid, "whether a side paid")):
        features[:, column] = planted
        with pytest.raises(ModelRefused, match=f"'noise_a' tells 100% of {what}"):
            refuse_told_outcome(dataclasses.replace(market, features=features.copy()), 7)


def test_a_weak_true_signal_and_noise_are_no_leak() -> None:
    for drift in (0.0, 15.0):
        refuse_told_outcome(make_dataset(drift=drift), 7)
    told = {found.feature: found for found in measure_told_side(make_dataset(drift=15.0), 7)}
    assert 0.0 < told["hint"].beyond < MAX_TOLD
    assert told["noise_a"].beyond < 0.02


def test_folds_without_purge_are_refused() -> None:
    dataset = make_dataset()
    fold = cut_folds(dataset, Recipe(n_folds=3), RULE)[1]
    refuse_overlap([summary_of(dataset, fold)], EMBARGO)
    unpurged = dataclasses.replace(fold, train=np.arange(fold.test[0], dtype=np.int64))
    with pytest.raises(ModelRefused, match="fold 2") as caught:
        refuse_overlap([summary_of(dataset, unpurged)], EMBARGO)
    assert caught.value.code == "FOLDS_OVERLAP"


def test_a_fit_on_what_was_scaled_with_later_data_is_refused() -> None:
    dataset = make_dataset()
    fold = cut_folds(dataset, Recipe(n_folds=3), RULE)[0]
    scaled = dataset.features - dataset.features.mean(axis=0)
    scaled /= dataset.features.std(axis=0)
    leaking = dataclasses.replace(dataset, features=scaled)
    for told, refused in ((dataset, False), (leaking, True)):
        known = summary_of(told, fold).onnx_sha256
        if not refused:
            refuse_hindsight(dataset, fold, [FAMILY], known, embargo_ns=EMBARGO, seed=7)
            continue
        with pytest.raises(ModelRefused, match="xgboost") as caught:
            refuse_hindsight(dataset, fold, [FAMILY], known, embargo_ns=EMBARGO, seed=7)
        assert caught.value.code == "FIT_LOOKS_AHEAD"


def test_replacing_what_came_later_leaves_what_came_before() -> None:
    dataset = make_dataset()
    changed = replace_after(dataset, 500, 7)
    assert np.array_equal(changed.features[:501], dataset.features[:501])
    assert np.array_equal(changed.labels.classes[:501], dataset.labels.classes[:501])
    assert not np.isclose(changed.features[501:], dataset.features[501:]).any()
    assert not np.array_equal(changed.labels.classes[501:], dataset.labels.classes[501:])
