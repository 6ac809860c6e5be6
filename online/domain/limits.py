"""Limits: what the risk rules measure against. Whoever trades states them all."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import msgspec

from online.domain.errors import InvalidSettings
from online.domain.market import Instrument
from online.domain.news import Impact
from online.domain.symbol_limits import SymbolBounds, SymbolLimits, check_bound

if TYPE_CHECKING:
    from online.domain.calm import Calm

_WEEK_HOURS = 168.0
EVERY_MODEL = "*"


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The limits in force. None has a default: who trades states them all.

    What is of another size on each market (points, lots, values) holds for every symbol that has
    none of its own in `symbols`.

    Parameters
    ----------
    allowed_symbols
        Symbols that may be traded.
    allowed_models
        Registered names that may trade, `*` for every one; `NAME@DIGITS` allows only the bundle
        whose SHA-256 begins so.
    risk_per_trade_fraction
        Share of equity lost when the stop is hit at its price, commission and slippage as declared
        included, in (0, 0.1].
    max_volume_lots
        Largest order (> 0).
    max_notional
        Largest order's value in the account's currency (> 0).
    max_symbol_notional
        Largest sum over a symbol's positions, orders under way and the order (> 0).
    max_currency_notional
        Largest net exposure to one currency that is not the account's, whichever of the orders
        under way fill (> 0).
    max_gross_notional
        Largest sum over positions, orders under way and the order, account currency (> 0).
    min_margin_level_percent
        Least equity over margin once the order and those under way have filled (> 0).
    max_spread_points
        Widest spread at which an entry is sent (> 0).
    max_spread_ratio
        Widest spread as a multiple of the instrument's typical one (> 0).
    price_collar_points
        Farthest an order's price may lie from the quote of its side, points (> 0).
    price_collar_units
        Farthest the market may have moved since the last price on record, in the barriers' unit
        (> 0).
    max_quote_age_milliseconds
        Oldest quote on which an entry is decided (> 0).
    max_rate_age_milliseconds
        Oldest quote of a conversion pair that values anything (> 0).
    max_clock_skew_milliseconds
        Farthest the broker's clock may be from the scorer's when both are read (> 0).
    max_signal_age_seconds
        Oldest bar, by its close, on whose signal an entry is made (> 0).
    max_daily_loss_fraction
        Loss of equity since the UTC day's first decision that stops entries, in (0, 1].
    max_drawdown_fraction
        Fall of equity from its peak that stops entries until resumed, in (0, 1].
    max_consecutive_losses
        Losing trades in a row that stop entries until resumed (>= 1).
    max_orders_per_window, order_window_seconds
        Rate of entries (>= 1, > 0).
    max_closes_per_window
        Closes within the same window; entries never use them up (>= 1).
    max_repeats_per_window, repeat_window_seconds
        Entries of one symbol and side that filled, or still may (>= 1, > 0).
    duplicate_window_seconds
        Time within which the same symbol, side and volume is taken for the same order (> 0).
    no_entry_before_weekend_hours
        No entry so long before the week's close; 0 for none, below 168.
    flatten_before_weekend_hours
        Positions are closed so long before the week's close; 0 keeps them, below 168.
    news_impact
        Least impact of an event of the news calendar that stops entries: low, medium or high.
    symbols
        What a symbol has of its own, by symbol; none where it is not said.
    """

    allowed_symbols: tuple[str, ...]
    allowed_models: tuple[str, ...]
    risk_per_trade_fraction: float
    max_volume_lots: float
    max_notional: float
    max_symbol_notional: float
    max_currency_notional: float
    max_gross_notional: float
    min_margin_level_percent: float
    max_spread_points: float
    max_spread_ratio: float
    price_collar_points: float
    price_collar_units: float
    max_quote_age_milliseconds: int
    max_rate_age_milliseconds: int
    max_clock_skew_milliseconds: int
    max_signal_age_seconds: int
    max_daily_loss_fraction: float
    max_drawdown_fraction: float
    max_consecutive_losses: int
    max_orders_per_window: int
    order_window_seconds: int
    max_closes_per_window: int
    max_repeats_per_window: int
    repeat_window_seconds: int
    duplicate_window_seconds: int
    no_entry_before_weekend_hours: float
    flatten_before_weekend_hours: float
    news_impact: Impact
    symbols: dict[str, SymbolLimits] = {}

    def __post_init__(self) -> None:
        for name in ("allowed_symbols", "allowed_models"):
            listed = getattr(self, name)
            if not listed or not all(listed):
                raise InvalidSettings(f"limit {name} needs at least one entry, none empty")
        for name, top in _UPPER_BOUNDS.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 < value <= top):
                raise InvalidSettings(f"limit {name} must be above 0 and at most {top}: {value}")
        for name in ("no_entry_before_weekend_hours", "flatten_before_weekend_hours"):
            hours = getattr(self, name)
            if not 0.0 <= hours < _WEEK_HOURS:
                raise InvalidSettings(f"limit {name} must be 0 or more and below 168: {hours}")
        for name in SymbolLimits.__struct_fields__:
            check_bound(name, getattr(self, name))

    def of(self, symbol: str) -> SymbolBounds:
        """Return what is in force for one symbol: its own, and else what holds for all."""
        return self._own.get(symbol) or self._shared

    @cached_property
    def _shared(self) -> SymbolBounds:
        names = SymbolBounds.__struct_fields__
        return SymbolBounds(**{name: getattr(self, name) for name in names})

    @cached_property
    def _own(self) -> dict[str, SymbolBounds]:
        return {
            symbol: msgspec.structs.replace(self._shared, **_stated(own))
            for symbol, own in self.symbols.items()
        }

    @cached_property
    def calm(self) -> dict[str, Calm]:
        """What these limits, and no others, mean for a symbol; kept by `online.domain.calm`."""
        return {}

    def by_name(self) -> dict[str, object]:
        """Return every limit by its path, for example ``symbols.XAUUSD.max_spread_points``."""
        told = msgspec.structs.asdict(self)
        del told["symbols"]
        for symbol, own in self.symbols.items():
            for name, value in _stated(own).items():
                told[f"symbols.{symbol}.{name}"] = value
        return told

    def check_symbols(self, instruments: Mapping[str, Instrument]) -> None:
        """Refuse what no symbol can be traded by.

        Parameters
        ----------
        instruments
            Every symbol that is known.

        Raises
        ------
        InvalidSettings
            If a symbol is not known, or a spread as wide as it usually is would refuse each entry.
        """
        for place, named in (("symbols", self.symbols), ("allowed_symbols", self.allowed_symbols)):
            for symbol in named:
                if symbol not in instruments:
                    known = ", ".join(sorted(instruments))
                    raise InvalidSettings(f"{place}: {symbol!r} is no known symbol ({known})")
        for symbol in self.allowed_symbols:
            typical, own = instruments[symbol].typical_spread_points, self.of(symbol)
            cap = min(own.max_spread_points, own.max_spread_ratio * typical)
            if typical > 0.0 and cap < typical:
                raise InvalidSettings(
                    f"{symbol} usually has a spread of {typical:g} points, at most {cap:g} are "
                    f"allowed: state max_spread_points of its own in symbols.{symbol}"
                )

    def allows_model(self, name: str, sha256: str) -> bool:
        """Tell whether a bundle may trade.

        Parameters
        ----------
        name
            Registered name.
        sha256
            The bundle's digest, hexadecimal.
        """
        allowed = self.allowed_models
        return EVERY_MODEL in allowed or _allows(allowed, name, sha256)


