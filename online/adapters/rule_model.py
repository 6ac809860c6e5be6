"""The rule baseline as a model: beside a trained one, or where none can be loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from online.adapters.onnx_model import Verification
from online.domain.errors import InvalidManifest, SextantError
from online.domain.manifest import Manifest, Member, decode_manifest
from online.domain.rules import RULE_FEATURES, vote
from online.domain.signal import Calibration, MemberOutput

_NAME = "rules"
_NOTHING = Verification(bit_equal=True, greatest_difference=0.0, n_golden=0, runtime="rules")


@dataclass(frozen=True, slots=True)
class RuleModel:
    """Trades whenever the rules say something; same vector, barriers and costs as the model.

    Parameters
    ----------
    manifest
        A trained model's, with the rules in place of its members.
    sha256
        All zeros: there is no bundle.
    alias
        ``rules``: they are never promoted, and never send a live order.
    version
        As a registry would call it.
    verification
        There is nothing to verify: the rules are code.
    """

    manifest: Manifest
    sha256: str = "0" * 64
    alias: str = _NAME
    version: str = _NAME
    verification: Verification = _NOTHING

    @classmethod
    def like(cls, manifest: Manifest) -> Self:
        """Return the rules over the vector and barriers of a trained model."""
        member = Member(_NAME, _NAME, f"{_NAME}.none", "0" * 64, 1.0, Calibration())
        return cls(
            msgspec.structs.replace(manifest, members=(member,), min_edge=0.0, validators=None)
        )

    def score(
        self,
        values: tuple[float, ...],
        window: bytes | None = None,  # noqa: ARG002 - the port's; rules look at one bar
    ) -> tuple[MemberOutput, ...]:
        """Return the rules' vote."""
        return (MemberOutput(_NAME, vote(values, self.manifest.vector)),)


def read_rules(path: Path) -> RuleModel:
    """Return the rules over the vector and barriers that a file holds, as training writes it.

    Raises
    ------
    InvalidManifest
        If it cannot be read, or its vector lacks what the rules look at.
    """
    try:
        model = RuleModel.like(decode_manifest(path.read_bytes()))
        for name in RULE_FEATURES:
            model.manifest.vector.index(name)
    except (OSError, SextantError) as error:
        raise InvalidManifest(f"the rules of {path} cannot be used: {error}") from error
    return model
