"""Laws of folds: nothing a model is judged on touches what it learnt from."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.combinatorial import combine_groups, join_paths
from models.splits import (
    MIN_FOLD_ROWS,
    Fold,
    inner_split,
    purge_violations,
    walk_forward,
)
from online.domain.errors import InvalidInput


@st.composite
def lives(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Return decisions, ends and the horizon of labels; closures stretch some beyond it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_labels = draw(st.integers(500, 1500))
    decided = np.cumsum(rng.choice([1, 1, 1, 1, 50], n_labels)).astype(np.int64)
    horizon = draw(st.integers(1, 20))
    ended = decided + rng.integers(1, horizon + 1, n_labels)
    stretched = rng.random(n_labels) < 0.05
    ended[stretched] += 49
    return decided, ended, horizon


@given(lives(), st.integers(2, 5), st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_no_training_label_overlaps_its_test_fold_or_its_embargo(
    drawn: tuple[np.ndarray, np.ndarray, int], n_folds: int, extra: int
) -> None:
    decided, ended, horizon = drawn
    embargo = horizon + extra
    folds = walk_forward(decided, ended, n_folds=n_folds, embargo_ns=embargo, horizon_ns=horizon)
    for fold in folds:
        first = decided[fold.test].min()
        for row in fold.train:
            assert ended[row] + embargo < first
    assert purge_violations(decided, ended, folds) == 0


@given(lives(), st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_test_folds_follow_each_other_without_overlap_to_the_last_label(
    drawn: tuple[np.ndarray, np.ndarray, int], n_folds: int
) -> None:
    decided, ended, horizon = drawn
    folds = walk_forward(decided, ended, n_folds=n_folds, embargo_ns=horizon, horizon_ns=horizon)
    tested = np.concatenate([fold.test for fold in folds])
    assert np.array_equal(tested, np.arange(tested[0], len(decided)))
    for earlier, later in pairwise(folds):
        assert set(earlier.train) < set(later.train)


@given(lives(), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_what_comes_after_a_folds_training_changes_nothing_of_its_training(
    drawn: tuple[np.ndarray, np.ndarray, int], seed: int
) -> None:
    decided, ended, horizon = drawn
    options = {"n_folds": 4, "embargo_ns": horizon, "horizon_ns": horizon}
    folds = walk_forward(decided, ended, **options)
    rng = np.random.default_rng(seed)
    for fold in folds:
        changed = ended.copy()
        after = np.arange(len(decided)) >= fold.test[0]
        changed[after] = decided[after] + rng.integers(1, 40, int(after.sum()))
        again = walk_forward(decided, changed, **options)[fold.number]
        assert np.array_equal(again.train, fold.train)


@given(lives())
@settings(max_examples=30, deadline=None)
def test_the_stopping_part_is_purged_from_the_fitting_part(
    drawn: tuple[np.ndarray, np.ndarray, int],
) -> None:
    decided, ended, horizon = drawn
    train = np.arange(400, dtype=np.int64)
    fitted, valid = inner_split(decided, ended, train, valid_share=0.2, embargo_ns=horizon)
    assert ended[fitted].max() + horizon < decided[valid].min()
    assert purge_violations(decided, ended, (Fold(0, fitted, valid),)) == 0


@given(lives(), st.integers(3, 6))
@settings(max_examples=30, deadline=None)
def test_no_training_label_overlaps_any_of_its_test_groups(
    drawn: tuple[np.ndarray, np.ndarray, int], n_groups: int
) -> None:
    decided, ended, horizon = drawn
    for split in combine_groups(decided, ended, n_groups=n_groups, embargo_ns=horizon):
        for test in split.tests:
            first, last = decided[test].min() - horizon, ended[test].max() + horizon
            assert not np.any((ended[split.train] >= first) & (decided[split.train] <= last))
        fold = Fold(0, split.train, split.tests[0])
        assert purge_violations(decided, ended, (fold,)) == 0


@given(lives(), st.integers(3, 6))
@settings(max_examples=20, deadline=None)
def test_every_path_tests_every_label_once_and_every_test_is_used_once(
    drawn: tuple[np.ndarray, np.ndarray, int], n_groups: int
) -> None:
    decided, ended, horizon = drawn
    splits = combine_groups(decided, ended, n_groups=n_groups, embargo_ns=horizon)
    paths = join_paths(splits, n_groups)
    assert len(paths) == n_groups - 1
    used = []
    for path in paths:
        for group, number in enumerate(path):
            assert group in splits[number].groups
            used.append((group, number))
    assert len(set(used)) == len(used) == sum(len(split.groups) for split in splits)


def test_overlapping_folds_are_counted_as_violations() -> None:
    decided = np.arange(300, dtype=np.int64)
    leaky = Fold(0, np.arange(200, dtype=np.int64), np.arange(200, 300, dtype=np.int64))
    assert purge_violations(decided, decided + 5, (leaky,)) == 5


def test_an_embargo_shorter_than_the_horizon_is_refused() -> None:
    decided = np.arange(1000, dtype=np.int64)
    with pytest.raises(InvalidInput, match="embargo"):
        walk_forward(decided, decided + 9, n_folds=3, embargo_ns=8, horizon_ns=9)


def test_too_few_rows_for_the_folds_are_named() -> None:
    decided = np.arange(MIN_FOLD_ROWS * 3, dtype=np.int64)
    with pytest.raises(InvalidInput) as caught:
        walk_forward(decided, decided + 2, n_folds=3, embargo_ns=2, horizon_ns=2)
    assert caught.value.code == "TOO_FEW_ROWS"
