"""Training runs that break: bad input, a full disk, a kill; nothing is registered by them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from models.bars import Bars
from models.dataset import Dataset
from models.heartbeat import ALIVE_TAG, LOST_AFTER_SECONDS
from models.registry import Registry
from models.runs import OWNER_TAG, own_tags
from models.tuning import Answer, Question
from models.version import TRIAL_TAG
from online.domain.errors import SextantError, Unavailable
from online.domain.market import PriceSide
from pipelines.training import conduct
from pipelines.training_data import TrainingData, TrainPlan
from pipelines.tuning import tune_plan
from tests.broken_training import (
    KILLED_AFTER,
    N_TRIALS,
    NO_NAME_SPACE,
    SPREAD,
    OneByOne,
    load,
    plan_for,
    registry_of,
)
from tests.unit.models.markets import COSTS, build, make_bars, make_frame

pytestmark = pytest.mark.integration
Spoil = Callable[[pd.DataFrame, Bars], Dataset]


def runs_of(registry: Registry, plan: TrainPlan) -> list[Run]:
    """Return every run of the plan's experiment, the newest first."""
    client = MlflowClient(registry.uri)
    found = client.get_experiment_by_name(plan.experiment)
    assert found is not None
    return list(client.search_runs([found.experiment_id], order_by=["attributes.start_time DESC"]))


def constant(frame: pd.DataFrame, bars: Bars) -> Dataset:
    return build(frame.assign(noise_a=1.0), bars)


def empty(frame: pd.DataFrame, bars: Bars) -> Dataset:
    return build(frame.assign(noise_a=np.nan), bars)


def unknown(frame: pd.DataFrame, bars: Bars) -> Dataset:
    return build(frame.drop(columns="noise_a"), bars)


def few(frame: pd.DataFrame, bars: Bars) -> Dataset:
    return build(frame[:80], bars.take(np.arange(80)))


def one_class(frame: pd.DataFrame, bars: Bars) -> Dataset:
    steps = np.full(len(bars), 1.0) + 0.05 * np.arange(len(bars))
    steady = Bars(bars.closed_at_ns, steps, steps + 0.001, steps - 0.001, steps)
    return build(frame, steady)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return registry_of(tmp_path_factory.mktemp("mlflow"))


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (constant, "CONSTANT_FEATURE"),
        (empty, "EMPTY_FEATURE"),
        (unknown, "UNKNOWN_FEATURE"),
        (few, "TOO_FEW_ROWS"),
        (one_class, "ONE_CLASS"),
    ],
    ids=lambda case: case if isinstance(case, str) else None,
)
def test_bad_input_fails_the_run_with_its_reason_and_registers_nothing(
    tmp_path: Path, registry: Registry, spoil: Spoil, code: str
) -> None:
    bars, hint = make_bars(600, 3)

    def load_spoilt(_: TrainPlan) -> TrainingData:
        return TrainingData(spoil(make_frame(bars, hint, 3), bars), COSTS, PriceSide.ASK, SPREAD)

    plan = plan_for(tmp_path)
    with pytest.raises(SextantError) as caught:
        conduct(plan, registry, load_spoilt)
    assert caught.value.code == code
    newest = runs_of(registry, plan)[0]
    assert newest.info.status == "FAILED"
    assert newest.data.tags["failure"].startswith(f"{code}: ")
    assert registry.names() == []


