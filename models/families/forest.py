"""A random forest by scikit-learn: many shallow trees, each on its own draw of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from models.bars import Floats
from models.dataset import Features
from models.families.family import TrainingSet
from models.families.graph import INPUT, finish_graph
from models.labels import Outcome
from online.domain.errors import InvalidInput
from online.domain.manifest import Reads

OPSET = {"": 17, "ai.onnx.ml": 3}


@dataclass(frozen=True, slots=True)
class ForestConfig:
    """Settings of the family.

    Parameters
    ----------
    n_trees
        Trees (> 0).
    max_depth
        Of each tree (> 0).
    min_leaf_share
        Least share of the rows in a leaf, in (0, 0.5).
    row_share, feature_share
        Drawn for each tree and for each split, in (0, 1].
    """

    kind: Literal["forest"] = "forest"
    n_trees: int = 120
    max_depth: int = 5
    min_leaf_share: float = 0.01
    row_share: float = 0.5
    feature_share: float = 0.3


@dataclass(frozen=True, slots=True)
class ForestFamily:
    """Fits a forest on one thread; averaging is its own regularisation, nothing is stopped."""

    config: ForestConfig
    reads: ClassVar[Reads] = "vector"

    @property
    def name(self) -> str:
        """The configuration's kind."""
        return self.config.kind

    def fit(self, training: TrainingSet, seed: int) -> ForestModel:
        """Fit all rows.

        Raises
        ------
        InvalidInput
            With code ``CLASS_ABSENT`` if an outcome never came: the file would lack its column.
        """
        absent = set(Outcome) - set(training.classes.tolist())
        if absent:
            names = ", ".join(sorted(outcome.name.lower() for outcome in absent))
            raise InvalidInput(
                f"a forest needs every outcome, none is {names}", code="CLASS_ABSENT"
            )

        from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 - a heavy library

        config = self.config
        fitted = RandomForestClassifier(
            n_estimators=config.n_trees,
            max_depth=config.max_depth,
            min_samples_leaf=config.min_leaf_share,
            max_samples=config.row_share,
            max_features=config.feature_share,
            n_jobs=1,
            random_state=seed,
        )
        fitted.fit(training.features, training.classes, sample_weight=training.weights)
        return ForestModel(fitted, training.features.shape[1])


@dataclass(frozen=True, slots=True)
class ForestModel:
    """A fitted forest.

    Parameters
    ----------
    forest
        The library's model.
    n_features
        Columns it reads.
    """

    forest: Any
    n_features: int

    def predict(self, features: Features) -> Floats:
        """Return the library's probabilities, shape ``(n_rows, 3)``."""
        return np.asarray(self.forest.predict_proba(features), dtype=np.float64)

    def gains(self) -> Floats:
        """Return each feature's share of the fall in impurity."""
        return np.asarray(self.forest.feature_importances_, dtype=np.float64)

    def to_onnx(self) -> bytes:
        """Return the trees as one ONNX ``TreeEnsembleClassifier``."""
        from skl2onnx import to_onnx  # noqa: PLC0415 - a heavy library
        from skl2onnx.common.data_types import FloatTensorType  # noqa: PLC0415 - see above

        model = to_onnx(
            self.forest,
            initial_types=[(INPUT, FloatTensorType([None, self.n_features]))],
            options={id(self.forest): {"zipmap": False}},
            target_opset=OPSET,
        )
        return finish_graph(model)
