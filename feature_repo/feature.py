"""A feature: one entry of the catalogue, of own bars, of longer ones, or across symbols."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from feature_repo.nodes import Node
from online.domain.errors import InvalidInput
from online.domain.market import Timeframe

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Group(StrEnum):
    """What a feature is about; one Feast view holds a group of one timeframe."""

    RETURNS = "returns"
    TREND = "trend"
    MOMENTUM = "momentum"
    VOLATILITY = "volatility"
    CANDLE = "candle"
    VOLUME = "volume"
    MICROSTRUCTURE = "microstructure"
    REGIME = "regime"
    SESSION = "session"
    HIGHER = "higher"
    CROSS = "cross"


class Role(StrEnum):
    """What a feature across symbols is about."""

    BASE = "base"
    QUOTE = "quote"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True)
class Feature:
    """A named number known at a bar's close, stored as float32.

    Parameters
    ----------
    name
        Lower case, unique in the catalogue.
    meaning
        One sentence, with the unit or range.
    source
        Where the formula comes from.
    expression
        The formula, evaluated in batch and live.
    group
        Its view.
    version
        Raised by one when the meaning or the formula changes (>= 1).
    maximum_age_bars
        Age, in bars, above which a value must not be used (>= 1).
    """

    name: str
    meaning: str
    source: str
    expression: Node
    group: Group
    version: int = 1
    maximum_age_bars: int = 1

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidInput(f"a feature's name is like rsi_14, got {self.name!r}")
        if self.version < 1 or self.maximum_age_bars < 1:
            raise InvalidInput(
                f"feature {self.name} needs version and maximum_age_bars of at least 1, got "
                f"{self.version} and {self.maximum_age_bars}"
            )

    @property
    def inputs(self) -> frozenset[str]:
        """Columns of the bars it reads."""
        return self.expression.sources

    @property
    def scope(self) -> str:
        """What it is computed from, for people."""
        return "own bars"

    @property
    def memory_bars(self) -> int:
        """Warm-up: leading bars without a value, and no more."""
        return self.expression.memory_bars

    @property
    def formula(self) -> str:
        """The canonical formula; equal formulas give equal bits."""
        return self.expression.text


@dataclass(frozen=True, slots=True)
class HigherFeature(Feature):
    """A feature of longer bars, seen from shorter ones from the bar after their close on.

    Parameters
    ----------
    timeframe
        Of the longer bars; `expression`, `inputs` and `memory_bars` are theirs.
    """

    timeframe: Timeframe = field(kw_only=True)

    @property
    def scope(self) -> str:
        """What it is computed from, for people."""
        return f"{self.timeframe.value} bars"

    @property
    def formula(self) -> str:
        """The canonical formula and the bars it is evaluated on."""
        return f"{self.timeframe.value}: {self.expression.text}"


@dataclass(frozen=True, slots=True)
class CrossFeature(Feature):
    """A feature across symbols; `expression` is evaluated on joint bars (`feature_repo.cross`).

    Parameters
    ----------
    role
        Whether it speaks of the base or quote currency's strength or of the reference symbol.
    """

    role: Role = field(kw_only=True)

    @property
    def scope(self) -> str:
        """What it is computed from, for people."""
        return "peers' bars"

    @property
    def formula(self) -> str:
        """The canonical formula over joint bars: open is own and close is other."""
        return f"{self.role.value}: {self.expression.text}"
