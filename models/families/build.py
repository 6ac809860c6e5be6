"""The one place that names every family: configurations in, families out."""

from __future__ import annotations

from typing import assert_never

from models.families.family import Family
from models.families.forest import ForestConfig, ForestFamily
from models.families.lightgbm import LightgbmConfig, LightgbmFamily
from models.families.logistic import LogisticConfig, LogisticFamily
from models.families.xgboost import XgboostConfig, XgboostFamily
from online.domain.errors import NotFound

FamilyConfig = XgboostConfig | LightgbmConfig | ForestConfig | LogisticConfig
"""Settings of any family; the field ``kind`` tells which."""

FAMILIES: dict[str, FamilyConfig] = {
    config.kind: config
    for config in (XgboostConfig(), LightgbmConfig(), ForestConfig(), LogisticConfig())
}
"""Default configuration of every family that can serve, by kind."""


def build_family(config: FamilyConfig) -> Family:
    """Return the family of a configuration; libraries load when they fit."""
    match config:
        case XgboostConfig():
            return XgboostFamily(config)
        case LightgbmConfig():
            return LightgbmFamily(config)
        case ForestConfig():
            return ForestFamily(config)
        case LogisticConfig():
            return LogisticFamily(config)
        case _:
            assert_never(config)


def parse_families(text: str) -> tuple[FamilyConfig, ...]:
    """Return the default configurations of the families named in `text`, comma between them.

    Raises
    ------
    NotFound
        With code ``UNKNOWN_FAMILY`` and the names that exist.
    """
    return tuple(parse_family(name.strip()) for name in text.split(","))


def parse_family(text: str) -> FamilyConfig:
    """Return the default configuration of the family named `text`.

    Raises
    ------
    NotFound
        With code ``UNKNOWN_FAMILY`` and the names that exist.
    """
    try:
        return FAMILIES[text]
    except KeyError:
        raise NotFound(
            f"unknown family {text!r}: expected one of {', '.join(sorted(FAMILIES))}",
            code="UNKNOWN_FAMILY",
        ) from None
