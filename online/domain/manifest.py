"""The manifest: everything a scorer must know of a model, as data inside its bundle."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Literal

import msgspec

from online.domain.barriers import BarrierRule
from online.domain.errors import InvalidManifest
from online.domain.market import PriceSide, Timeframe
from online.domain.signal import Calibration, Mixture
from online.domain.validators import Validators
from online.domain.vector import VectorContract

MANIFEST_SCHEMA = 1
Reads = Literal["vector", "window"]
"""What a member scores: the bar's vector, or the window that ends with it."""


_VECTOR: Reads = "vector"


class Member(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model of the ensemble.

    Parameters
    ----------
    name
        Unique in the bundle.
    family
        What it is, for example ``xgboost``.
    file
        ONNX file beside the manifest: input float32 ``(n, n_features)``, for a window ``(n,
        length, n_features)``; output probabilities float32 ``(n, 3)`` of short, neither, long.
    sha256
        Of the file, hexadecimal.
    weight
        In the ensemble (> 0).
    calibration
        Applied to its raw output.
    reads
        What its input is.
    """

    name: str
    family: str
    file: str
    sha256: str
    weight: float
    calibration: Calibration
    reads: Reads = _VECTOR

    def __post_init__(self) -> None:
        if self.reads == _VECTOR:  # msgspec leaves out what is the default, not what equals it
            msgspec.structs.force_setattr(self, "reads", _VECTOR)
        if not (math.isfinite(self.weight) and self.weight > 0.0):
            raise InvalidManifest(f"member {self.name!r} needs weight > 0, got {self.weight}")
        if "/" in self.file or "\\" in self.file or self.file.startswith("."):
            raise InvalidManifest(f"member {self.name!r} needs a plain file name: {self.file!r}")


class Training(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the model was fitted on.

    Parameters
    ----------
    started_at_ns, ended_at_ns
        First and last bar whose label was used, nanoseconds UTC; no label reaches beyond
        `ended_at_ns`.
    n_bars
        Rows fitted.
    data_digest
        SHA-256 of the bars and features used.
    code_version
        Version of Sextant, with the commit where it is known.
    seed
        Of every random choice.
    n_trials
        Configurations tried before this one, itself included (>= 1).
    horizon_ns, embargo_ns
        Longest span of a label, and the distance its folds kept, nanoseconds; 0 where older
        manifests do not tell.
    """

    started_at_ns: int
    ended_at_ns: int
    n_bars: int
    data_digest: str
    code_version: str
    seed: int
    n_trials: int
    horizon_ns: int = 0
    embargo_ns: int = 0


class Manifest(msgspec.Struct, frozen=True, dict=True, omit_defaults=True):
    """A model's contract with the scorer.

    Parameters
    ----------
    schema
        Version of this layout (`MANIFEST_SCHEMA`).
    symbol, timeframe, target
        What is predicted; the registered name is ``<symbol>.<timeframe>.<target>``.
    vector
        The ordered features and the views that serve them.
    transform_fingerprint
        SHA-256 of the catalogue entries behind `vector`.
    barriers
        The label, which is the exit.
    price_side, assumed_spread_points
        Side of the training bars and the spread assumed on them; None where it was recorded.
    members
        The ensemble, at least one.
    min_edge
        Least edge that is traded, fitted out of fold, in [0, 1].
    training
        Window, data, code, seed.
    validators
        What may refuse its signals; None for nothing.
    degrades
        Whether it may serve without a member that fails, by the others' weights.
    is_tradable
        Whether its classes are the directions of a trade; what is not is never served.
    spread_source
        Where the spread comes from, in words; empty where older manifests do not tell.
    swap_told
        What a night cost in the results it was judged by, in words; empty where no night did.
    slippage_told
        What slippage cost in those results, in words; empty where it was not charged.
    """

    schema: int
    symbol: str
    timeframe: Timeframe
    target: str
    vector: VectorContract
    transform_fingerprint: str
    barriers: BarrierRule
    price_side: PriceSide
    assumed_spread_points: float | None
    members: tuple[Member, ...]
    min_edge: float
    training: Training
    validators: Validators | None = None
    degrades: bool = False
    is_tradable: bool = True
    spread_source: str = ""
    swap_told: str = ""
    slippage_told: str = ""

    def __post_init__(self) -> None:
        if self.schema != MANIFEST_SCHEMA:
            raise InvalidManifest(
                f"manifest schema {self.schema} is not {MANIFEST_SCHEMA}, the one read here"
            )
        if not self.members:
            raise InvalidManifest("a manifest needs at least one member")
        if len({m.name for m in self.members}) != len(self.members):
            raise InvalidManifest("the members of a manifest need distinct names")
        if not (math.isfinite(self.min_edge) and 0.0 <= self.min_edge <= 1.0):
            raise InvalidManifest(f"min_edge must be within [0, 1], got {self.min_edge}")
        if self.barriers.timeframe is not self.timeframe:
            raise InvalidManifest("the barriers' timeframe must be the model's")
        self.vector.index(self.barriers.unit_feature)
        if self.validators is not None:
            self.validators.check(self.vector)
        lost = [m.name for m in self.members if m.reads == "window"]
        if lost and self.vector.window is None:
            raise InvalidManifest(f"members {', '.join(lost)} read a window, the vector has none")

    @cached_property
    def mixture(self) -> Mixture:
        """Of the members, in order."""
        members = self.members
        return Mixture(tuple(m.calibration for m in members), tuple(m.weight for m in members))

    @cached_property
    def unit_place(self) -> int:
        """Place in the vector of the barriers' unit."""
        return self.vector.index(self.barriers.unit_feature)

    @cached_property
    def name(self) -> str:
        """Registered name, ``<symbol>.<timeframe>.<target>``."""
        return f"{self.symbol}.{self.timeframe}.{self.target}"


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the manifest's canonical JSON bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1)


def decode_manifest(raw: bytes) -> Manifest:
    """Return the manifest in `raw`.

    Raises
    ------
    InvalidManifest
        If it is not JSON, lacks a field, or contradicts itself.
    """
    try:
        return msgspec.json.decode(raw, type=Manifest)
    except msgspec.DecodeError as error:
        raise InvalidManifest(f"manifest cannot be read: {error}") from error
