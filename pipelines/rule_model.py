"""The rule baseline as a model that the trading code can run beside a trained one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import msgspec

from online.domain.manifest import Manifest, Member
from online.domain.rules import vote
from online.domain.signal import Calibration, MemberOutput

_NAME = "rules"


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
        ``paper``: rules are never promoted.
    """

    manifest: Manifest
    sha256: str = "0" * 64
    alias: str = "paper"

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
