"""A training run that breaks: on full disks, then by being killed in the middle of its search.

``python -m tests.broken_training HOME`` does so, one after the other, in a mount name space of
its own: the disk is full under a search, then under the bundle of what was fitted; exit status 75
says that this machine allows none.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from models.families.xgboost import XgboostConfig
from models.recipe import Recipe
from models.registry import Registry
from models.tuning import Answer, Question, answer
from online.domain.errors import Unavailable
from online.domain.market import PriceSide, Timeframe
from pipelines.home import Home
from pipelines.spread import SpreadUsed
from pipelines.training import conduct
from pipelines.training_data import TrainingData, TrainPlan
from tests.benchmarks.honest_markets import (
    LABEL,
    SCALE,
    SPREAD_POINTS,
    catalogue_features,
    label_market,
    make_walk,
)
from tests.benchmarks.honesty import fill_lake

N_BARS, N_TRIALS, KILLED_AFTER = 1_200, 4, 2
NO_NAME_SPACE = 75
SPREAD = SpreadUsed(SPREAD_POINTS, "as given")
RECIPE = Recipe(
    families=(XgboostConfig(max_rounds=8, patience=3, min_rounds=4),),
    features=("rsi_14", "atr_14", "ema_50_ratio", "macd_histogram_atr", "log_return_1"),
    n_folds=2,
    n_tuning_trials=N_TRIALS,
)


def plan_for(home: Path) -> TrainPlan:
    """Return what is trained."""
    return TrainPlan(home, "EURUSD", Timeframe.H1, None, None, RECIPE, "sextant")


def registry_of(home: Path) -> Registry:
    """Return MLflow on the home's disk."""
    return Registry(f"sqlite:///{home / 'mlflow.db'}", home / "artifacts")


@lru_cache(maxsize=1)
def load(plan: TrainPlan) -> TrainingData:
    """Return a random walk's rows, its bars in the home's lake."""
    walk = make_walk(N_BARS, 1)
    fill_lake(Home(plan.home_root), walk)
    frame = catalogue_features(walk, plan.vector.names)
    dataset = label_market(walk, frame, plan.vector.names, LABEL)
    return TrainingData(dataset, LABEL.costs(SCALE, 1.0), PriceSide.ASK, SPREAD)


class OneByOne:
    """A crew of one that judges here; after `n_left` trials the process is killed in the middle."""

    size = 1

    def __init__(self, n_left: int | None = None) -> None:
        self._n_left = n_left

    def judge(self, questions: Sequence[Question]) -> list[tuple[Answer, ...]]:
        """Return the answers, or never return."""
        if self._n_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._n_left is not None:
            self._n_left -= 1
        return [answer(question) for question in questions]


def main() -> None:
    """Break twice."""
    home = Path(sys.argv[1])
    plan, registry = plan_for(home), registry_of(home)
    untuned = replace(plan, recipe=replace(RECIPE, n_tuning_trials=0))
    for asked, folder in ((plan, plan.home.mlflow / "studies"), (untuned, plan.home.bundles)):
        with full_disk(folder):
            try:
                conduct(asked, registry, load, crew=OneByOne())
            except Unavailable as error:
                sys.stdout.write(f"{error.code}: {error}\n")
                sys.stdout.flush()
    conduct(plan, registry, load, crew=OneByOne(KILLED_AFTER))


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Put a disk that is soon full below a folder within the block."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=4k", "full", str(folder)]
    if subprocess.run(mount, check=False, stderr=subprocess.DEVNULL).returncode != 0:
        sys.exit(NO_NAME_SPACE)
    yield
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


if __name__ == "__main__":
    main()
