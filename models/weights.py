"""Sample weights: labels that share their bars with many others count for less.

Source: López de Prado, Advances in Financial Machine Learning, 2018, chapter 4.
"""

from __future__ import annotations

import numpy as np

from models.bars import Floats, Stamps


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
