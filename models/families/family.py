"""What every family of models can do, whatever library is behind it.

A family is one file: a frozen configuration with its `kind`, a class that fits, and what it
fitted. `models.families.build` is the one place that names them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from models.bars import Floats
from models.dataset import Features
from models.labels import Rows
from models.windows import Windows
from online.domain.manifest import Reads


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """What a family is fitted on: past rows alone, oldest first.

    Parameters
    ----------
    features
        Float32, finite, shape ``(n_rows, n_features)``.
    names
        Of the features, in the order of the columns.
    classes
        0 short, 1 neither, 2 long, shape ``(n_rows,)``.
    weights
        Of each row (> 0), shape ``(n_rows,)``.
    inner_fit, inner_valid
        Positions for early stopping: fit on the first, stop by the second. They are purged of
        each other.
    windows
        Of each row; None where none of the families reads them.
    """

    features: Features
    names: tuple[str, ...]
    classes: npt.NDArray[np.int64]
    weights: Floats
    inner_fit: Rows
    inner_valid: Rows
    windows: Windows | None = None


class Fitted(Protocol):
    """A fitted model."""

    def predict(self, features: Features) -> Floats:
        """Return the library's own probabilities, shape ``(n_rows, 3)``.

        Parameters
        ----------
        features
            What the family reads: vectors ``(n_rows, n_features)`` or windows ``(n_rows, length,
            n_features)``.
        """
        ...

    def gains(self) -> Floats | None:
        """Return each feature's share of the fit's gain, adding up to 1; None if unknown."""
        ...


@runtime_checkable
class Explained(Protocol):
    """A fitted model that can say, exactly, what each feature adds to a row's scores."""

    def contributions(self, features: Features) -> Floats:
        """Return each feature's Shapley value for each class, shape ``(n_rows, n_features, 3)``.

        Together with what the model says of nobody they add up to the scores before the softmax.
        """
        ...


class Exportable(Fitted, Protocol):
    """A fitted model that ONNX Runtime can serve."""

    def to_onnx(self) -> bytes:
        """Return the ONNX file: ``input`` float32 as it reads to ``probabilities`` ``(n, 3)``.

        The same fit gives the same bytes.
        """
        ...


class Family(Protocol):
    """A way to fit."""

    @property
    def name(self) -> str:
        """The configuration's kind."""
        ...

    @property
    def reads(self) -> Reads:
        """What it is fitted on and scores: the bar's vector, or the window that ends with it."""
        ...

    def fit(self, training: TrainingSet, seed: int) -> Exportable:
        """Fit on `training`; the same rows and seed give the same model, bit for bit."""
        ...
