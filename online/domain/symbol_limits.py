"""Limits of one symbol: a point, a lot and a usual spread are of another size on each market."""

from __future__ import annotations

import math

import msgspec

from online.domain.errors import InvalidSettings


class SymbolLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one symbol has of its own, in `[limits.symbols.SYMBOL]`; null is what holds for all.

    Each field is the one of that name of `online.domain.limits.Limits`.
    """

    max_volume_lots: float | None = None
    max_notional: float | None = None
    max_symbol_notional: float | None = None
    max_spread_points: float | None = None
    max_spread_ratio: float | None = None
    price_collar_points: float | None = None
    price_collar_units: float | None = None
    max_quote_age_milliseconds: int | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None:
                check_bound(name, value)


class SymbolBounds(msgspec.Struct, frozen=True, gc=False):
    """The limits in force for one symbol, its own laid over those that hold for all."""

    max_volume_lots: float
    max_notional: float
    max_symbol_notional: float
    max_spread_points: float
    max_spread_ratio: float
    price_collar_points: float
    price_collar_units: float
    max_quote_age_milliseconds: int


def check_bound(name: str, value: float) -> None:
    """Refuse a limit that limits nothing.

    Raises
    ------
    InvalidSettings
        If it is not a number above 0, or above what any market needs.
    """
    top = UPPER_BOUNDS[name]
    if not (math.isfinite(value) and 0 < value <= top):
        raise InvalidSettings(f"limit {name} must be above 0 and at most {top}: {value}")


UPPER_BOUNDS: dict[str, float] = {
    "max_volume_lots": 1e6,
    "max_notional": 1e12,
    "max_symbol_notional": 1e12,
    "max_spread_points": 1e6,
    "max_spread_ratio": 1e4,
    "price_collar_points": 1e6,
    "price_collar_units": 1e4,
    "max_quote_age_milliseconds": 86_400_000,
}
"""The greatest value of each limit that a symbol may have of its own."""
