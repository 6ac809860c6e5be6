"""Combinatorial purged cross-validation: many out-of-sample paths where walk-forward gives one.

Time is cut into groups; every choice of test groups is fitted on the rest, purged on both sides.
Each group is then tested by several fits, and the tests are joined into paths that each cover all
of time. Training after a test is allowed here, so the paths tell how much a result depends on
which stretch was learnt from; what may trade is still judged by walk-forward.

Source: López de Prado, Advances in Financial Machine Learning, 2018, chapter 12.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from models.bars import Floats, Stamps
from models.dataset import Dataset
from models.families.family import Family
from models.fit import fit_folds
from models.labels import Outcome, Rows
from models.sharpe import sharpe
from models.splits import MIN_FOLD_ROWS, Fold, purged
from models.trading import trade
from online.domain.errors import InvalidInput

TEST_GROUPS = 2


@dataclass(frozen=True, slots=True)
class Split:
    """One choice of test groups.

    Parameters
    ----------
    groups
        Numbers of the test groups, increasing.
    tests
        Their rows, one array a group.
    train
        Rows whose labels keep clear of every test group.
    """

    groups: tuple[int, ...]
    tests: tuple[Rows, ...]
    train: Rows


def combine_groups(
    decided_at_ns: Stamps, ended_at_ns: Stamps, *, n_groups: int, embargo_ns: int
) -> tuple[Split, ...]:
    """Return every choice of two test groups with its purged training rows.

    Parameters
    ----------
    decided_at_ns, ended_at_ns
        Life of every label, nanoseconds UTC, decisions increasing, shape ``(n_labels,)``.
    n_groups
        Stretches of time (> 2).
    embargo_ns
        Distance between training and test labels, at least the label's horizon.

    Raises
    ------
    InvalidInput
        With code ``TOO_FEW_ROWS`` if a training or a test set would be too small.
    """
    if n_groups <= TEST_GROUPS:
        raise InvalidInput(f"n_groups must be greater than {TEST_GROUPS}, got {n_groups}")
    everything = np.arange(len(decided_at_ns), dtype=np.int64)
    groups = [np.asarray(part, dtype=np.int64) for part in np.array_split(everything, n_groups)]
    splits = []
    for chosen in combinations(range(n_groups), TEST_GROUPS):
        tests = tuple(groups[number] for number in chosen)
        train = np.setdiff1d(everything, np.concatenate(tests))
        for test in tests:
            if len(test) < MIN_FOLD_ROWS:
                raise _too_few(len(everything), n_groups)
            train = purged(decided_at_ns, ended_at_ns, train, test, embargo_ns)
        if len(train) < MIN_FOLD_ROWS:
            raise _too_few(len(everything), n_groups)
        splits.append(Split(chosen, tests, train))
    return tuple(splits)


def join_paths(splits: Sequence[Split], n_groups: int) -> tuple[tuple[int, ...], ...]:
    """Return paths: for each, the number of the split that tests each group, every one used once.

    Each group is tested by ``n_groups - 1`` splits, so there are as many paths.
    """
    testers: list[list[int]] = [[] for _ in range(n_groups)]
    for number, split in enumerate(splits):
        for group in split.groups:
            testers[group].append(number)
    return tuple(zip(*testers, strict=True))


@dataclass(frozen=True, slots=True)
class Paths:
    """Per-trade Sharpe ratios of the paths.

    Parameters
    ----------
    sharpes
        One a path, after costs.
    """

    sharpes: tuple[float, ...]

    def figures(self) -> dict[str, float]:
        """Return number, mean, deviation, worst and share of losing paths."""
        known = np.array([value for value in self.sharpes if math.isfinite(value)])
        if len(known) == 0:
            return {"paths": 0.0}
        return {
            "paths": float(len(known)),
            "paths.sharpe_mean": float(known.mean()),
            "paths.sharpe_deviation": float(known.std()),
            "paths.sharpe_worst": float(known.min()),
            "paths.losing_share": float((known <= 0.0).mean()),
        }


def walk_paths(
    dataset: Dataset,
    families: Sequence[Family],
    *,
    n_groups: int,
    embargo_ns: int,
    coverage: float,
    seed: int,
) -> Paths:
    """Fit every split and trade every path, at the edge that signals `coverage` of its bars.

    Parameters
    ----------
    dataset
        Rows of one window.
    families
        What is fitted; several are weighted alike.
    n_groups, embargo_ns
        As of `combine_groups`.
    coverage
        Share of the bars to signal, in (0, 1].
    seed
        Of every fit.
    """
    labels = dataset.labels
    splits = combine_groups(
        labels.decided_at_ns, labels.ended_at_ns, n_groups=n_groups, embargo_ns=embargo_ns
    )
    folds = [Fold(n, s.train, np.concatenate(s.tests)) for n, s in enumerate(splits)]
    scores = [np.zeros((len(dataset), len(Outcome)), dtype=np.float32) for _ in folds]
    for family in families:
        fits = fit_folds(dataset, folds, family, embargo_ns=embargo_ns, seed=seed)
        for summed, fit in zip(scores, fits, strict=True):
            summed[fit.fold.test] += fit.raw / len(families)
    groups = np.array_split(np.arange(len(dataset)), n_groups)
    sharpes = []
    for path in join_paths(splits, n_groups):
        raw = np.concatenate(
            [scores[number][rows] for number, rows in zip(path, groups, strict=True)]
        )
        edge: Floats = (raw[:, Outcome.LONG] - raw[:, Outcome.SHORT]).astype(np.float64)
        min_edge = float(np.quantile(np.abs(edge), 1.0 - coverage))
        sharpes.append(sharpe(trade(edge, labels, min_edge).net_units))
    return Paths(tuple(sharpes))


def _too_few(n_labels: int, n_groups: int) -> InvalidInput:
    return InvalidInput(
        f"too few rows: {n_labels} labels cannot be cut into {n_groups} groups",
        code="TOO_FEW_ROWS",
        remedy="Train on a longer window, or on fewer groups.",
    )
