"""A search for settings: it goes on after a kill, and sees nothing that a model is judged on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from models.dataset import Dataset
from models.families.logistic import LogisticConfig
from models.families.xgboost import XgboostConfig
from models.labels import horizon_ns
from models.search import Tried
from models.tuning import Answer, Crew, Question, answer, has_space, tune
from tests.unit.models.markets import RULE, make_dataset

CONFIG = XgboostConfig(max_rounds=15, patience=3, min_rounds=5)
HORIZON = horizon_ns(RULE)
SHARES = (0.25, 0.5, 1.0)


def search(
    dataset: Dataset,
    file: Path,
    n_trials: int,
    crew: Crew | None = None,
    tell: Callable[[Tried], None] | None = None,
) -> tuple[XgboostConfig, list[Tried]]:
    tried: list[Tried] = []
    best = tune(
        dataset,
        CONFIG,
        n_trials=n_trials,
        embargo_ns=HORIZON,
        horizon_ns=HORIZON,
        seed=7,
        file=file,
        tell=tell or tried.append,
        shares=SHARES,
        crew=crew,
    )
    assert isinstance(best, XgboostConfig)
    return best, tried


@pytest.fixture(scope="module")
def known() -> Dataset:
    return make_dataset(drift=40.0).take(np.arange(700, dtype=np.int64))


def test_a_search_that_was_killed_goes_on_as_if_nothing_had_been(
    known: Dataset, tmp_path: Path
) -> None:
    whole = search(known, tmp_path / "whole.db", 8)
    search(known, tmp_path / "parts.db", 3)
    parts = search(known, tmp_path / "parts.db", 8)
    assert parts == whole
    for mine, theirs in zip(parts[1], whole[1], strict=True):
        assert np.array_equal(mine.daily.units, theirs.daily.units, equal_nan=True)
    assert len(whole[1]) == 8
    assert len({trial.config for trial in whole[1]}) == 8
    assert any(trial.pruned for trial in whole[1])
    for trial in whole[1]:  # one that is given up early keeps the days it was judged on
        judged = np.isfinite(trial.daily.units[:, 0])
        assert bool(np.all(judged)) == (not trial.pruned)
        assert judged[0]


def test_a_trial_cut_short_by_a_kill_is_made_again(known: Dataset, tmp_path: Path) -> None:
    import optuna  # noqa: PLC0415 - loads slowly

    file = tmp_path / "killed.db"
    search(known, file, 2)
    optuna.load_study(study_name="xgboost", storage=f"sqlite:///{file}").ask()
    best, tried = search(known, file, 3)
    assert [trial.number for trial in tried] == [0, 1, 2]
    assert best in [trial.config for trial in tried]


def test_a_trial_is_told_as_soon_as_it_is_settled_so_that_a_kill_leaves_it_counted(
    known: Dataset, tmp_path: Path
) -> None:
    told: list[Tried] = []

    def killed_at_the_second(tried: Tried) -> None:
        told.append(tried)
        if tried.number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(known, tmp_path / "a.db", 4, tell=killed_at_the_second)
    assert [trial.number for trial in told] == [0, 1]
    _, tried = search(known, tmp_path / "a.db", 3)
    assert [trial.config for trial in tried[:2]] == [trial.config for trial in told]


def test_the_best_is_the_one_with_the_least_loss_and_the_first_is_the_default(
    known: Dataset, tmp_path: Path
) -> None:
    best, tried = search(known, tmp_path / "search.db", 4)
    assert tried[0].config == CONFIG
    whole = [trial for trial in tried if not trial.pruned]
    assert best == min(whole, key=lambda trial: trial.log_loss).config
    assert dataclasses.replace(best, kind="xgboost") == best


def test_a_family_without_a_space_has_none() -> None:
    assert has_space(CONFIG)
    assert not has_space(LogisticConfig())


class _Inline:
    """A crew that judges here, one after the other."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.asked: list[int] = []

    def judge(self, questions: Sequence[Question]) -> list[tuple[Answer, ...]]:
        self.asked.append(len(questions))
        return [answer(question) for question in questions]


class _Dies(_Inline):
    """A crew that is gone when it is asked for the second time."""

    def judge(self, questions: Sequence[Question]) -> list[tuple[Answer, ...]]:
        if self.asked:
            raise ConnectionResetError
        return super().judge(questions)


def test_the_same_seed_and_size_of_crew_give_the_same_search(
    known: Dataset, tmp_path: Path
) -> None:
    crew = _Inline(2)
    first = search(known, tmp_path / "first.db", 5, crew)
    assert first == search(known, tmp_path / "second.db", 5, _Inline(2))
    assert crew.asked == [2, 2, 1]
    assert first[1][0].config == CONFIG
    assert len({trial.config for trial in first[1]}) == 5
    assert not any(trial.pruned for trial in first[1])


def test_a_crew_that_dies_leaves_whole_batches_and_the_search_goes_on_as_if_it_had_not(
    known: Dataset, tmp_path: Path
) -> None:
    whole = search(known, tmp_path / "whole.db", 4, _Inline(2))
    with pytest.raises(ConnectionResetError):
        search(known, tmp_path / "parts.db", 4, _Dies(2))
    rest = _Inline(2)
    assert search(known, tmp_path / "parts.db", 4, rest) == whole
    assert rest.asked == [2]
