"""Trees give a row the same bits in a batch as alone: so training may score them in batches."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.export import BATCH_ROWS, OnnxScorer
from models.families.build import FamilyConfig, build_family
from models.families.forest import ForestConfig
from models.families.graph import INPUT, OUTPUT, treats_rows_alone
from models.families.lightgbm import LightgbmConfig
from models.families.logistic import LogisticConfig
from models.families.xgboost import XgboostConfig
from models.fit import training_set
from models.labels import horizon_ns
from tests.unit.models.markets import RULE, make_dataset

DATASET = make_dataset(drift=40.0, windowed=True)
ROWS = np.ascontiguousarray(DATASET.inputs("vector")[np.arange(len(DATASET))])
TREES: dict[str, FamilyConfig] = {
    "xgboost": XgboostConfig(min_rounds=120, max_rounds=120),
    "lightgbm": LightgbmConfig(min_rounds=120, max_rounds=120),
    "forest": ForestConfig(),
}


@pytest.fixture(scope="module", params=sorted(TREES))
def raw(request: pytest.FixtureRequest) -> bytes:
    training = training_set(DATASET, np.arange(700, dtype=np.int64), horizon_ns(RULE))
    return build_family(TREES[request.param]).fit(training, 7).to_onnx()


@pytest.fixture(scope="module")
def session(raw: bytes) -> onnxruntime.InferenceSession:
    """As a scorer opens it: one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(raw, options, ["CPUExecutionProvider"])


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 2 * BATCH_ROWS + 3))
def test_a_batch_of_any_size_has_the_bits_of_its_rows_alone(
    session: onnxruntime.InferenceSession, seed: int, count: int
) -> None:
    random = np.random.default_rng(seed)
    moved = ROWS[random.integers(0, len(ROWS), count)]
    moved = (moved * (1.0 + 0.3 * random.standard_normal(moved.shape))).astype(np.float32)
    together = session.run([OUTPUT], {INPUT: moved})[0]
    looked_at = random.integers(0, count, min(count, 50))
    alone = [session.run([OUTPUT], {INPUT: moved[row : row + 1]})[0][0] for row in looked_at]
    assert together[looked_at].tobytes() == np.array(alone).tobytes()


def test_trees_are_scored_in_batches_with_the_bits_of_single_rows(
    raw: bytes, session: onnxruntime.InferenceSession
) -> None:
    assert treats_rows_alone(raw)
    alone = [session.run([OUTPUT], {INPUT: ROWS[row : row + 1]})[0][0] for row in range(len(ROWS))]
    assert len(ROWS) > BATCH_ROWS
    assert OnnxScorer(raw).score(ROWS).tobytes() == np.array(alone).tobytes()


def test_what_multiplies_matrices_is_scored_row_by_row() -> None:
    training = training_set(DATASET, np.arange(600, dtype=np.int64), horizon_ns(RULE))
    assert not treats_rows_alone(build_family(LogisticConfig()).fit(training, 7).to_onnx())
