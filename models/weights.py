"""Sample weights: labels that share their bars count for less, and no direction counts for more.

Source: López de Prado, Advances in Financial Machine Learning, 2018, chapter 4.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.bars import Floats, Stamps
from models.labels import Outcome


def weigh(decided_at_ns: Stamps, ended_at_ns: Stamps) -> Floats:
    """Return the average uniqueness of each label, scaled to a mean of one.

    Only the labels given are counted, so a fold's weights depend on its own training rows alone.

    Parameters
    ----------
    decided_at_ns, ended_at_ns
        Life of every label, nanoseconds UTC, decisions increasing, shape ``(n_labels,)``.

    Returns
    -------
    numpy.ndarray
        Positive weights, shape ``(n_labels,)``.
    """
    # Time is counted in decision stamps; a label lives on those in [decided, ended).
    first = np.arange(len(decided_at_ns))
    last = np.maximum(np.searchsorted(decided_at_ns, ended_at_ns, "left"), first + 1)
    change = np.zeros(len(decided_at_ns) + 1)
    np.add.at(change, first, 1.0)
    np.add.at(change, last, -1.0)
    alive = np.cumsum(change)[:-1]
    shared = np.concatenate([[0.0], np.cumsum(1.0 / alive)])
    uniqueness = (shared[last] - shared[first]) / (last - first)
    return np.asarray(uniqueness / uniqueness.mean(), dtype=np.float64)


def balance_directions(weights: Floats, classes: npt.NDArray[np.int64]) -> Floats:
    """Return weights under which long and short outcomes weigh the same altogether.

    What a price did on the whole in a few months says nothing of its next hour: without this a
    model fitted on a year that rose learns to buy, whatever the features say.

    Parameters
    ----------
    weights
        Of each label (> 0), shape ``(n_labels,)``.
    classes
        Outcome of each, shape ``(n_labels,)``.

    Returns
    -------
    numpy.ndarray
        Weights with the same total; unchanged where one direction is absent.
    """
    short, long = classes == Outcome.SHORT, classes == Outcome.LONG
    total_short, total_long = float(weights[short].sum()), float(weights[long].sum())
    if total_short == 0.0 or total_long == 0.0:
        return weights
    half = (total_short + total_long) / 2.0
    balanced = weights.copy()
    balanced[short] *= half / total_short
    balanced[long] *= half / total_long
    return balanced
