"""The one place that names every family: configurations in, families out."""

from __future__ import annotations

from typing import assert_never

from models.families.family import Family
from models.families.xgboost import XgboostConfig, XgboostFamily
from online.domain.errors import NotFound

FamilyConfig = XgboostConfig
"""Discriminated by `kind`; becomes a union with the second family."""


FAMILIES: dict[str, FamilyConfig] = {"xgboost": XgboostConfig()}
"""Default configuration of every family that can serve, by kind."""


def build_family(config: FamilyConfig) -> Family:
    """Return the family of a configuration: libraries load when they fit."""
    match config:
        case XgboostConfig():
            return XgboostFamily(config)
        case _:
            assert_never(config)


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
