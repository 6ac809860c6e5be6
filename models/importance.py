"""What the model listens to: permutation importance on the tested rows, fold by fold.

Source: Breiman, Random Forests, Machine Learning 45, 2001, section 10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.bars import Floats
from models.dataset import Dataset
from models.export import OnnxScorer
from models.fit import FoldFit
from models.reliability import log_loss

MAX_ROWS = 1_000
"""Tested rows of a fold that are permuted, evenly spread over it."""


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
    """

    family: str
    names: tuple[str, ...]
    permutation: Floats
    gain: Floats | None

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
            }
            for place in np.argsort(-mean, kind="stable")
        ]

    @property
    def stability(self) -> float:
        """Mean rank correlation of the permutation importances between folds, in [-1, 1]."""
        ranks = np.argsort(np.argsort(self.permutation, axis=1), axis=1)
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
        step = max(1, len(fit.fold.test) // MAX_ROWS)
        rows = fit.fold.test[::step]
        scorer = OnnxScorer(fit.member.onnx)
        classes = dataset.labels.classes[rows]
        known = log_loss(scorer.score(inputs[rows]).astype(np.float64), classes)
        order = random.permutation(len(rows))
        for column in range(len(names)):
            shuffled = inputs[rows]
            shuffled[..., column] = shuffled[order][..., column]
            scores = scorer.score(shuffled).astype(np.float64)
            rises[number, column] = log_loss(scores, classes) - known
    gains = [fit.gains for fit in fits if fit.gains is not None]
    return Importance(
        fits[0].member.family,
        names,
        rises,
        np.stack(gains) if len(gains) == len(fits) else None,
    )
