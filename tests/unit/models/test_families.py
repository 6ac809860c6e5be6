"""The contract of every family that can serve."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import onnx
import pytest

from models.export import OnnxScorer, export_member, probe_rows
from models.families.build import FAMILIES, FamilyConfig, build_family, parse_family
from models.families.family import Explained, Exportable, TrainingSet
from models.families.rules import RulesConfig, RulesFamily, RulesModel
from models.fit import training_set
from models.labels import horizon_ns
from models.reliability import log_loss
from models.windows import Inputs
from online.domain.errors import InvalidInput, ModelRefused, NotFound
from online.domain.rules import (
    OVERBOUGHT,
    OVERSOLD,
    RULE_FEATURES,
    SAY_LONG,
    SAY_NOTHING,
    SAY_SHORT,
    vote,
)
from tests.unit.models.markets import CONTRACT, NAMES, RULE, make_dataset

N_TRAIN = 1400


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def config(request: pytest.FixtureRequest) -> FamilyConfig:
    return parse_family(str(request.param))


@pytest.fixture(scope="module")
def training() -> TrainingSet:
    dataset = make_dataset(drift=40.0, windowed=True)
    return training_set(dataset, np.arange(N_TRAIN, dtype=np.int64), horizon_ns(RULE))


def inputs_of(config: FamilyConfig) -> Inputs:
    """Return the dataset's rows as the family reads them."""
    return make_dataset(drift=40.0, windowed=True).inputs(build_family(config).reads)


@pytest.fixture(scope="module")
def fitted(config: FamilyConfig, training: TrainingSet) -> Exportable:
    return build_family(config).fit(training, 7)


def test_the_same_rows_and_seed_give_the_same_bytes(
    config: FamilyConfig, training: TrainingSet, fitted: Exportable
) -> None:
    again = build_family(config).fit(training, 7)
    assert again.to_onnx() == fitted.to_onnx() == fitted.to_onnx()


def test_the_onnx_file_agrees_with_the_library_on_ten_thousand_rows(
    config: FamilyConfig, fitted: Exportable
) -> None:
    member = export_member("any", fitted, inputs_of(config), 7)
    assert member.parity_rows == 10_000
    assert member.parity <= 1e-6


def test_what_features_add_and_what_is_said_of_nobody_make_up_the_scores(
    config: FamilyConfig, fitted: Exportable
) -> None:
    if not isinstance(fitted, Explained):
        pytest.skip(f"{config.kind} has no exact contributions")
    rows = inputs_of(config)[np.arange(200)]
    values = fitted.contributions(rows)
    assert values.shape == (200, len(NAMES), 3)
    logs = np.log(fitted.predict(rows))
    said = logs - logs[:, :1] - (values.sum(axis=1) - values[:, :, :1].sum(axis=1))
    assert np.ptp(said, axis=0).max() < 1e-4  # what is left is the same for every row
    strength = np.abs(values).mean(axis=(0, 2))
    assert strength.argmax() == NAMES.index("hint")


def test_the_onnx_file_has_one_input_and_one_output_of_distributions(
    config: FamilyConfig, fitted: Exportable
) -> None:
    graph = onnx.load_from_string(fitted.to_onnx()).graph
    assert [i.name for i in graph.input] == ["input"]
    assert [o.name for o in graph.output] == ["probabilities"]
    scores = OnnxScorer(fitted.to_onnx()).score(inputs_of(config)[np.arange(300)])
    assert scores.dtype == np.float32
    assert scores.shape == (300, 3)
    assert np.abs(scores.sum(axis=1) - 1.0).max() < 1e-5
    assert scores.min() >= 0.0


def test_a_planted_signal_is_learnt_better_than_the_class_shares(
    config: FamilyConfig, training: TrainingSet, fitted: Exportable
) -> None:
    if config.kind == "rules":
        pytest.skip("the rules learn nothing")
    dataset = make_dataset(drift=40.0, windowed=True)
    later = np.arange(N_TRAIN + 50, len(dataset), dtype=np.int64)
    classes = dataset.labels.classes[later]
    shares = np.bincount(training.classes, minlength=3) / len(training.classes)
    prior = log_loss(np.tile(shares, (len(classes), 1)), classes)
    assert log_loss(fitted.predict(inputs_of(config)[later]), classes) < prior - 0.01


