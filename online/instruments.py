"""The instruments Sextant knows, read from ``infra/config/instruments.toml``."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import msgspec

from online.domain.errors import InvalidSettings, NotFound
from online.domain.market import Instrument
from online.domain.trading_hours import parse_hours

SLIPPED_SHARE = 0.5
"""What a fill at the market is assumed to slip, as a share of the usual spread."""
CONFIG_FOLDER = Path(__file__).resolve().parents[1] / "infra" / "config"


@lru_cache(maxsize=4)
def load_instruments(path: Path = CONFIG_FOLDER / "instruments.toml") -> Mapping[str, Instrument]:
    """Return every known instrument by symbol.

    Parameters
    ----------
    path
        TOML file, one table a symbol.

    Raises
    ------
    InvalidSettings
        If the file is missing, not TOML, or an entry is wrong; the message names the entry.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"instruments file {path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettings(f"instruments file {path} is not TOML: {error}") from error
    found: dict[str, Instrument] = {}
    for symbol, table in tables.items():
        try:
            _refuse_unknown(table)
            found[symbol] = _assume(msgspec.convert({"symbol": symbol, **table}, Instrument))
            parse_hours(found[symbol].hours)
        except (msgspec.ValidationError, InvalidSettings) as error:
            raise InvalidSettings(f"instrument {symbol} in {path}: {error}") from error
    return found


def _refuse_unknown(table: Mapping[str, object]) -> None:
    """Refuse a misspelt key: what it was meant to say would be ignored."""
    known = Instrument.__dataclass_fields__.keys() - {"symbol"}
    unknown = sorted(table.keys() - known)
    if unknown:
        raise InvalidSettings(
            f"unknown key {', '.join(unknown)}: expected one of {', '.join(sorted(known))}"
        )


def _assume(instrument: Instrument) -> Instrument:
    """Return an instrument whose slippage is assumed where it is not declared."""
    if instrument.slippage_points is not None or not instrument.typical_spread_points > 0.0:
        return instrument
    return replace(
        instrument,
        slippage_points=math.ceil(SLIPPED_SHARE * instrument.typical_spread_points),
        slippage_source="assumed: half the usual spread",
    )


def load_charged(
    commission_per_lot: float, slippage_points: int | None = None
) -> Mapping[str, Instrument]:
    """Return every known instrument with what an account is charged for it.

    The simulated terminal charges by these, and entries are sized by them.

    Parameters
    ----------
    commission_per_lot
        Per lot and side, of each symbol that has none of its own; the account's currency (>= 0).
    slippage_points
        Of every symbol (>= 0); None for each one's own.

    Raises
    ------
    InvalidSettings
        If one of them cannot be.
    """
    return charge(
        {symbol: each.slipping(slippage_points) for symbol, each in load_instruments().items()},
        commission_per_lot,
    )


def charge(
    instruments: Mapping[str, Instrument], commission_per_lot: float
) -> Mapping[str, Instrument]:
    """Return instruments that know their commission, an account's where they have none."""
    return {symbol: each.charging(commission_per_lot) for symbol, each in instruments.items()}


def find_instrument(symbol: str, known: Mapping[str, Instrument] | None = None) -> Instrument:
    """Return the instrument named `symbol`.

    Raises
    ------
    NotFound
        With code ``UNKNOWN_SYMBOL`` and the symbols that exist.

    Examples
    --------
    >>> find_instrument("EURUSD").digits
    5
    """
    instruments = load_instruments() if known is None else known
    try:
        return instruments[symbol]
    except KeyError:
        names = ", ".join(sorted(instruments))
        raise NotFound(
            f"unknown symbol {symbol!r}: known are {names}; "
            "add others to infra/config/instruments.toml",
            code="UNKNOWN_SYMBOL",
        ) from None


def spell_symbols(tables: Mapping[str, object]) -> dict[str, object]:
    """Return tables by symbol in the symbols' own spelling: a variable's name has no capitals.

    Of two tables for one symbol the later one is laid over the earlier.
    """
    known = {symbol.lower(): symbol for symbol in load_instruments()}
    spelt: dict[str, object] = {}
    for name, table in tables.items():
        symbol = known.get(name.lower(), name)
        below = spelt.get(symbol)
        if isinstance(below, dict) and isinstance(table, dict):
            spelt[symbol] = {**below, **table}
        else:
            spelt[symbol] = table
    return spelt
