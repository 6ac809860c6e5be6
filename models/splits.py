"""Purged, embargoed splits: what a model is judged on never touched what it learnt from.

Source: López de Prado, Advances in Financial Machine Learning, 2018, chapter 7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.bars import Stamps
from models.labels import Mask, Rows
from online.domain.errors import InvalidInput

MIN_FOLD_ROWS = 50
"""Fewest rows of a training or a test set that is called a fold."""


@dataclass(frozen=True, slots=True)
class Fold:
    """One training set and the test set that follows it.

    Parameters
    ----------
    number
        From 0, in order of time.
    train, test
        Increasing positions among the labels.
    """

    number: int
    train: Rows
    test: Rows


def purged(
    decided_at_ns: Stamps, ended_at_ns: Stamps, candidates: Rows, test: Rows, embargo_ns: int
) -> Rows:
    """Return the candidates whose labels keep clear of the test set.

    A label lives from its decision to its end. One that comes within `embargo_ns` of the span of
    the test labels, on either side, is left out.

    Parameters
    ----------
    decided_at_ns, ended_at_ns
        Life of every label, nanoseconds UTC, shape ``(n_labels,)``.
    candidates, test
        Positions among the labels; `test` is one contiguous stretch of time.
    embargo_ns
        Distance to keep (>= 0).
    """
    first = int(decided_at_ns[test].min()) - embargo_ns
    last = int(ended_at_ns[test].max()) + embargo_ns
    clear: Mask = (ended_at_ns[candidates] < first) | (decided_at_ns[candidates] > last)
    return candidates[clear]


def walk_forward(
    decided_at_ns: Stamps,
    ended_at_ns: Stamps,
    *,
    n_folds: int,
    embargo_ns: int,
    horizon_ns: int,
    first_train_share: float = 0.4,
    rolling_ns: int | None = None,
) -> tuple[Fold, ...]:
    """Split labels into training sets, expanding or rolling, each followed by its test set.

    Parameters
    ----------
    decided_at_ns, ended_at_ns
        Life of every label, nanoseconds UTC, decisions increasing, shape ``(n_labels,)``.
    n_folds
        Number of test sets (>= 2); together they cover all after the first training share.
    embargo_ns
        Distance between training and test labels, at least `horizon_ns`.
    horizon_ns
        Longest span of a label on the clock.
    first_train_share
        Share of the labels before the first test set, in (0, 1).
    rolling_ns
        Training decisions are within this time before their test's first one; None for all before.

    Raises
    ------
    InvalidInput
        With code ``TOO_FEW_ROWS`` if a fold would be too small, or if the embargo is shorter than
        the horizon.
    """
    if embargo_ns < horizon_ns:
        raise InvalidInput(
            f"the embargo must be at least the label's horizon of {horizon_ns} ns, got {embargo_ns}"
        )
    if n_folds < 2 or not 0.0 < first_train_share < 1.0:  # noqa: PLR2004 - one fold is no validation
        raise InvalidInput(
            "walk-forward needs n_folds >= 2 and first_train_share in (0, 1), "
            f"got {n_folds} and {first_train_share}"
        )
    n_labels = len(decided_at_ns)
    edges = np.linspace(n_labels * first_train_share, n_labels, n_folds + 1).astype(np.int64)
    folds: list[Fold] = []
    for number in range(n_folds):
        test = np.arange(edges[number], edges[number + 1], dtype=np.int64)
        before = np.arange(edges[number], dtype=np.int64)
        before = recent(decided_at_ns, before, int(decided_at_ns[test[0]]), rolling_ns)
        if len(test) < MIN_FOLD_ROWS:
            raise _too_few(n_labels, n_folds)
        train = purged(decided_at_ns, ended_at_ns, before, test, embargo_ns)
        if len(train) < MIN_FOLD_ROWS:
            raise _too_few(n_labels, n_folds)
        folds.append(Fold(number, train, test))
    return tuple(folds)


def recent(decided_at_ns: Stamps, rows: Rows, until_ns: int, rolling_ns: int | None) -> Rows:
    """Return the rows decided within a rolling window that ends at `until_ns`; all for None."""
    if rolling_ns is None:
        return rows
    return rows[decided_at_ns[rows] >= until_ns - rolling_ns]


def inner_split(
    decided_at_ns: Stamps, ended_at_ns: Stamps, train: Rows, *, valid_share: float, embargo_ns: int
) -> tuple[Rows, Rows]:
    """Return the fitting and the stopping part of a training set, the latter being its last part.

    Parameters
    ----------
    decided_at_ns, ended_at_ns
        Life of every label, nanoseconds UTC, shape ``(n_labels,)``.
    train
        Positions among the labels, increasing.
    valid_share
        Share of `train` that decides when to stop, in (0, 1).
    embargo_ns
        Distance between the two parts.

    Raises
    ------
    InvalidInput
        With code ``TOO_FEW_ROWS`` if nothing is left to fit on.
    """
    edge = int(len(train) * (1.0 - valid_share))
    valid = train[edge:]
    fitted = purged(decided_at_ns, ended_at_ns, train[:edge], valid, embargo_ns)
    if len(fitted) == 0:
        raise InvalidInput(
            f"too few rows: {len(train)} leave none to fit on before the stopping part",
            code="TOO_FEW_ROWS",
        )
    return fitted, valid


def purge_violations(decided_at_ns: Stamps, ended_at_ns: Stamps, folds: tuple[Fold, ...]) -> int:
    """Count the training labels whose life overlaps their fold's test labels; 0 is leak-free.

    It is written apart from `purged`, as the check of it.
    """
    found = 0
    for fold in folds:
        first = int(decided_at_ns[fold.test].min())
        last = int(ended_at_ns[fold.test].max())
        starts, ends = decided_at_ns[fold.train], ended_at_ns[fold.train]
        found += int(np.sum((starts <= last) & (ends >= first)))
    return found


def _too_few(n_labels: int, n_folds: int) -> InvalidInput:
    return InvalidInput(
        f"too few rows: {n_labels} labels cannot be cut into {n_folds} folds of at least "
        f"{MIN_FOLD_ROWS} test and training rows",
        code="TOO_FEW_ROWS",
        remedy="Train on a longer window, or on fewer folds.",
    )