def test_the_gain_is_shared_out_among_all_features(fitted: Exportable) -> None:
    gains = fitted.gains()
    if gains is None:
        pytest.skip("the family has no gains")
    assert gains.shape == (len(NAMES),)
    assert gains.sum() == pytest.approx(1.0)
    assert gains.argmax() == NAMES.index("hint")


def test_an_unknown_family_is_named_with_those_that_exist() -> None:
    with pytest.raises(NotFound, match="xgboost") as caught:
        parse_family("oracle")
    assert caught.value.code == "UNKNOWN_FAMILY"


def test_an_export_that_differs_from_its_library_is_refused(
    config: FamilyConfig, fitted: Exportable
) -> None:
    class Wrong:
        def predict(self, features: np.ndarray) -> np.ndarray:
            return fitted.predict(features) + 2e-6

        def gains(self) -> None:
            return None

        def to_onnx(self) -> bytes:
            return fitted.to_onnx()

    with pytest.raises(ModelRefused) as caught:
        export_member("wrong", Wrong(), inputs_of(config), 7, 300)
    assert caught.value.code == "ONNX_PARITY"


def test_probe_rows_begin_with_the_real_ones() -> None:
    features = make_dataset().features
    probe = probe_rows(features, len(features) + 500, 7)
    assert np.array_equal(probe[: len(features)], features)
    assert np.isfinite(probe).all()
    assert len(np.unique(probe, axis=0)) > len(features)


def test_the_rules_vote_as_they_say() -> None:
    by_name = dict.fromkeys(NAMES, 0.0)

    def ask(trend: float, momentum: float, strength: float) -> tuple[float, float, float]:
        told = {"ema_50_ratio": trend, "macd_histogram_atr": momentum, "rsi_14": strength}
        return vote(tuple((by_name | told).values()), CONTRACT)

    assert ask(0.01, 0.1, 60.0) == SAY_LONG
    assert ask(-0.01, -0.1, 40.0) == SAY_SHORT
    assert ask(0.01, 0.1, 75.0) == SAY_NOTHING
    assert ask(-0.01, -0.1, 25.0) == SAY_NOTHING
    assert ask(0.01, -0.1, 50.0) == SAY_NOTHING
    assert ask(0.0, 0.0, 50.0) == SAY_NOTHING


def test_the_rule_model_votes_row_by_row() -> None:
    features = make_dataset().features[:200]
    votes = RulesModel.over(NAMES).predict(features)
    expected = [vote(tuple(row), CONTRACT) for row in features.astype(float).tolist()]
    assert np.array_equal(votes, np.array(expected))
    assert len(np.unique(votes, axis=0)) == 3


def test_the_rule_family_serves_exactly_the_votes_of_the_domain(training: TrainingSet) -> None:
    fitted = RulesFamily(RulesConfig()).fit(training, 7)
    rows = edge_rows()
    votes = np.array([vote(tuple(row), CONTRACT) for row in rows.astype(float).tolist()])
    assert len(np.unique(votes, axis=0)) == 3
    assert np.array_equal(fitted.predict(rows), votes)
    assert np.array_equal(OnnxScorer(fitted.to_onnx()).score(rows), votes.astype(np.float32))


def edge_rows() -> np.ndarray:
    """Return vectors on, just below and just above every bound of the rules."""
    edges = [np.float32(edge) for edge in (0.0, OVERSOLD, OVERBOUGHT)]
    zero, low, high = (
        [np.nextafter(e, np.float32(-99)), e, np.nextafter(e, np.float32(99))] for e in edges
    )
    told = list(itertools.product(zero, zero, [*low, *high]))
    rows = np.ones((len(told), len(NAMES)), dtype=np.float32)
    rows[:, [NAMES.index(name) for name in RULE_FEATURES]] = told
    return rows


def test_rules_over_a_vector_without_their_features_are_refused_by_name(
    training: TrainingSet,
) -> None:
    names = tuple("other" if name == "rsi_14" else name for name in training.names)
    with pytest.raises(InvalidInput, match="vector lacks rsi_14") as caught:
        RulesFamily(RulesConfig()).fit(dataclasses.replace(training, names=names), 7)
    assert caught.value.code == "RULES_LACK_FEATURES"
