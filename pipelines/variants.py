"""Variants of a model that are no model: another threshold or barrier, and a coin."""

from __future__ import annotations

import random
from dataclasses import dataclass

import msgspec

from online.domain.manifest import Manifest, Member
from online.domain.signal import Calibration, MemberOutput, Probabilities
from online.ports import Model

_COIN = "coin"
_SHORT: Probabilities = (0.5, 0.2, 0.3)
_NOTHING: Probabilities = (0.4, 0.2, 0.4)
_LONG: Probabilities = (0.3, 0.2, 0.5)


@dataclass(frozen=True, slots=True)
class Variant:
    """A model under another manifest: it scores as before and trades otherwise.

    Parameters
    ----------
    model
        Who scores.
    manifest
        Its own, with what is varied.
    """

    model: Model
    manifest: Manifest

    @property
    def sha256(self) -> str:
        """The model's digest."""
        return self.model.sha256

    @property
    def alias(self) -> str:
        """The model's alias."""
        return self.model.alias

    def score(
        self, values: tuple[float, ...], window: bytes | None = None
    ) -> tuple[MemberOutput, ...]:
        """Return what the model says."""
        return self.model.score(values, window)


def with_min_edge(model: Model, factor: float) -> Variant:
    """Return the model with its threshold multiplied, at most 1."""
    edge = min(model.manifest.min_edge * factor, 1.0)
    return Variant(model, msgspec.structs.replace(model.manifest, min_edge=edge))


def with_barriers(model: Model, factor: float) -> Variant:
    """Return the model with stop and target multiplied: no longer the label it learnt."""
    rule = model.manifest.barriers
    wider = msgspec.structs.replace(
        rule, stop_units=rule.stop_units * factor, target_units=rule.target_units * factor
    )
    return Variant(model, msgspec.structs.replace(model.manifest, barriers=wider))


class CoinModel:
    """Enters as often as a model did, by a seeded coin; same vector, barriers and costs.

    Parameters
    ----------
    manifest
        The model's.
    entries_per_bar
        Share of decisions without a position that entered, in [0, 1].
    seed
        Of the coin.
    """

    sha256 = "0" * 64
    alias = "paper"

    def __init__(self, manifest: Manifest, entries_per_bar: float, seed: int) -> None:
        member = Member(_COIN, _COIN, f"{_COIN}.none", "0" * 64, 1.0, Calibration())
        self.manifest = msgspec.structs.replace(manifest, members=(member,), min_edge=0.1)
        self._entries_per_bar = entries_per_bar
        self._random = random.Random(seed)  # noqa: S311 - a coin for a benchmark, no secret

    def score(
        self,
        values: tuple[float, ...],  # noqa: ARG002 - the port's
        window: bytes | None = None,  # noqa: ARG002 - the port's
    ) -> tuple[MemberOutput, ...]:
        """Return what the coin says."""
        said = _NOTHING
        if self._random.random() < self._entries_per_bar:
            said = _LONG if self._random.random() < 0.5 else _SHORT  # noqa: PLR2004 - a fair coin
        return (MemberOutput(_COIN, said),)
