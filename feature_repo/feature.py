"""A feature: one entry of the catalogue."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from feature_repo.nodes import Node
from online.domain.errors import InvalidInput

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Group(StrEnum):
    """What a feature is about; one Feast view holds a group of one timeframe."""

    RETURNS = "returns"
    TREND = "trend"
    MOMENTUM = "momentum"
    VOLATILITY = "volatility"
    CANDLE = "candle"
    VOLUME = "volume"
    REGIME = "regime"
    SESSION = "session"


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
    def memory_bars(self) -> int:
        """Warm-up: leading bars without a value, and no more."""
        return self.expression.memory_bars

    @property
    def formula(self) -> str:
        """The canonical formula; equal formulas give equal bits."""
        return self.expression.text
