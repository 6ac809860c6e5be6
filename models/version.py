"""A registered version of a model, and the tags it carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.gates import Alias

TRIAL_TAG, DIGEST_TAG, BEST_ALIAS_TAG = "trial", "bundle_sha256", "best_alias"
UNDER_WAY_TAG = "trial_under_way"
"""What a run tries, told before its figures are there."""
GATE_PREFIX = "gate."
PREVIOUS_PREFIX = "previous."


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version of a model.

    Parameters
    ----------
    name
        ``<symbol>.<timeframe>.<target>``.
    version
        As MLflow counts.
    run_id
        The run that made it.
    tags
        Digest, best alias and gates.
    """

    name: str
    version: str
    run_id: str
    tags: Mapping[str, str]

    @property
    def best_alias(self) -> Alias | None:
        """The best alias its gates allowed."""
        found = self.tags.get(BEST_ALIAS_TAG, "")
        return Alias(found) if found in set(Alias) else None


@dataclass(frozen=True, slots=True)
class Account:
    """What the run behind a version chose and measured.

    Parameters
    ----------
    params, figures
        By name.
    """

    params: Mapping[str, str]
    figures: Mapping[str, float]
