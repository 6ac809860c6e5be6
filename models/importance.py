"""What the model listens to: permutation importance and Shapley values on the tested rows.

Both are measured fold by fold, and how alike the folds are is told by the rank correlation.

Source: Breiman, Random Forests, Machine Learning 45, 2001, section 10; Lundberg and others, From
Local Explanations to Global Understanding with Explainable AI for Trees, Nature Machine
Intelligence, 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.bars import Floats
from models.dataset import Dataset
from models.export import OnnxScorer
from models.fit import EXPLAINED_ROWS, FoldFit, spread_rows
from models.reliability import log_loss


@dataclass(frozen=True, slots=True)
class Importance:
    """Importance of every feature to one member, one row a fold.

    Parameters
    ----------
    family
        What the member is.
    names
        Feature names.
    permutation
        Rise of the log loss when the feature is shuffled, nats, shape ``(n_folds, n_features)``.
    gain
        Share of the fit's gain, same shape; None if the family has none.
    shapley
        Mean absolute Shapley value of the scores before the softmax, same shape: exact for trees
        (TreeSHAP) and linear models; None if the family has none.
    """

    family: str
    names: tuple[str, ...]
    permutation: Floats
    gain: Floats | None
    shapley: Floats | None = None

    def table(self) -> list[dict[str, str | float]]:
        """Return one row a feature, the greatest mean rise first."""
        mean, deviation = self.permutation.mean(axis=0), self.permutation.std(axis=0)
        return [
            {
                "family": self.family,
                "feature": self.names[place],
                "rise_of_log_loss": round(float(mean[place]), 6),
                "deviation_over_folds": round(float(deviation[place]), 6),
                "folds_above_zero": int((self.permutation[:, place] > 0.0).sum()),
                **self._shapley_cells(int(place)),
            }
            for place in np.argsort(-mean, kind="stable")
        ]

    def _shapley_cells(self, place: int) -> dict[str, str | float]:
        if self.shapley is None:
            return {}
        values = self.shapley[:, place]
        return {
            "mean_abs_shap": round(float(values.mean()), 6),
            "shap_deviation_over_folds": round(float(values.std()), 6),
        }

    @property
    def stability(self) -> float:
        """Mean rank correlation of the permutation importances between folds, in [-1, 1]."""
        return _rank_stability(self.permutation)

    @property
    def shapley_stability(self) -> float:
        """The same of the Shapley values; NaN if the family has none."""
        return math.nan if self.shapley is None else _rank_stability(self.shapley)


def _rank_stability(values: Floats) -> float:
    ranks = np.argsort(np.argsort(values, axis=1), axis=1)
    pairs = np.atleast_2d(np.corrcoef(ranks))
    return float(pairs[np.triu_indices(len(pairs), 1)].mean())


def measure_importance(dataset: Dataset, fits: Sequence[FoldFit], seed: int) -> Importance:
    """Shuffle one feature at a time among the tested rows and score them again.

    Parameters
    ----------
    dataset
        All rows.
    fits
        One member's models of the folds.
    seed
        Of the shuffles.
    """
    random = np.random.default_rng(seed)
    reads = fits[0].member.reads
    inputs, names = dataset.inputs(reads), dataset.input_names(reads)
    rises = np.zeros((len(fits), len(names)))
    for number, fit in enumerate(fits):
        rows = spread_rows(fit.fold.test, EXPLAINED_ROWS)
        scorer = OnnxScorer(fit.member.onnx)
        classes = dataset.labels.classes[rows]
        known = log_loss(scorer.score(inputs[rows]).astype(np.float64), classes)
        order = random.permutation(len(rows))
        for column in range(len(names)):
            shuffled = inputs[rows]
            shuffled[..., column] = shuffled[order][..., column]
            scores = scorer.score(shuffled).astype(np.float64)
            rises[number, column] = log_loss(scores, classes) - known
    return Importance(
        *(fits[0].member.family, names, rises),
        gain=_stack([fit.gains for fit in fits]),
        shapley=_stack([fit.contributions for fit in fits]),
    )


def _stack(of_folds: Sequence[Floats | None]) -> Floats | None:
    """Return the folds' figures as rows; None if one of them has none."""
    known = [figures for figures in of_folds if figures is not None]
    return np.stack(known) if len(known) == len(of_folds) else None
