"""Gradient boosted trees by LightGBM: grown leaf by leaf, stopped early on an inner fold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from models.bars import Floats
from models.dataset import Features
from models.families.family import TrainingSet
from models.families.graph import INPUT, finish_graph
from models.labels import Outcome, Rows
from online.domain.manifest import Reads

OPSET = 15
_SIZES = re.compile(r"^tree_sizes=.*\n", re.MULTILINE)  # of each tree's text, which changes
_THRESHOLDS = re.compile(r"^threshold=(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class LightgbmConfig:
    """Settings of the family.

    Parameters
    ----------
    max_leaves
        Of each tree (> 1).
    learning_rate
        Shrinkage of each round, in (0, 1].
    min_rounds, max_rounds
        Bounds of the number of rounds; the inner fold chooses within them.
    patience
        Rounds without improvement after which the inner fit stops (> 0).
    min_leaf_rows
        Least rows of a leaf.
    subsample, colsample
        Shares of rows and columns drawn for each tree, in (0, 1].
    reg_lambda
        L2 penalty of leaf values.
    """

    kind: Literal["lightgbm"] = "lightgbm"
    max_leaves: int = 8
    learning_rate: float = 0.05
    min_rounds: int = 20
    max_rounds: int = 150
    patience: int = 20
    min_leaf_rows: int = 60
    subsample: float = 0.8
    colsample: float = 0.7
    reg_lambda: float = 5.0


@dataclass(frozen=True, slots=True)
class LightgbmFamily:
    """Fits `multiclass` over the three outcomes, on one thread."""

    config: LightgbmConfig
    reads: ClassVar[Reads] = "vector"

    @property
    def name(self) -> str:
        """The configuration's kind."""
        return self.config.kind

    def fit(self, training: TrainingSet, seed: int) -> LightgbmModel:
        """Choose the number of rounds on the inner fold, then fit all rows with it."""
        import lightgbm  # noqa: PLC0415 - heavy: imported where it is used

        probe = lightgbm.train(
            self._parameters(seed),
            _rows(training, training.inner_fit),
            self.config.max_rounds,
            valid_sets=[_rows(training, training.inner_valid)],
            callbacks=[lightgbm.early_stopping(self.config.patience, verbose=False)],
        )
        rounds = max(int(probe.best_iteration), self.config.min_rounds)
        everything = np.arange(len(training.classes), dtype=np.int64)
        fitted = lightgbm.train(self._parameters(seed), _rows(training, everything), rounds)
        text = _THRESHOLDS.sub(_round_down, _SIZES.sub("", fitted.model_to_string()))
        return LightgbmModel(lightgbm.Booster(model_str=text), training.features.shape[1])

    def _parameters(self, seed: int) -> dict[str, object]:
        config = self.config
        return {
            "objective": "multiclass",
            "num_class": len(Outcome),
            "num_leaves": config.max_leaves,
            "learning_rate": config.learning_rate,
            "min_data_in_leaf": config.min_leaf_rows,
            "bagging_fraction": config.subsample,
            "bagging_freq": 1,
            "feature_fraction": config.colsample,
            "lambda_l2": config.reg_lambda,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": 1,
            "seed": seed,
            "verbosity": -1,
        }


@dataclass(frozen=True, slots=True)
class LightgbmModel:
    """A fitted booster whose thresholds are float32, as the features are.

    Parameters
    ----------
    booster
        The library's model.
    n_features
        Columns it reads.
    """

    booster: Any
    n_features: int

    def predict(self, features: Features) -> Floats:
        """Return the booster's probabilities, shape ``(n_rows, 3)``."""
        return np.asarray(self.booster.predict(features, num_threads=1), dtype=np.float64)

    def gains(self) -> Floats:
        """Return each feature's share of the total gain."""
        gains = np.asarray(self.booster.feature_importance("gain"), dtype=np.float64)
        total = gains.sum()
        return np.asarray(gains / total if total > 0.0 else gains, dtype=np.float64)

    def contributions(self, features: Features) -> Floats:
        """Return TreeSHAP values of each class, shape ``(n_rows, n_features, 3)``; see xgboost."""
        found = self.booster.predict(features, pred_contrib=True, num_threads=1)
        by_class = np.asarray(found).reshape(len(features), len(Outcome), self.n_features + 1)
        return np.asarray(by_class[:, :, :-1].transpose(0, 2, 1), dtype=np.float64)

    def to_onnx(self) -> bytes:
        """Return the trees as one ONNX ``TreeEnsembleClassifier``."""
        from onnxmltools.convert import convert_lightgbm  # noqa: PLC0415 - a heavy library
        from onnxmltools.convert.common.data_types import (  # noqa: PLC0415 - see above
            FloatTensorType,
        )

        model = convert_lightgbm(
            self.booster,
            initial_types=[(INPUT, FloatTensorType([None, self.n_features]))],
            target_opset=OPSET,
            zipmap=False,
        )
        return finish_graph(model)


def _rows(training: TrainingSet, rows: Rows) -> Any:  # noqa: ANN401 - the library has no types
    import lightgbm  # noqa: PLC0415 - heavy: imported where it is used

    return lightgbm.Dataset(
        training.features[rows],
        label=training.classes[rows],
        weight=training.weights[rows],
        params={"verbosity": -1},
        free_raw_data=True,
    )


def _round_down(line: re.Match[str]) -> str:
    """Round thresholds down to float32: for float32 features ``x <= threshold`` stays the same.

    The library compares float64 thresholds and ONNX float32 ones; rounded to the nearest, a value
    between the two would go the other way.
    """
    wide = np.array([float(word) for word in line[1].split()], dtype=np.float64)
    narrow = wide.astype(np.float32)
    narrow = np.where(narrow > wide, np.nextafter(narrow, np.float32(-np.inf)), narrow)
    return "threshold=" + " ".join(repr(float(value)) for value in narrow)
