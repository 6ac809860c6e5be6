"""Gradient boosted trees by XGBoost: small, on one thread, stopped early on an inner fold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from models.bars import Floats
from models.dataset import Features
from models.families.family import TrainingSet
from models.families.graph import finish_graph
from models.labels import Outcome
from online.domain.manifest import Reads

OPSET = 15
"""Of the tree conversion; ONNX Runtime 1.31 takes up to 25."""


@dataclass(frozen=True, slots=True)
class XgboostConfig:
    """Settings of the family.

    Parameters
    ----------
    max_depth
        Of each tree (> 0).
    learning_rate
        Shrinkage of each round, in (0, 1].
    min_rounds, max_rounds
        Bounds of the number of rounds; the inner fold chooses within them, unless they are one.
    patience
        Rounds without improvement after which the inner fit stops (> 0).
    min_child_weight
        Least sum of the Hessian in a leaf.
    subsample, colsample
        Shares of rows and columns drawn for each tree, in (0, 1].
    reg_lambda
        L2 penalty of leaf values.
    n_threads
        Of the fit; more than one may change the order of sums and with it the bits.
    """

    kind: Literal["xgboost"] = "xgboost"
    max_depth: int = 3
    learning_rate: float = 0.05
    min_rounds: int = 20
    max_rounds: int = 150
    patience: int = 20
    min_child_weight: float = 20.0
    subsample: float = 0.8
    colsample: float = 0.7
    reg_lambda: float = 5.0
    n_threads: int = 1


@dataclass(frozen=True, slots=True)
class XgboostFamily:
    """Fits `multi:softprob` over the three outcomes."""

    config: XgboostConfig
    reads: ClassVar[Reads] = "vector"

    @property
    def name(self) -> str:
        """The configuration's kind."""
        return self.config.kind

    def fit(self, training: TrainingSet, seed: int) -> XgboostModel:
        """Choose the number of rounds on the inner fold, then fit all rows with it."""
        import xgboost  # noqa: PLC0415 - heavy: imported where it is used

        fixed = self.config.min_rounds == self.config.max_rounds
        rounds = self.config.max_rounds if fixed else self._choose_rounds(training, seed)
        everything = np.arange(len(training.classes), dtype=np.int64)
        booster = xgboost.train(self._parameters(seed), _matrix(training, everything), rounds)
        return XgboostModel(booster, training.features.shape[1])

    def _choose_rounds(self, training: TrainingSet, seed: int) -> int:
        import xgboost  # noqa: PLC0415 - heavy: imported where it is used

        probe = xgboost.train(
            self._parameters(seed),
            _matrix(training, training.inner_fit),
            self.config.max_rounds,
            evals=[(_matrix(training, training.inner_valid), "inner")],
            early_stopping_rounds=self.config.patience,
            verbose_eval=False,
        )
        return max(int(probe.best_iteration) + 1, self.config.min_rounds)

    def _parameters(self, seed: int) -> dict[str, object]:
        config = self.config
        return {
            "objective": "multi:softprob",
            "eval_metric": "mlogloss",
            "num_class": len(Outcome),
            "tree_method": "hist",
            "max_depth": config.max_depth,
            "eta": config.learning_rate,
            "min_child_weight": config.min_child_weight,
            "subsample": config.subsample,
            "colsample_bytree": config.colsample,
            "lambda": config.reg_lambda,
            "nthread": config.n_threads,
            "seed": seed,
            "verbosity": 0,
        }


@dataclass(frozen=True, slots=True)
class XgboostModel:
    """A fitted booster.

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
        import xgboost  # noqa: PLC0415 - heavy: imported where it is used

        return np.asarray(self.booster.predict(xgboost.DMatrix(features)), dtype=np.float64)

    def gains(self) -> Floats:
        """Return each feature's share of the total gain."""
        gains = np.zeros(self.n_features)
        for name, gain in self.booster.get_score(importance_type="total_gain").items():
            gains[int(name[1:])] = gain
        total = gains.sum()
        return gains / total if total > 0.0 else gains

    def contributions(self, features: Features) -> Floats:
        """Return TreeSHAP values of each class, shape ``(n_rows, n_features, 3)``.

        Source: Lundberg and others, From Local Explanations to Global Understanding with
        Explainable AI for Trees, Nature Machine Intelligence, 2020.
        """
        import xgboost  # noqa: PLC0415 - heavy: imported where it is used

        found = self.booster.predict(xgboost.DMatrix(features), pred_contribs=True)
        return np.asarray(found[:, :, :-1].transpose(0, 2, 1), dtype=np.float64)  # the last is bias

    def to_onnx(self) -> bytes:
        """Return the trees as one ONNX ``TreeEnsembleClassifier``."""
        # A converter takes seconds to import and only an export needs it.
        from onnxmltools.convert import convert_xgboost  # noqa: PLC0415 - see above
        from onnxmltools.convert.common.data_types import (  # noqa: PLC0415 - see above
            FloatTensorType,
        )

        model = convert_xgboost(
            self.booster,
            initial_types=[("input", FloatTensorType([None, self.n_features]))],
            target_opset=OPSET,
        )
        return finish_graph(model)


def _matrix(training: TrainingSet, rows: Any) -> Any:  # noqa: ANN401 - the library has no types
    import xgboost  # noqa: PLC0415 - heavy: imported where it is used

    return xgboost.DMatrix(
        training.features[rows], label=training.classes[rows], weight=training.weights[rows]
    )