def _stated(own: SymbolLimits) -> dict[str, float]:
    told = msgspec.structs.asdict(own)
    return {name: value for name, value in told.items() if value is not None}


@lru_cache(maxsize=64)
def _allows(allowed_models: tuple[str, ...], name: str, sha256: str) -> bool:
    for allowed in allowed_models:
        wanted, _, digits = allowed.partition("@")
        if wanted in {EVERY_MODEL, name} and sha256.startswith(digits):
            return True
    return False


_UPPER_BOUNDS: dict[str, float] = {
    "risk_per_trade_fraction": 0.1,
    "max_currency_notional": 1e12,
    "max_gross_notional": 1e12,
    "min_margin_level_percent": 1e6,
    "max_rate_age_milliseconds": 86_400_000,
    "max_clock_skew_milliseconds": 86_400_000,
    "max_signal_age_seconds": 604_800,
    "max_daily_loss_fraction": 1.0,
    "max_drawdown_fraction": 1.0,
    "max_consecutive_losses": 1_000_000,
    "max_orders_per_window": 1_000_000,
    "order_window_seconds": 86_400,
    "max_closes_per_window": 1_000_000,
    "max_repeats_per_window": 1_000_000,
    "repeat_window_seconds": 86_400,
    "duplicate_window_seconds": 86_400,
}