def test_training_on_full_disks_fails_by_name_and_a_search_that_was_killed_goes_on_counted(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "tests.broken_training", str(tmp_path)]
    broken = subprocess.run(
        ["unshare", "--map-root-user", "--mount", *command],
        capture_output=True,
        text=True,
        check=False,
    )
    if broken.returncode in (1, NO_NAME_SPACE) and "DISK_FULL" not in broken.stdout:
        pytest.skip(f"no mount name space here, so no full disk: {broken.stderr[-200:]}")
    assert broken.returncode == -signal.SIGKILL, broken.stderr
    assert broken.stdout.count("DISK_FULL: nothing can be written: ") == 2  # search and bundle
    plan, registry = plan_for(tmp_path), registry_of(tmp_path)
    assert registry.names() == []
    *trials, killed, _, _, fitted, full = runs_of(registry, plan)  # two of its folds were recorded
    for failed in (fitted, full):
        assert failed.data.tags["failure"].startswith("DISK_FULL: ")
        assert failed.info.status == "FAILED"
    assert killed.info.status == "RUNNING"
    assert len(trials) == KILLED_AFTER
    # Another search on the same market counts them, whether or not the killed one goes on.
    # So does it the one that was judged before no bundle could be written of it.
    assert registry.count_trials(plan.experiment, "another") == KILLED_AFTER + 2
    report = conduct(plan, registry, load, crew=OneByOne())
    assert report.luck["search.trials"] == N_TRIALS
    after = runs_of(registry, plan)
    assert after[-1].data.tags["failure"].startswith("DISK_FULL: ")
    assert {run.info.status for run in after} == {"FAILED", "FINISHED"}
    tags = {run.data.tags[TRIAL_TAG] for run in after if TRIAL_TAG in run.data.tags}
    assert {run.data.tags[TRIAL_TAG] for run in trials} < tags
    assert report.trials % len(tags) == 0
    assert [version.version for version in registry.versions(plan.name)] == ["1"]


def test_a_search_that_another_training_is_at_is_refused_and_not_disturbed(
    tmp_path: Path, registry: Registry
) -> None:
    plan = plan_for(tmp_path)
    data, refused = load(plan), []

    class Disturbed(OneByOne):
        def judge(self, questions: Sequence[Question]) -> list[tuple[Answer, ...]]:
            with pytest.raises(Unavailable) as caught, registry.record(plan.experiment, "2") as run:
                tune_plan(plan, data, run, OneByOne())
            refused.append(caught.value.code)
            return super().judge(questions)

    with registry.record(plan.experiment, "1") as run:
        _, found = tune_plan(plan, data, run, Disturbed())
        assert tune_plan(plan, data, run, OneByOne())[1] == found  # free again, and nothing lost
    assert found is not None
    assert (found.n_trials, refused) == (N_TRIALS, ["SEARCH_UNDER_WAY"] * N_TRIALS)


def test_a_run_of_another_host_is_marked_when_it_was_silent_for_too_long(
    registry: Registry,
) -> None:
    now_s, mine = int(time.time()), own_tags()[OWNER_TAG]
    with registry.record("EURUSD.H1", "mine") as run:

        def leave(owner: str, alive_s: float, parent: str = "") -> str:
            tags = {OWNER_TAG: owner, ALIVE_TAG: f"{alive_s:.0f}"}
            nested = {"mlflow.parentRunId": parent} if parent else {}
            made = run.client.create_run(run.experiment_id, tags={**tags, **nested})
            return str(made.info.run_id)

        old_s = now_s - LOST_AFTER_SECONDS - 60.0
        silent, heard = leave("elsewhere:7:1", old_s), leave("elsewhere:8:1", now_s)
        below, between = leave("elsewhere:7:1", now_s, silent), leave("elsewhere:8:1", old_s, heard)
        stuck = leave(mine, old_s)
        ended = leave("elsewhere:9:1", now_s)
        orphan, alone = (leave("elsewhere:9:1", now_s, each) for each in (ended, "0" * 32))
        run.client.set_terminated(ended)
        with registry.record("EURUSD.H1", "next"):
            pass
        found = {each: run.client.get_run(each) for each in (silent, below, orphan, alone)}
        open_still = [
            run.client.get_run(each).info.status for each in (heard, between, stuck, run.run_id)
        ]
        assert run.client.get_run(ended).info.status == "FINISHED"
    assert open_still == ["RUNNING"] * 4
    assert [each.info.status for each in found.values()] == ["FAILED"] * 4
    assert "elsewhere:7:1 has said nothing" in found[silent].data.tags["failure"]
    assert "the run that it belongs to has ended" in found[orphan].data.tags["failure"]


def test_a_run_that_ends_while_it_is_looked_for_is_left_as_it_ended(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    with registry.record("EURUSD.H1", "mine") as run:
        client = run.client
        left = client.create_run(run.experiment_id, tags={OWNER_TAG: "here"}).info.run_id

        def end_and_vanish(owner: str) -> bool:
            if owner == "here":
                client.set_terminated(left)
            return owner == "here"

        monkeypatch.setattr("models.runs._is_gone", end_and_vanish)
        with registry.record("EURUSD.H1", "next"):
            pass
    assert client.get_run(left).info.status == "FINISHED"
