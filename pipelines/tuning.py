"""Tuning as part of a training run: each trial a nested run, and counted."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from models.labels import horizon_ns
from models.learn import cut_folds
from models.runs import Run
from models.search import SearchLuck, Tried, weigh_search
from models.threshold import shares_to_signal
from models.tuning import Crew, has_space, tune
from models.version import TRIAL_TAG
from online.domain.errors import Unavailable
from pipelines.training_data import TrainingData, TrainPlan


def tune_plan(
    plan: TrainPlan, data: TrainingData, run: Run, crew: Crew | None = None
) -> tuple[TrainPlan, SearchLuck | None]:
    """Return the plan with the best settings found for each of its families, and what luck did.

    Only rows before the first test are searched on. A search of the same rows, costs and choices
    goes on where it was left; a family that has nothing to search keeps its settings.

    Parameters
    ----------
    plan
        Its recipe says how many trials a family gets.
    data
        As it was loaded.
    run
        The training's run; every trial is nested in it, carries the tag that is counted, and
        keeps what it would have earned each day (``daily_units.csv``, in units of risk).
    crew
        Judges trials in parallel; its size is part of the search and of its file's name.

    Raises
    ------
    Unavailable
        With code ``SEARCH_UNDER_WAY`` if another training goes on with the same search.
    """
    recipe, dataset = plan.recipe, data.dataset
    if recipe.n_tuning_trials == 0:
        return plan, None
    known = dataset.take(cut_folds(dataset, recipe, plan.rule)[0].train)
    shares = shares_to_signal(recipe.min_coverage) if recipe.label.target.is_tradable else ()
    file = search_file(plan, data, len(known), crew)
    told: list[Tried] = []

    def tell(tried: Tried) -> None:
        told.append(tried)
        asked = replace(recipe, families=(tried.config,))
        with run.child(f"{tried.config.kind} trial {tried.number + 1}") as nested:
            nested.log_params(asdict(tried.config))
            nested.log_figures({"inner_log_loss": tried.log_loss, "pruned": float(tried.pruned)})
            nested.log_tags({TRIAL_TAG: plan.trial(dataset.names, asked)})
            nested.log_text(tried.daily.table(), "daily_units.csv")

    with _alone(file):
        families = tuple(
            tune(
                known,
                config,
                n_trials=recipe.n_tuning_trials,
                embargo_ns=recipe.embargo_ns(plan.rule),
                horizon_ns=horizon_ns(plan.rule),
                seed=recipe.seed,
                file=file,
                tell=tell,
                shares=shares,
                crew=crew,
            )
            if has_space(config)
            else config
            for config in recipe.families
        )
    tuned = replace(plan, recipe=replace(recipe, families=families))
    return tuned, weigh_search(told)


def search_file(plan: TrainPlan, data: TrainingData, n_rows: int, crew: Crew | None) -> Path:
    """Return where the search of a plan is kept: one for rows, costs and choices.

    What every trial earned each day is kept in it, so the costs are part of its name.
    """
    dataset = data.dataset
    named = f"{dataset.digest}|{n_rows}|{plan.recipe.trial(dataset.names)}|{data.costs}|by day"
    if crew is not None:
        named += f"|crew of {crew.size}"
    return plan.home.mlflow / "studies" / f"{hashlib.sha256(named.encode()).hexdigest()[:16]}.db"


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Search alone: who goes on with a search gives up the trials that are under way in it.

    The system takes the lock from a process that dies.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_suffix(".lock").open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Unavailable(
                f"another training is at the same search, {file}",
                code="SEARCH_UNDER_WAY",
                remedy="Wait until it has ended: what it found is then taken from the file.",
            ) from error
        yield
