"""Promote a model: its certificate decides which alias may point at it."""

from __future__ import annotations

import logging
import tempfile
import uuid
from dataclasses import dataclass, replace
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_table_artifact

from models.gates import BEATS_CHAMPION, NO_CHAMPION, Alias
from models.registry import Registry
from models.version import GATE_PREFIX, Version
from online.adapters.key_files import read_trust
from online.domain.certificate import Trust
from online.domain.errors import InvalidInput, ModelRefused
from pipelines.certify import approve
from pipelines.home import Home
from pipelines.registries import open_registry

logger = logging.getLogger(__name__)
_NO_CHAMPION_BEFORE = "pass: 0 >= 0"
"""What the gate's tag said of it before it said so in words."""


@dataclass(frozen=True, slots=True)
class PromoteReport:
    """What a promotion did.

    Parameters
    ----------
    name, version
        What the alias points at now.
    alias
        Which alias was moved.
    before
        Version it pointed at before; None if it was new.
    bundle, bundle_sha256
        Folder the verified bundle lies in, and its digest.
    headline
        One plain sentence.
    gates
        Table for people: gate and verdict.
    """

    name: str
    version: str
    alias: str
    before: str | None
    bundle: str
    bundle_sha256: str
    headline: str
    gates: list[dict[str, str]]


@flow(name="promote", validate_parameters=True)
def promote(
    home_root: Path | str,
    name: str,
    version: str | None = None,
    alias: str | None = None,
    mlflow_uri: str | None = None,
    approver: str | None = None,
    key_file: Path | str | None = None,
) -> PromoteReport:
    """Move an alias to a version, if its certificate allows it.

    Parameters
    ----------
    home_root
        Runtime folder (see `pipelines.home.Home`).
    name
        Registered name, ``<symbol>.<timeframe>.<target>``.
    version
        None for the newest.
    alias
        ``champion``, ``challenger`` or ``paper``; None for the best the certificate allows.
    mlflow_uri
        A server's or a ``sqlite:///`` URI; None for that of ``MLFLOW_TRACKING_URI``, else the
        home's own database.
    approver
        Who lets it trade real money, by signing first; None where nobody does.
    key_file
        The approver's private key; None for one in the home, made on first use.

    Raises
    ------
    NotFound
        If there is no such model or version.
    ModelRefused
        With code ``GATES_FAILED``, ``NOT_APPROVED`` or one of the certificate's, if the version
        may not carry the alias.
    """
    home = Home(Path(home_root))
    registry = open_registry(home, mlflow_uri)
    if approver is not None:
        key = None if key_file is None else Path(key_file)
        sign_approval(home, registry, find_version(registry, name, version), approver, key)
    report = run_promote(home, registry, name, version, alias)
    create_table_artifact(
        report.gates,
        key=f"promote-{name}".replace(".", "-").replace("_", "-").lower(),
        description=report.headline,
    )
    return report


@flow(name="rollback", validate_parameters=True)
def rollback(
    home_root: Path | str, name: str, alias: str, mlflow_uri: str | None = None
) -> PromoteReport:
    """Move an alias back to the version it pointed at before; parameters as of `promote`.

    Raises
    ------
    NotFound
        With code ``NO_PREVIOUS_VERSION`` if there is none.
    """
    home = Home(Path(home_root))
    registry, wanted = open_registry(home, mlflow_uri), parse_alias(alias)
    current = registry.resolve(name, wanted).version
    return _report(
        home, registry, registry.rollback(name, wanted, read_trust(home.trusted)), wanted, current
    )


def run_promote(
    home: Home, registry: Registry, name: str, version: str | None, alias: str | None
) -> PromoteReport:
    """Do what the flow does, without Prefect; parameters as of `promote`."""
    found, trust = find_version(registry, name, version), read_trust(home.trusted)
    wanted = parse_alias(alias) if alias is not None else best_alias(registry, found, trust)
    before = registry.aliases(name).get(str(wanted))
    moved = registry.promote(name, found.version, wanted, trust)
    report = _report(home, registry, moved, wanted, before)
    if wanted is Alias.CHAMPION and before not in {None, moved.version} and _met_none(moved):
        told = f"{report.headline}; it was judged when there was {NO_CHAMPION}, not beside {before}"
        logger.warning(told)
        return replace(report, headline=told)
    return report


def find_version(registry: Registry, name: str, version: str | None) -> Version:
    """Return a version of a model; the newest where none is named."""
    return registry.latest(name) if version is None else registry.find(name, version)


def best_alias(registry: Registry, version: Version, trust: Trust) -> Alias:
    """Return ``champion`` where the version is certified and approved for it, else ``paper``."""
    try:
        registry.check(version, Alias.CHAMPION, trust)
    except ModelRefused:
        return Alias.PAPER
    return Alias.CHAMPION


def sign_approval(
    home: Home, registry: Registry, version: Version, approver: str, key_file: Path | None = None
) -> None:
    """Sign a version as `approver` and keep the approval beside its bundle; see `approve`."""
    with tempfile.TemporaryDirectory() as scratch:
        bundle = registry.download_bundle(version, Path(scratch) / "bundle")
        registry.attach(version, approve(home, version.name, bundle, approver, key_file))
    logger.info("%s version %s is approved by %s", version.name, version.version, approver)


def parse_alias(text: str) -> Alias:
    """Return the alias named `text`.

    Raises
    ------
    InvalidInput
        With code ``UNKNOWN_ALIAS`` and the names that exist.
    """
    try:
        return Alias(text)
    except ValueError:
        raise InvalidInput(
            f"unknown alias {text!r}: expected one of {', '.join(Alias)}", code="UNKNOWN_ALIAS"
        ) from None


def gate_table(version: Version) -> list[dict[str, str]]:
    """Return the gates that a version's tags show."""
    return [
        {"gate": tag.removeprefix(GATE_PREFIX), "verdict": text}
        for tag, text in sorted(version.tags.items())
        if tag.startswith(GATE_PREFIX)
    ]


def _met_none(version: Version) -> bool:
    """Tell whether a version's gates were asked when there was no champion, as its tags show."""
    told = version.tags.get(f"{GATE_PREFIX}{BEATS_CHAMPION}", "")
    return NO_CHAMPION in told or told == _NO_CHAMPION_BEFORE


def _report(
    home: Home, registry: Registry, version: Version, alias: Alias, before: str | None
) -> PromoteReport:
    """Fetch what the alias points at now, verified, and tell of it."""
    folder = home.promoted / version.name / version.version
    bundle = registry.download_bundle(version, folder)
    _point(folder, alias)
    headline = f"{alias} of {version.name} is version {version.version}"
    if alias is not Alias.CHAMPION and version.best_alias is Alias.PAPER:
        headline += ", a model for paper trading alone: it did not pass the gates of live"
    logger.info(headline)
    return PromoteReport(
        name=version.name,
        version=version.version,
        alias=str(alias),
        before=before,
        bundle=str(bundle.folder),
        bundle_sha256=bundle.digest,
        headline=headline,
        gates=gate_table(version),
    )


def _point(folder: Path, alias: Alias) -> None:
    """Let the alias beside a version's folder be a link to it: a scorer without MLflow reads that.

    Where links cannot be made, as on Windows without the right to, a warning says so.
    """
    fresh = folder.parent / f".{alias}.{uuid.uuid4().hex}.new"  # others promote at the same time
    try:
        fresh.symlink_to(folder.name, target_is_directory=True)
        fresh.replace(folder.parent / alias)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        logger.warning("%s is not linked to %s: %s", folder.parent / alias, folder.name, error)
