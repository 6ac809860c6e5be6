"""The loop that training is measured against is no straw man: its features are whole and causal."""

from __future__ import annotations

import pandas as pd

from tests.benchmarks.honest_markets import make_walk
from tests.benchmarks.peers.refit_loop import filter_rows, populate, raw_frames
from tests.benchmarks.train import N_FEATURES

FRAMES = raw_frames(make_walk(600, 3))


def columns_of(frame: pd.DataFrame) -> list[str]:
    return [str(name) for name in frame.columns if str(name).startswith("%")]


def test_the_loop_makes_as_many_features_as_are_compared_and_few_gaps() -> None:
    frame = populate(FRAMES)
    columns = columns_of(frame)
    assert len(columns) == len(set(columns)) == N_FEATURES
    features, labels = filter_rows(frame, columns)
    assert len(features) > 400
    assert set(labels) <= {"up", "down", "neither"}


def test_the_loops_features_know_no_later_candle() -> None:
    until = FRAMES["1h"]["date"].iloc[449]
    before = populate({name: frame[frame["date"] <= until] for name, frame in FRAMES.items()})
    columns = columns_of(before)
    pd.testing.assert_frame_equal(before[columns], populate(FRAMES)[columns].iloc[: len(before)])
