"""Runs: what one training chose, measured and made, as MLflow keeps it.

Each run carries who records it, and says from time to time that it lives: one that is still open
although its process is gone is marked FAILED by the next training, with the reason.
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from models.heartbeat import alive_now, is_silent
from models.tracking import (
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    MlflowClient,
    MlflowException,
    Param,
    RunStatus,
    RunTag,
    ViewType,
)
from models.version import TRIAL_TAG, UNDER_WAY_TAG

FAILURE_TAG, OWNER_TAG = "failure", "recorded_by"
PAGE = 1000
_PARENT_TAG, _NOTE_TAG = "mlflow.parentRunId", "mlflow.note.content"
_DIGEST_LENGTH = 36
"""What MLflow keeps of a data set's digest, characters."""
_REASON_LENGTH = 500
_AFTER = "after its version was registered: "
_ABANDONED = "ABANDONED: the process that recorded it is gone"
_ORPHANED = "ABANDONED: the run that it belongs to has ended"
_ABSENT = "RESOURCE_DOES_NOT_EXIST"
_OPEN = RunStatus.to_string(RunStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Run:
    """A training run that is being recorded."""

    client: MlflowClient
    experiment_id: str
    run_id: str

    @contextmanager
    def child(self, name: str) -> Iterator[Run]:
        """Record a run nested in this one, for example of one fold."""
        started = self.client.create_run(
            self.experiment_id, run_name=name, tags={_PARENT_TAG: self.run_id, **own_tags()}
        )
        nested = Run(self.client, self.experiment_id, started.info.run_id)
        try:
            yield nested
        except BaseException as error:
            with suppress(MlflowException):  # the parent's end is told, and swept with this one
                mark_failed(self.client, nested.run_id, reason_of(error))
            raise
        self.client.set_terminated(nested.run_id, RunStatus.to_string(RunStatus.FINISHED))

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record what was chosen."""
        self.client.log_batch(self.run_id, params=[Param(k, str(v)) for k, v in params.items()])

    def log_figures(self, figures: Mapping[str, float], step: int = 0) -> None:
        """Record what was measured; figures that are not finite are left out."""
        now = int(time.time() * 1000)
        metrics = [Metric(k, v, now, step) for k, v in figures.items() if math.isfinite(v)]
        self.client.log_batch(self.run_id, metrics=metrics)

    def log_tags(self, tags: Mapping[str, str]) -> None:
        """Tag the run."""
        self.client.log_batch(self.run_id, tags=[RunTag(k, v) for k, v in tags.items()])

    def describe(self, text: str) -> None:
        """Say what it is, as Markdown, where MLflow shows a run's description."""
        self.log_tags({_NOTE_TAG: text})

    def log_data(self, name: str, sha256: str, source: str) -> None:
        """Name the data that it learnt from; MLflow keeps the digest's first characters."""
        data = Dataset(name, sha256[:_DIGEST_LENGTH], "local", source)
        used = DatasetInput(data, [InputTag("mlflow.data.context", "training")])
        self.client.log_inputs(self.run_id, datasets=[used])

    def log_folder(self, folder: Path, name: str) -> None:
        """Keep a folder's files under `name`."""
        self.client.log_artifacts(self.run_id, str(folder), name)

    def log_table(self, rows: Sequence[Mapping[str, object]], name: str) -> None:
        """Keep a table as JSON, as MLflow shows it."""
        columns = list(dict.fromkeys(key for row in rows for key in row))
        data = [[row.get(column) for column in columns] for row in rows]
        self.client.log_dict(self.run_id, {"columns": columns, "data": data}, name)

    def log_text(self, text: str, name: str) -> None:
        """Keep a text."""
        self.client.log_text(self.run_id, text, name)


def own_tags() -> dict[str, str]:
    """Return the tags that say which process records a run, and that it lives."""
    owner = f"{socket.gethostname()}:{os.getpid()}:{_started(os.getpid())}"
    return {OWNER_TAG: owner, **alive_now()}


def reason_of(error: BaseException) -> str:
    """Return what a failed run says of its end."""
    return f"{getattr(error, 'code', type(error).__name__)}: {error}"[:_REASON_LENGTH]


def mark_failed(client: MlflowClient, run_id: str, reason: str) -> None:
    """Mark a run FAILED with its reason."""
    client.log_batch(run_id, tags=[RunTag(FAILURE_TAG, reason)])
    client.set_terminated(run_id, RunStatus.to_string(RunStatus.FAILED))


def settle(client: MlflowClient, run_id: str, reason: str) -> None:
    """End a run that broke off: FINISHED if it has a version by then, else FAILED by its reason."""
    if client.search_model_versions(f"run_id = '{run_id}'", max_results=1):
        client.log_batch(run_id, tags=[RunTag(FAILURE_TAG, f"{_AFTER}{reason}"[:_REASON_LENGTH])])
        client.set_terminated(run_id, RunStatus.to_string(RunStatus.FINISHED))
    else:
        mark_failed(client, run_id, reason)


def sweep(client: MlflowClient, experiment_id: str, lost: Mapping[str, str]) -> None:
    """End the open runs of an experiment that nobody records any more, as `settle` does.

    A process of this host is looked for, one of another host is gone when it was silent too long;
    with a run go those nested in it.

    Parameters
    ----------
    client, experiment_id
        Where they are.
    lost
        Reasons by run, of those that ended while MLflow was not there.
    """
    found = client.search_runs([experiment_id], f"attributes.status = '{_OPEN}'")
    tags = {run.info.run_id: run.data.tags for run in found}
    gone = {run_id: reason for run_id in tags if (reason := _why_gone(tags[run_id]))}
    reasons = {**gone, **lost}
    for run_id, told in tags.items():
        parent = told.get(_PARENT_TAG, "")
        reason = reasons.get(run_id) or reasons.get(parent, "")
        if not reason and parent and not _is_open(client, parent):
            reason = _ORPHANED
        # It may have ended in the meantime: whoever is gone says nothing after this.
        if reason and _is_open(client, run_id):
            settle(client, run_id, reason)


def _is_open(client: MlflowClient, run_id: str) -> bool:
    try:
        return bool(client.get_run(run_id).info.status == _OPEN)
    except MlflowException as error:
        if error.error_code != _ABSENT:
            raise
        return False


def _why_gone(tags: Mapping[str, str]) -> str:
    """Return why nobody records a run any more; empty while somebody may."""
    owner = tags.get(OWNER_TAG, "")
    if _is_gone(owner):
        return _ABANDONED
    is_nested = _PARENT_TAG in tags  # it says once that it lives, and the run around it goes on
    if not is_nested and not _is_here(owner) and is_silent(tags, time.time()):
        return f"{_ABANDONED}: {owner} has said nothing for too long"
    return ""


def tried_in(client: MlflowClient, experiment_id: str) -> set[str]:
    """Return what tells the trials of an experiment's runs, deleted ones too, from each other.

    A run that ended counts by its figures, an open one by what it said that it tries as well.
    """
    seen, token = set[str](), None
    while True:
        page = client.search_runs(
            [experiment_id], run_view_type=ViewType.ALL, max_results=PAGE, page_token=token
        )
        for run in page:
            asked = (TRIAL_TAG, UNDER_WAY_TAG) if run.info.status == _OPEN else (TRIAL_TAG,)
            seen |= {run.data.tags[tag] for tag in asked if tag in run.data.tags}
        token = page.token
        if not token:
            return seen


def _started(process_id: int) -> str:
    """Return what tells a process from others of its number, which a container soon uses again.

    On Linux its start, clock ticks after the machine's; elsewhere, or without it, nothing.
    """
    try:
        told = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return told.rpartition(")")[2].split()[19]


def _is_here(owner: str) -> bool:
    return owner.partition(":")[0] == socket.gethostname()


def _is_gone(owner: str) -> bool:
    """Tell whether the process was on this host and is there no more."""
    _, pid, started = (*owner.split(":"), "", "")[:3]
    if not _is_here(owner) or not pid.isdigit() or os.name != "posix":
        return False
    if started and started != _started(int(pid)):
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
