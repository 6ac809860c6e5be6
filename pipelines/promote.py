"""Promote a model: its gates decide which alias may point at it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_table_artifact

from models.gates import Alias
from models.registry import Registry
from models.version import GATE_PREFIX, Version
from online.domain.errors import InvalidInput, ModelRefused
from pipelines.home import Home
from pipelines.training import open_registry

logger = logging.getLogger(__name__)


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
) -> PromoteReport:
    """Move an alias to a version, if its gates allow it.

    Parameters
    ----------
    home_root
        Runtime folder (see `pipelines.home.Home`).
    name
        Registered name, ``<symbol>.<timeframe>.<target>``.
    version
        None for the newest.
    alias
        ``champion``, ``challenger`` or ``paper``; None for the best the gates allow.
    mlflow_uri
        A server's or a ``sqlite:///`` URI; None for that of ``MLFLOW_TRACKING_URI``, else the
        home's own database.

    Raises
    ------
    NotFound
        If there is no such model or version.
    ModelRefused
        With code ``GATES_FAILED`` if the gates do not allow the alias.
    """
    home = Home(Path(home_root))
    report = run_promote(home, open_registry(home, mlflow_uri), name, version, alias)
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
    return _report(home, registry, registry.rollback(name, wanted), wanted, current)


def run_promote(
    home: Home, registry: Registry, name: str, version: str | None, alias: str | None
) -> PromoteReport:
    """Do what the flow does, without Prefect; parameters as of `promote`."""
    found = registry.latest(name) if version is None else registry.find(name, version)
    wanted = found.best_alias if alias is None else parse_alias(alias)
    if wanted is None:
        failed = [f"{row['gate']}: {row['verdict']}" for row in gate_table(found)]
        raise ModelRefused(
            f"version {found.version} of {name} passes no policy: {'; '.join(failed)}",
            code="GATES_FAILED",
            remedy="Read the gates; a model that fails them is not promoted.",
        )
    before = registry.aliases(name).get(str(wanted))
    return _report(home, registry, registry.promote(name, found.version, wanted), wanted, before)


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


def _report(
    home: Home, registry: Registry, version: Version, alias: Alias, before: str | None
) -> PromoteReport:
    """Fetch what the alias points at now, verified, and tell of it."""
    folder = home.bundles / "promoted" / version.name / version.version
    bundle = registry.download_bundle(version, folder)
    headline = f"{alias} of {version.name} is version {version.version}"
    if version.best_alias is Alias.PAPER:
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
