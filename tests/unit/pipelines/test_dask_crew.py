"""A crew on a real Dask cluster answers as this process does."""

from __future__ import annotations

import socket

import numpy as np
import pytest
from distributed import LocalCluster

from models.families.xgboost import XgboostConfig
from models.labels import horizon_ns
from models.splits import walk_forward
from models.tuning import Question, answer
from online.domain.errors import InvalidInput, Unavailable
from pipelines import dask_crew
from pipelines.dask_crew import open_crew
from tests.unit.models.markets import RULE, make_dataset


def questions(count: int) -> list[Question]:
    """Return trials of different depth over one dataset."""
    horizon = horizon_ns(RULE)
    known = make_dataset(drift=40.0).take(np.arange(700, dtype=np.int64))
    labels = known.labels
    folds = walk_forward(
        *(labels.decided_at_ns, labels.ended_at_ns),
        n_folds=2,
        embargo_ns=horizon,
        horizon_ns=horizon,
        first_train_share=0.5,
    )
    return [
        Question(
            *(known, folds, XgboostConfig(max_depth=2 + n, max_rounds=8, min_rounds=4)),
            *(horizon, 7, (0.25, 1.0)),
        )
        for n in range(count)
    ]


def test_a_cluster_answers_as_this_process_does_and_in_order() -> None:
    asked = questions(3)
    with (
        LocalCluster(  # type: ignore[no-untyped-call] # no types published
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        open_crew(cluster.scheduler_address, 3) as crew,
    ):
        assert crew is not None
        assert crew.size == 3
        for question, found in zip(asked, crew.judge(asked), strict=True):
            for there, here in zip(found, answer(question), strict=True):
                assert there.log_loss == here.log_loss
                assert np.array_equal(there.units, here.units, equal_nan=True)


def test_without_an_address_there_is_no_crew() -> None:
    with open_crew(None, 0) as crew:
        assert crew is None


def test_a_crew_of_none_and_a_scheduler_that_is_not_there_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dask_crew, "_PATIENCE_SECONDS", 0.2)
    with pytest.raises(InvalidInput), open_crew("tcp://127.0.0.1:1", 0):
        pass
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(Unavailable, match="no Dask scheduler"), open_crew(address, 2):
        pass
