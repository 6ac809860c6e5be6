"""Registered models as rows for people: what there is, and versions side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from models.registry import Registry
from models.version import Version
from online.domain.errors import NotFound

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
    "deflated_sharpe",
    "overfitting",
    "coins_beaten",
)
"""Figures of a run, out of fold and after costs, that versions are compared by."""
CARD = "model_card.md"

Row = dict[str, str | float]


def list_models(registry: Registry) -> list[Row]:
    """Return one row a version of every registered model, newest first."""
    return [
        {**_identity(registry, version), **_chosen(registry, version, ("total_units", "trials"))}
        for name in registry.names()
        for version in registry.versions(name)
    ]


def compare_versions(registry: Registry, name: str, versions: Sequence[str] = ()) -> list[Row]:
    """Return one row a version with the figures they are compared by.

    Parameters
    ----------
    registry
        Where they are.
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
    rows = []
    for version in known:
        failed = [tag for tag, text in version.tags.items() if text.startswith("FAIL")]
        rows.append(
            {
                **_identity(registry, version),
                **_chosen(registry, version, COMPARED),
                "gates_failed": ", ".join(sorted(tag.removeprefix("gate.") for tag in failed)),
            }
        )
    return rows


def read_card(registry: Registry, name: str, version: str | None = None) -> str:
    """Return a version's model card, Markdown; the newest where none is named."""
    found = registry.latest(name) if version is None else registry.find(name, version)
    return registry.read_text(found, CARD)


def _identity(registry: Registry, version: Version) -> Row:
    aliases = [a for a, v in registry.aliases(version.name).items() if v == version.version]
    return {
        "model": version.name,
        "version": version.version,
        "aliases": ", ".join(sorted(aliases)),
        "may_be": str(version.best_alias or "nothing"),
    }


def _chosen(registry: Registry, version: Version, figures: Sequence[str]) -> Row:
    account = registry.account(version)
    row: Row = {"families": account.params.get("families", "")}
    return row | {name: account.figures[name] for name in figures if name in account.figures}
