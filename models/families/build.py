"""The one place that names every family: configurations in, families out."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from models.families.family import Family
from models.families.forest import ForestConfig, ForestFamily
from models.families.lightgbm import LightgbmConfig, LightgbmFamily
from models.families.logistic import LogisticConfig, LogisticFamily
from models.families.lstm import LstmConfig, LstmFamily
from models.families.rules import RulesConfig, RulesFamily
from models.families.sequence import Device, SequenceConfig
from models.families.tcn import TcnConfig, TcnFamily
from models.families.transformer import TransformerConfig, TransformerFamily
from models.families.xgboost import XgboostConfig, XgboostFamily
from online.domain.errors import InvalidInput, NotFound

FamilyConfig = (
    XgboostConfig
    | LightgbmConfig
    | ForestConfig
    | LogisticConfig
    | RulesConfig
    | LstmConfig
    | TcnConfig
    | TransformerConfig
)
"""Settings of any family; the field ``kind`` tells which."""

FAMILIES: dict[str, FamilyConfig] = {
    config.kind: config
    for config in (
        *(XgboostConfig(), LightgbmConfig(), ForestConfig(), LogisticConfig()),
        *(LstmConfig(), TcnConfig(), TransformerConfig(), RulesConfig()),
    )
}
"""Default configuration of every family that can serve, by kind."""


def build_family(config: FamilyConfig) -> Family:
    """Return the family of a configuration; libraries load when they fit."""
    if isinstance(config, SequenceConfig):
        return build_sequence_family(config)
    match config:
        case XgboostConfig():
            return XgboostFamily(config)
        case LightgbmConfig():
            return LightgbmFamily(config)
        case ForestConfig():
            return ForestFamily(config)
        case LogisticConfig():
            return LogisticFamily(config)
        case RulesConfig():
            return RulesFamily(config)
        case _:
            assert_never(config)


def build_sequence_family(config: LstmConfig | TcnConfig | TransformerConfig) -> Family:
    """Return the family of a configuration that reads windows."""
    match config:
        case LstmConfig():
            return LstmFamily(config)
        case TcnConfig():
            return TcnFamily(config)
        case TransformerConfig():
            return TransformerFamily(config)
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


def on_device(configs: tuple[FamilyConfig, ...], device: Device) -> tuple[FamilyConfig, ...]:
    """Return the configurations with networks on `device`; other families have no use for it."""
    return tuple(
        replace(config, device=device) if isinstance(config, SequenceConfig) else config
        for config in configs
    )


def parse_device(text: str) -> Device:
    """Return the device named `text`.

    Raises
    ------
    InvalidInput
        With code ``UNKNOWN_DEVICE`` if it is neither cpu nor cuda.
    """
    if text == "cpu":
        return "cpu"
    if text == "cuda":
        return "cuda"
    raise InvalidInput(f"unknown device {text!r}: expected cpu or cuda", code="UNKNOWN_DEVICE")


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
