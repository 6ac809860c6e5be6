"""The rule baseline: `online.domain.rules` seen as a fitted model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.bars import Floats
from models.dataset import Features
from models.labels import Outcome
from online.domain.rules import vote
from online.domain.vector import VectorContract


@dataclass(frozen=True, slots=True)
class RulesModel:
    """The rules over one contract."""

    contract: VectorContract

    def predict(self, features: Features) -> Floats:
        """Return the votes, shape ``(n_rows, 3)``."""
        votes = [vote(row, self.contract) for row in features.astype(np.float64).tolist()]
        return np.array(votes, dtype=np.float64).reshape(-1, len(Outcome))

    def gains(self) -> None:
        """Return None: nothing was fitted."""
        return
