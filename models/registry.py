"""MLflow: where figures and model versions live.

A run that fails is marked FAILED with its reason and registers nothing; one that registered a
version is FINISHED, whatever came after it. Every gate is a tag of
its version, for people to read; the proof is the certificate beside the bundle's files, which
`promote` and `rollback` obey as the scorer does.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.export import Bundle, digest_folder, read_proofs
from models.faults import REFUSED, named_disk, named_mlflow
from models.gates import Alias, Verdict
from models.heartbeat import alive_now, beating
from models.runs import PAGE, Run, own_tags, reason_of, settle, sweep, tried_in
from models.tracking import (
    LifecycleStage,
    MlflowClient,
    MlflowException,
    RunStatus,
    download_artifacts,
)
from models.version import (
    BEST_ALIAS_TAG,
    DIGEST_TAG,
    GATE_PREFIX,
    PREVIOUS_PREFIX,
    UNDER_WAY_TAG,
    Account,
    Version,
)
from online.domain.bundle import PROOFS
from online.domain.certificate import Certificate, Trust, needed_policy, permit
from online.domain.errors import (
    InvalidInput,
    ModelRefused,
    NotFound,
    SextantError,
    Unavailable,
)

logger = logging.getLogger(__name__)
BUNDLE_FOLDER, PLOTS_FOLDER = "bundle", "plots"
_KIND_TAG = "mlflow.experimentKind"
"""Names an experiment one of model training, where MLflow tells kinds apart."""


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
        self._lost: dict[str, str] = {}
        self._registered: set[str] = set()
        with named_mlflow(uri):
            self._client = MlflowClient(tracking_uri=uri, registry_uri=uri)

    @contextmanager
    def record(self, experiment: str, run_name: str) -> Iterator[Run]:
        """Record a run of `experiment`; leaving by an error marks it FAILED with the reason.

        Runs whose process has died, or whose end MLflow was not there to hear, are marked first.

        Raises
        ------
        Unavailable
            If MLflow does not answer, or with code ``DISK_FULL`` if nothing can be written.
        """
        with named_mlflow(self.uri):
            experiment_id = self._experiment(experiment)
            sweep(self._client, experiment_id, self._lost)
            self._lost.clear()
            started = self._client.create_run(experiment_id, run_name=run_name, tags=own_tags())
        run = Run(self._client, experiment_id, started.info.run_id)
        try:
            with named_mlflow(self.uri), named_disk(), beating(lambda: run.log_tags(alive_now())):
                yield run
        except BaseException as error:
            self._fail(run, error)
            raise
        self._finish(run)

    def count_trials(self, experiment: str, trial: str, run: Run | None = None) -> int:
        """Return how many distinct configurations were ever tried, `trial` included.

        Failed and deleted runs count too where they got as far as their figures: those were
        looked at. So do those under way: whoever trains many at once has tried as many.

        Parameters
        ----------
        experiment, trial
            Where, and what tells this one from the others.
        run
            That is about to try it, and counts for others from now on; None for nobody.
        """
        with named_mlflow(self.uri):
            if run is not None:
                run.log_tags({UNDER_WAY_TAG: trial})
            found = self._client.get_experiment_by_name(experiment)
            seen = set() if found is None else tried_in(self._client, found.experiment_id)
            return len(seen | {trial})

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
        with named_mlflow(self.uri):
            if not self._client.search_registered_models(f"name = '{name}'"):
                self._client.create_registered_model(name)
            source = f"{self._client.get_run(run.run_id).info.artifact_uri}/{BUNDLE_FOLDER}"
            made = self._client.create_model_version(
                name, source, run.run_id, tags, description=description, await_creation_for=0
            )
        self._registered.add(run.run_id)
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
                f"no model {name!r} is registered: there are {', '.join(self.names()) or 'none'}",
                code="NO_MODEL",
                remedy=_TRAIN_REMEDY,
            )
        return versions[0]

    def versions(self, name: str) -> list[Version]:
        """Return every version, newest first."""
        with named_mlflow(self.uri):
            found = self._client.search_model_versions(f"name = '{name}'")
        return sorted((_version(v) for v in found), key=lambda v: -int(v.version))

    def names(self) -> list[str]:
        """Return every registered name, sorted."""
        found, token = list[str](), None
        with named_mlflow(self.uri):
            while True:
                page = self._client.search_registered_models(max_results=PAGE, page_token=token)
                found += [model.name for model in page]
                token = page.token
                if not token:
                    return sorted(found)

    def account(self, version: Version) -> Account:
        """Return what the run behind a version chose and measured."""
        with named_mlflow(self.uri):
            data = self._client.get_run(version.run_id).data
        return Account(dict(data.params), dict(data.metrics))

    def read_text(self, version: Version, name: str) -> str:
        """Return a text that the run behind a version kept.

        Raises
        ------
        Unavailable
            If MLflow or its artifact store does not give it.
        """
        with tempfile.TemporaryDirectory() as scratch, named_mlflow(self.uri):
            found = download_artifacts(
                run_id=version.run_id,
                artifact_path=name,
                dst_path=scratch,
                tracking_uri=self.uri,
            )
            return Path(found).read_text(encoding="utf-8")

    def aliases(self, name: str) -> dict[str, str]:
        """Return the version behind each alias of a model; empty if there is no such model."""
        with named_mlflow(self.uri):
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
        with named_mlflow(self.uri):
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
        with named_mlflow(self.uri):
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
        with named_mlflow(self.uri):
            self._client.log_artifact(version.run_id, str(file), BUNDLE_FOLDER)

    def read_proofs(self, version: Version) -> dict[str, bytes]:
        """Return the certificates beside a version's bundle by file name, and no other file."""
        with tempfile.TemporaryDirectory() as scratch, named_mlflow(self.uri):
            kept = self._client.list_artifacts(version.run_id, BUNDLE_FOLDER)
            paths = [item.path for item in kept if Path(item.path).name in PROOFS]
            fetched = [
                Path(self._client.download_artifacts(version.run_id, path, scratch))
                for path in paths
            ]
            return {path.name: path.read_bytes() for path in fetched}

    def download_bundle(self, version: Version, folder: Path) -> Bundle:
        """Fetch a version's bundle into `folder`, whole and verified, or not at all.

        Raises
        ------
        ModelRefused
            With code ``BUNDLE_DIGEST`` if the files are not those that were registered.
        """
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            with named_mlflow(self.uri):
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
        if found is not None and found.lifecycle_stage == LifecycleStage.DELETED:
            raise InvalidInput(
                f"MLflow's experiment {name} was deleted",
                code="EXPERIMENT_DELETED",
                remedy="Restore it: `mlflow experiments restore --experiment-id "
                f"{found.experiment_id}`. Its trials are counted.",
            )
        if found is not None:
            return str(found.experiment_id)
        location = None
        if self._artifacts is not None and self.uri.startswith("sqlite:"):
            location = (self._artifacts.resolve() / name).as_uri()
        made = self._client.create_experiment(
            name, artifact_location=location, tags={_KIND_TAG: "custom_model_development"}
        )
        return str(made)

    def _finish(self, run: Run) -> None:
        """End a run; where MLflow does not hear it, what was registered stays registered."""
        try:
            with named_mlflow(self.uri):
                self._client.set_terminated(run.run_id, RunStatus.to_string(RunStatus.FINISHED))
        except Unavailable as error:
            self._lost[run.run_id] = reason_of(error)
            if run.run_id not in self._registered:
                raise
            logger.warning("run %s has a version, but its end was not heard: %s", run.run_id, error)

    def _fail(self, run: Run, error: BaseException) -> None:
        reason = reason_of(error)
        try:
            settle(self._client, run.run_id, reason)
        except MlflowException as second:
            self._lost[run.run_id] = reason
            logger.warning("the end of run %s could not be told yet: %s", run.run_id, second)

    def _missing(self, message: str, error: MlflowException) -> SextantError:
        if error.error_code in _ABSENT:
            told = f"{message}; registered are {', '.join(self.names()) or 'none'}"
            return NotFound(told, code="NO_MODEL", remedy=_TRAIN_REMEDY)
        return Unavailable(f"MLflow at {self.uri} does not answer: {error}")


_ABSENT = frozenset({"RESOURCE_DOES_NOT_EXIST", REFUSED})
"""What MLflow says of a version, a name or an alias that it does not know."""
_TRAIN_REMEDY = "Train and promote one first: `sextant train --help`, `sextant models --help`."


def _version(found: Any) -> Version:  # noqa: ANN401 - mlflow publishes no types
    return Version(found.name, str(found.version), found.run_id, dict(found.tags))
