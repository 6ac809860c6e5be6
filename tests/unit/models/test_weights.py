"""Labels that share their time with others count for less."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.weights import weigh


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
