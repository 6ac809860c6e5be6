"""Labels that share their time with others count for less."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.weights import balance_directions, weigh


def test_labels_that_share_nothing_count_alike() -> None:
    decided = np.arange(0, 100, 10, dtype=np.int64)
    assert weigh(decided, decided + 10) == pytest.approx(np.ones(10))


def test_a_crowded_label_counts_for_less_than_a_lonely_one() -> None:
    decided = np.array([0, 1, 2, 3, 100], dtype=np.int64)
    weights = weigh(decided, decided + 4)
    assert weights[1] < weights[4]


@given(st.integers(0, 2**32 - 1))
def test_weights_are_the_mean_share_of_each_moment(seed: int) -> None:
    random = np.random.default_rng(seed)
    decided = np.cumsum(random.integers(1, 4, 40)).astype(np.int64)
    ended = decided + random.integers(1, 12, 40)
    alive = [np.sum((decided <= moment) & (ended > moment)) for moment in decided]
    expected = np.array(
        [
            np.mean([1.0 / alive[m] for m in range(40) if start <= decided[m] < end])
            for start, end in zip(decided, ended, strict=True)
        ]
    )
    assert weigh(decided, ended) == pytest.approx(expected / expected.mean())


def test_both_directions_weigh_the_same_and_nothing_is_added() -> None:
    classes = np.array([0, 0, 1, 2, 2, 2, 2, 1], dtype=np.int64)
    weights = np.linspace(0.5, 1.5, 8)
    balanced = balance_directions(weights, classes)
    assert balanced[classes == 0].sum() == pytest.approx(balanced[classes == 2].sum())
    assert balanced.sum() == pytest.approx(weights.sum())
    assert np.array_equal(balanced[classes == 1], weights[classes == 1])
    assert balanced[4] / balanced[3] == pytest.approx(weights[4] / weights[3])


def test_a_single_direction_is_left_as_it_is() -> None:
    weights = np.ones(3)
    assert balance_directions(weights, np.array([1, 2, 2])) is weights
