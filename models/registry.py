"""MLflow: where runs, figures and model versions live. The only file that imports it.

A run that fails is marked FAILED with its reason and registers nothing. Every gate is a tag of
its version, for people to read; the proof is the certificate beside the bundle's files, which
`promote` and `rollback` obey as the scorer does.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.export import Bundle, digest_folder, read_proofs
from models.gates import Alias, Verdict
from models.version import (
    BEST_ALIAS_TAG,
    DIGEST_TAG,
    GATE_PREFIX,
    PREVIOUS_PREFIX,
    TRIAL_TAG,
    Account,
    Version,
)
from online.domain.certificate import Certificate, Trust, needed_policy, permit
from online.domain.errors import ModelRefused, NotFound, SextantError, Unavailable

# MLflow reads these when it is imported.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")  # 7 take minutes to say "down"

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Metric, Param, RunStatus, RunTag
from mlflow.exceptions import MlflowException

logger = logging.getLogger(__name__)
BUNDLE_FOLDER, PLOTS_FOLDER = "bundle", "plots"
_PARENT_TAG = "mlflow.parentRunId"
_REASON_LENGTH = 500
_PAGE = 1000


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
            self.experiment_id, run_name=name, tags={_PARENT_TAG: self.run_id}
        )
        nested = Run(self.client, self.experiment_id, started.info.run_id)
        status = RunStatus.FAILED
        try:
            yield nested
            status = RunStatus.FINISHED
        finally:
            self.client.set_terminated(nested.run_id, RunStatus.to_string(status))

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


class Registry:
    """Runs and versions behind one MLflow.

    Parameters
    ----------
    uri
        ``http://…`` of a server, or ``sqlite:///…``.
    artifacts
        Folder for the artifacts of a ``sqlite`` store; a server has its own.

    Raises
    ------
    Unavailable
        If MLflow does not answer.
    """

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        self.uri = uri
        self._artifacts = artifacts
        with _mlflow(uri):
            self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    @contextmanager
    def record(self, experiment: str, run_name: str) -> Iterator[Run]:
        """Record a run of `experiment`; leaving by an error marks it FAILED with the reason."""
        with _mlflow(self.uri):
            experiment_id = self._experiment(experiment)
            started = self._client.create_run(experiment_id, run_name=run_name)
        run = Run(self._client, experiment_id, started.info.run_id)
        try:
            with _mlflow(self.uri):
                yield run
        except BaseException as error:
            self._fail(run, error)
            raise
        with _mlflow(self.uri):
            self._client.set_terminated(run.run_id, RunStatus.to_string(RunStatus.FINISHED))

    def count_trials(self, experiment: str, trial: str) -> int:
        """Return how many distinct configurations were ever tried, `trial` included.

        Failed runs count too where they got as far as their figures: those were looked at.
        """
        with _mlflow(self.uri):
            found = self._client.get_experiment_by_name(experiment)
            if found is None:
                return 1
            seen, token = {trial}, None
            while True:
                page = self._client.search_runs(
                    [found.experiment_id], max_results=_PAGE, page_token=token
                )
                seen |= {run.data.tags[TRIAL_TAG] for run in page if TRIAL_TAG in run.data.tags}
                token = page.token
                if not token:
                    return len(seen)

    def register(
        self, run: Run, name: str, bundle: Bundle, verdict: Verdict, description: str = ""
    ) -> Version:
        """Register the run's bundle as a version of `name`, with its gates as tags.

        A bundle that is a version already, with the same gates, stays that version.
        """
        best = verdict.best_alias
        tags = {
            DIGEST_TAG: bundle.digest,
            BEST_ALIAS_TAG: "none" if best is None else str(best),
            **{f"{GATE_PREFIX}{gate.name}": str(gate) for gate in verdict.gates},
        }
        run.log_folder(bundle.folder, BUNDLE_FOLDER)
        for known in self.versions(name):
            if tags.items() <= known.tags.items():
                return known
        with _mlflow(self.uri):
            if not self._client.search_registered_models(f"name = '{name}'"):
                self._client.create_registered_model(name)
            source = f"{self._client.get_run(run.run_id).info.artifact_uri}/{BUNDLE_FOLDER}"
            made = self._client.create_model_version(
                name, source, run.run_id, tags, description=description, await_creation_for=0
            )
        return Version(name, str(made.version), run.run_id, tags)

    def find(self, name: str, version: str) -> Version:
        """Return one version.

        Raises
        ------
        NotFound
            With code ``UNKNOWN_MODEL``.
        """
        try:
            return _version(self._client.get_model_version(name, version))
        except MlflowException as error:
            raise self._missing(f"model {name!r} has no version {version!r}", error) from error

    def resolve(self, name: str, alias: Alias) -> Version:
        """Return the version an alias points at.

        Raises
        ------
        NotFound
            With code ``NO_MODEL`` if there is no such model or alias.
        """
        try:
            return _version(self._client.get_model_version_by_alias(name, str(alias)))
        except MlflowException as error:
            raise self._missing(f"no version of {name!r} carries {alias!s}", error) from error

    def latest(self, name: str) -> Version:
        """Return the newest version.

        Raises
        ------
        NotFound
            With code ``NO_MODEL`` if there is none.
        """
        versions = self.versions(name)
        if not versions:
            raise NotFound(
                f"no model {name!r} is registered", code="NO_MODEL", remedy=_TRAIN_REMEDY
            )
        return versions[0]

    def versions(self, name: str) -> list[Version]:
        """Return every version, newest first."""
        with _mlflow(self.uri):
            found = self._client.search_model_versions(f"name = '{name}'")
        return sorted((_version(v) for v in found), key=lambda v: -int(v.version))

    def names(self) -> list[str]:
        """Return every registered name, sorted."""
        with _mlflow(self.uri):
            return sorted(model.name for model in self._client.search_registered_models())

    def account(self, version: Version) -> Account:
        """Return what the run behind a version chose and measured."""
        with _mlflow(self.uri):
            data = self._client.get_run(version.run_id).data
        return Account(dict(data.params), dict(data.metrics))

    def read_text(self, version: Version, name: str) -> str:
        """Return a text that the run behind a version kept.

        Raises
        ------
        Unavailable
            If MLflow or its artifact store does not give it.
        """
        with tempfile.TemporaryDirectory() as scratch, _mlflow(self.uri):
            found = download_artifacts(
                run_id=version.run_id,
                artifact_path=name,
                dst_path=scratch,
                tracking_uri=self.uri,
            )
            return Path(found).read_text(encoding="utf-8")

    def aliases(self, name: str) -> dict[str, str]:
        """Return the version behind each alias of a model; empty if there is no such model."""
        with _mlflow(self.uri):
            found = self._client.search_registered_models(f"name = '{name}'")
            if not found:
                return {}
            pairs: dict[str, str] = dict(self._client.get_registered_model(name).aliases)
        return {alias: str(version) for alias, version in pairs.items()}

    def promote(self, name: str, version: str, alias: Alias, trust: Trust) -> Version:
        """Move an alias to a version that may carry it (`check`); remember where it pointed."""
        found = self.find(name, version)
        self.check(found, alias, trust)
        before = self.aliases(name).get(str(alias))
        with _mlflow(self.uri):
            if before is not None and before != version:
                tag = f"{PREVIOUS_PREFIX}{alias}"
                self._client.set_model_version_tag(name, version, tag, before)
            self._client.set_registered_model_alias(name, str(alias), version)
        logger.info("%s version %s is %s now (before: %s)", name, version, alias, before)
        return found

    def rollback(self, name: str, alias: Alias, trust: Trust) -> Version:
        """Move an alias back to the version it pointed at before.

        Raises
        ------
        NotFound
            With code ``NO_PREVIOUS_VERSION`` if it never pointed elsewhere.
        ModelRefused
            If that version may not carry the alias (`check`).
        """
        current = self.resolve(name, alias)
        before = current.tags.get(f"{PREVIOUS_PREFIX}{alias}")
        if before is None:
            raise NotFound(
                f"{alias} of {name} never pointed at another version than {current.version}",
                code="NO_PREVIOUS_VERSION",
            )
        found = self.find(name, before)
        self.check(found, alias, trust)
        with _mlflow(self.uri):
            self._client.set_registered_model_alias(name, str(alias), before)
        logger.info("%s rolled %s back from %s to %s", name, alias, current.version, before)
        return found

    def check(self, version: Version, alias: Alias, trust: Trust) -> Certificate:
        """Return the certificate by which a version may carry an alias, as the scorer will ask.

        Raises
        ------
        ModelRefused
            As `online.domain.certificate.permit`.
        """
        with tempfile.TemporaryDirectory() as scratch:
            bundle = self.download_bundle(version, Path(scratch) / "bundle")
            proofs = read_proofs(bundle.folder)
        return permit(proofs, version.name, bundle.digest, needed_policy(alias), trust)

    def attach(self, version: Version, file: Path) -> None:
        """Keep a file beside those of a version's bundle."""
        with _mlflow(self.uri):
            self._client.log_artifact(version.run_id, str(file), BUNDLE_FOLDER)

    def download_bundle(self, version: Version, folder: Path) -> Bundle:
        """Fetch a version's bundle into `folder`, whole and verified, or not at all.

        Raises
        ------
        ModelRefused
            With code ``BUNDLE_DIGEST`` if the files are not those that were registered.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            with _mlflow(self.uri):
                fetched = Path(
                    download_artifacts(
                        run_id=version.run_id,
                        artifact_path=BUNDLE_FOLDER,
                        dst_path=scratch,
                        tracking_uri=self.uri,
                    )
                )
            digest = digest_folder(fetched)
            expected = version.tags.get(DIGEST_TAG)
            if digest != expected:
                raise ModelRefused(
                    f"the bundle of {version.name} version {version.version} has digest {digest}, "
                    f"{expected} was registered",
                    code="BUNDLE_DIGEST",
                )
            if folder.exists():
                shutil.rmtree(folder)
            fetched.rename(folder)
        return Bundle(folder, digest)

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = None
        if self._artifacts is not None and self.uri.startswith("sqlite:"):
            location = (self._artifacts.resolve() / name).as_uri()
        return str(self._client.create_experiment(name, artifact_location=location))

    def _fail(self, run: Run, error: BaseException) -> None:
        reason = f"{getattr(error, 'code', type(error).__name__)}: {error}"[:_REASON_LENGTH]
        try:
            run.log_tags({"failure": reason})
            self._client.set_terminated(run.run_id, RunStatus.to_string(RunStatus.FAILED))
        except MlflowException as second:
            logger.warning("run %s could not be marked FAILED: %s", run.run_id, second)

    def _missing(self, message: str, error: MlflowException) -> SextantError:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST" or "not found" in str(error).lower():
            return NotFound(message, code="NO_MODEL", remedy=_TRAIN_REMEDY)
        return Unavailable(f"MLflow at {self.uri} does not answer: {error}")


_TRAIN_REMEDY = "Train and promote one first: `sextant train --help`, `sextant promote --help`."


@contextmanager
def _mlflow(uri: str) -> Iterator[None]:
    """Name MLflow's errors as ours."""
    try:
        yield
    except MlflowException as error:
        raise Unavailable(f"MLflow at {uri} does not answer: {error}") from error


def _version(found: Any) -> Version:  # noqa: ANN401 - mlflow publishes no types
    return Version(found.name, str(found.version), found.run_id, dict(found.tags))
