"""Peers: whom a symbol is seen beside, read from ``peers.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from online.domain.errors import InvalidInput

PEERS_FILE = Path(__file__).with_name("peers.toml")
_CURRENCY_LETTERS = 3


@dataclass(frozen=True, slots=True)
class Peers:
    """The symbols that one symbol's features across symbols are made from.

    Parameters
    ----------
    symbol
        Whose.
    reference
        The symbol that correlation and beta are taken with.
    pairs
        Currency pairs that share one currency, the hub; strengths are taken from them and from
        `symbol` itself where it has the hub too.

    Raises
    ------
    InvalidInput
        ``NO_CURRENCY_PAIR`` if a name does not begin with two currencies; ``PEERS_UNCONNECTED``
        if the pairs share no currency or do not tell of both of the symbol's currencies.
    """

    symbol: str
    reference: str
    pairs: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.symbol in (self.reference, *self.pairs) or len(set(self.pairs)) != len(self.pairs):
            raise InvalidInput(
                f"{self.symbol} needs distinct peers other than itself, got {self.reference} and "
                f"{', '.join(self.pairs)}",
                code="PEERS_UNCONNECTED",
            )
        told = {currency for pair in self.star for currency in currencies_of(pair)}
        if not set(currencies_of(self.symbol)) <= told:
            raise InvalidInput(
                f"{', '.join(self.pairs)} do not tell of both currencies of {self.symbol}",
                code="PEERS_UNCONNECTED",
            )

    @property
    def others(self) -> tuple[str, ...]:
        """Every other symbol, sorted: their bars are needed."""
        return tuple(sorted({self.reference, *self.pairs}))

    @property
    def hub(self) -> str:
        """The currency that all pairs share."""
        currencies = [set(currencies_of(pair)) for pair in self.pairs]
        if len(currencies) == 1:  # both are shared: the one that links it to the symbol is meant
            currencies.append(set(currencies_of(self.symbol)))
        shared = set.intersection(*currencies) if currencies else set[str]()
        if len(shared) != 1:
            raise InvalidInput(
                f"the pairs of {self.symbol} must share one currency, got "
                f"{', '.join(self.pairs) or 'none'}",
                code="PEERS_UNCONNECTED",
            )
        return shared.pop()

    @property
    def star(self) -> tuple[str, ...]:
        """The pairs that hold the hub, sorted, the symbol's own among them if it does."""
        own = (self.symbol,) if self.hub in currencies_of(self.symbol) else ()
        return tuple(sorted((*self.pairs, *own)))


def currencies_of(symbol: str) -> tuple[str, str]:
    """Return a pair's base and quote currency.

    Raises
    ------
    InvalidInput
        With code ``NO_CURRENCY_PAIR`` if the name does not begin with two currencies.

    Examples
    --------
    >>> currencies_of("EURUSD")
    ('EUR', 'USD')
    """
    base, quote = symbol[:_CURRENCY_LETTERS], symbol[_CURRENCY_LETTERS : 2 * _CURRENCY_LETTERS]
    if not (len(quote) == _CURRENCY_LETTERS and (base + quote).isalpha()):
        raise InvalidInput(
            f"a currency pair is named like EURUSD, got {symbol!r}", code="NO_CURRENCY_PAIR"
        )
    return base.upper(), quote.upper()


def peers_of(symbol: str) -> Peers | None:
    """Return a symbol's peers, or None where the mapping names none."""
    return read_peers().get(symbol)


@cache
def read_peers(file: Path = PEERS_FILE) -> Mapping[str, Peers]:
    """Return the mapping.

    Raises
    ------
    InvalidInput
        ``PEERS_FILE`` if the file is no TOML of a reference and pairs a symbol, or as `Peers`.
    """
    try:
        told: dict[str, Any] = tomllib.loads(file.read_text())
        found = {
            symbol: Peers(symbol, str(entry["reference"]), tuple(map(str, entry["pairs"])))
            for symbol, entry in told.items()
        }
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{file} must name a reference and pairs for each symbol: {error!r}",
            code="PEERS_FILE",
        ) from error
    return MappingProxyType(found)
