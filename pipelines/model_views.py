"""Registered models as rows for people: what there is, and versions side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.export import read_proofs
from models.gates import Alias
from models.registry import Registry
from models.version import DIGEST_TAG, Account, Version
from online.domain.certificate import (
    Policy,
    Trust,
    failed_gates,
    needed_policy,
    permit,
    read_certificate,
)
from online.domain.errors import ModelRefused, NotFound

COMPARED: Final = (
    "log_loss",
    "served_ece",
    "hit_rate",
    "coverage",
    "n_trades",
    "total_units",
    "mean_units",
    "sharpe_annual",
    "max_drawdown_units",
    "trials",
    "effective_trials",
    "deflated_sharpe",
    "deflated_sharpe_effective",
    "overfitting",
    "search.trials",
    "search.overfitting",
    "coins_beaten",
)
"""Figures of a run, out of fold and after costs, that versions are compared by."""
CARD = "model_card.md"

Row = dict[str, str | float]


def list_models(registry: Registry, trust: Trust) -> list[Row]:
    """Return one row a version of every registered model, newest first."""
    return [
        {
            **_identity(registry, version),
            **_chosen(account := registry.account(version), ("total_units", "trials")),
            **_slipped(account),
            **_granted(registry, version, trust),
        }
        for name in registry.names()
        for version in registry.versions(name)
    ]


def compare_versions(
    registry: Registry, trust: Trust, name: str, versions: Sequence[str] = ()
) -> list[Row]:
    """Return one row a version with the figures they are compared by.

    Parameters
    ----------
    registry, trust
        Where they are, and whose signatures count.
    name
        Of the model.
    versions
        None named means all.

    Raises
    ------
    NotFound
        With code ``NO_MODEL`` or ``UNKNOWN_MODEL``.
    """
    known = [registry.find(name, version) for version in versions] or registry.versions(name)
    if not known:
        raise NotFound(f"no model {name!r} is registered", code="NO_MODEL")
    return [
        {
            **_identity(registry, version),
            **_chosen(account := registry.account(version), COMPARED),
            **_slipped(account),
            **_granted(registry, version, trust),
        }
        for version in known
    ]


def read_card(registry: Registry, name: str, version: str | None = None) -> str:
    """Return a version's model card, Markdown; the newest where none is named."""
    found = registry.latest(name) if version is None else registry.find(name, version)
    return registry.read_text(found, CARD)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a version's certificate proves on this host.

    Parameters
    ----------
    model, version, bundle_sha256
        Of what.
    policy, approver
        The best policy its gates pass, and who approved it; empty where none.
    may_be
        For each alias, "yes" or why not.
    gates
        Table for people.
    """

    model: str
    version: str
    bundle_sha256: str
    policy: str
    approver: str
    may_be: dict[str, str]
    gates: list[dict[str, str]]


def read_proof(registry: Registry, trust: Trust, name: str, version: str | None = None) -> Proof:
    """Return what the certificate of a version proves to those who trust as this host does.

    Raises
    ------
    ModelRefused
        If there is no certificate, or it is not signed by a key that is trusted.
    """
    found = registry.latest(name) if version is None else registry.find(name, version)
    with tempfile.TemporaryDirectory() as scratch:
        bundle = registry.download_bundle(found, Path(scratch) / "bundle")
        files = read_proofs(bundle.folder)
    certificate, approver, may_be = read_certificate(files, trust), "", {}
    for alias in Alias:
        try:
            by = permit(files, name, bundle.digest, needed_policy(alias), trust)
        except ModelRefused as error:
            may_be[str(alias)] = f"{error.code}: {error}"
        else:
            may_be[str(alias)], approver = "yes", approver or by.approver
    return Proof(
        *(name, found.version, bundle.digest, str(certificate.policy or ""), approver, may_be),
        [
            {
                "gate": gate.name,
                "policy": str(gate.policy),
                "measured": "not finite" if gate.measured is None else f"{gate.measured:.6g}",
                "wanted": f"{gate.relation} {gate.threshold:.6g}",
                "verdict": "pass" if gate.holds else "FAIL",
                "note": gate.note,
            }
            for gate in certificate.gates
        ],
    )


def _identity(registry: Registry, version: Version) -> Row:
    aliases = [a for a, v in registry.aliases(version.name).items() if v == version.version]
    return {
        "model": version.name,
        "version": version.version,
        "aliases": ", ".join(sorted(aliases)),
    }


def _granted(registry: Registry, version: Version, trust: Trust) -> Row:
    """Return the aliases that a version's certificate grants, and the gates that refuse the rest.

    The certificate is verified against the digest that was registered; what lies in the bundle is
    compared with that digest when it is fetched to be promoted or served.
    """
    files, digest = registry.read_proofs(version), version.tags.get(DIGEST_TAG, "")
    granted, refused = [], ""
    for alias in Alias:
        try:
            permit(files, version.name, digest, needed_policy(alias), trust)
        except ModelRefused as error:
            refused = error.code
        else:
            granted.append(str(alias))
    if refused == "GATES_FAILED":
        refused = ", ".join(failed_gates(read_certificate(files, trust).gates, Policy.LIVE))
    return {"granted": ", ".join(granted) or "nothing", "refused_by": refused}


def _slipped(account: Account) -> Row:
    """Tell a version judged without slippage, whose figures flatter, from the others."""
    told = account.params.get("slippage", "")
    return {"slippage": told.partition(" on ")[0] or "not charged"}


def _chosen(account: Account, figures: Sequence[str]) -> Row:
    row: Row = {"families": account.params.get("families", "")}
    return row | {name: account.figures[name] for name in figures if name in account.figures}
