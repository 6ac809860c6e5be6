"""Multinomial logistic regression on standardised features; its penalty is chosen inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from models.bars import Floats
from models.dataset import Features
from models.families.family import TrainingSet
from models.families.graph import INPUT, OUTPUT, finish_graph
from models.labels import Outcome, Rows
from models.reliability import log_loss
from online.domain.manifest import Reads

OPSET = 17
_IR_VERSION = 9


@dataclass(frozen=True, slots=True)
class LogisticConfig:
    """Settings of the family.

    Parameters
    ----------
    strengths
        Inverse penalties among which the inner fold chooses (> 0), the strongest penalty first.
    max_iterations
        Of the solver.
    """

    kind: Literal["logistic"] = "logistic"
    strengths: tuple[float, ...] = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
    max_iterations: int = 300


@dataclass(frozen=True, slots=True)
class LogisticFamily:
    """Fits a linear model of the three outcomes."""

    config: LogisticConfig
    reads: ClassVar[Reads] = "vector"

    @property
    def name(self) -> str:
        """The configuration's kind."""
        return self.config.kind

    def fit(self, training: TrainingSet, seed: int) -> LogisticModel:  # noqa: ARG002 - no chance in it
        """Choose the penalty on the inner fold, then fit all rows with it."""
        valid = training.inner_valid
        tried = [
            (
                log_loss(
                    self._fit(training, training.inner_fit, strength).predict(
                        training.features[valid]
                    ),
                    training.classes[valid],
                ),
                strength,
            )
            for strength in self.config.strengths
        ]
        everything = np.arange(len(training.classes), dtype=np.int64)
        return self._fit(training, everything, min(tried)[1])

    def _fit(self, training: TrainingSet, rows: Rows, strength: float) -> LogisticModel:
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - a heavy library
        from threadpoolctl import (  # type: ignore[import-untyped] # no types published  # noqa: PLC0415 - comes with the former
            threadpool_limits,
        )

        features = training.features[rows].astype(np.float64)
        mean = features.mean(axis=0)
        scale = features.std(axis=0)
        scale = 1.0 / np.where(scale > 0.0, scale, 1.0)
        # What serves is float32; the fit sees the very numbers that will be subtracted.
        mean, scale = (x.astype(np.float32).astype(np.float64) for x in (mean, scale))
        fitted = LogisticRegression(C=strength, max_iter=self.config.max_iterations, tol=1e-6)
        weights = training.weights[rows]
        with threadpool_limits(limits=1):  # more threads may change the order of sums
            fitted.fit((features - mean) * scale, training.classes[rows], sample_weight=weights)
        present = np.asarray(fitted.classes_, dtype=np.int64)
        coefficients = np.zeros((features.shape[1], len(Outcome)))
        intercepts = np.full(len(Outcome), _NEVER)
        if len(present) == len(Outcome):
            coefficients[:, present], intercepts[present] = fitted.coef_.T, fitted.intercept_
        else:  # of two classes the library keeps the second's log odds alone
            coefficients[:, present[1]] = fitted.coef_[0]
            intercepts[present] = (0.0, float(fitted.intercept_[0]))
        return LogisticModel(mean, scale, coefficients, intercepts)


_NEVER = -30.0
"""Intercept of a class that never came."""


@dataclass(frozen=True, slots=True)
class LogisticModel:
    """A fitted linear model.

    Parameters
    ----------
    mean, scale
        ``(x - mean) * scale`` is standardised, shape ``(n_features,)``.
    coefficients, intercepts
        Of the log odds, shapes ``(n_features, 3)`` and ``(3,)``.
    """

    mean: Floats
    scale: Floats
    coefficients: Floats
    intercepts: Floats

    def predict(self, features: Features) -> Floats:
        """Return the probabilities in float64, shape ``(n_rows, 3)``."""
        standard = (features.astype(np.float64) - self.mean) * self.scale
        scores = standard @ self.coefficients + self.intercepts
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True), dtype=np.float64)

    def gains(self) -> Floats:
        """Return each feature's share of the coefficients' absolute sum."""
        sizes = np.abs(self.coefficients - self.coefficients.mean(axis=1, keepdims=True)).sum(
            axis=1
        )
        total = sizes.sum()
        return np.asarray(sizes / total if total > 0.0 else sizes, dtype=np.float64)

    def contributions(self, features: Features) -> Floats:
        """Return coefficient times distance from the mean, shape ``(n_rows, n_features, 3)``.

        They are the Shapley values of a linear model whose features are independent.
        """
        standard = (features.astype(np.float64) - self.mean) * self.scale
        return np.asarray(standard[:, :, None] * self.coefficients, dtype=np.float64)

    def to_onnx(self) -> bytes:
        """Return the model as five ONNX operations."""
        from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - a heavy library

        constants = {
            "mean": self.mean,
            "scale": self.scale,
            "coefficients": self.coefficients,
            "intercepts": self.intercepts,
        }
        nodes = [
            helper.make_node("Sub", [INPUT, "mean"], ["centred"]),
            helper.make_node("Mul", ["centred", "scale"], ["standard"]),
            helper.make_node("MatMul", ["standard", "coefficients"], ["linear"]),
            helper.make_node("Add", ["linear", "intercepts"], ["scores"]),
            helper.make_node("Softmax", ["scores"], [OUTPUT], axis=1),
        ]
        graph = helper.make_graph(
            nodes,
            "logistic",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, len(self.mean)])],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, len(Outcome)])],
            [
                numpy_helper.from_array(values.astype(np.float32), name)
                for name, values in constants.items()
            ],
        )
        return finish_graph(
            helper.make_model(
                graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR_VERSION
            )
        )
