"""Conversion: what one currency is worth in another, by live quotes, crossed through the dollar."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from online.domain.market import Instrument, Quote

CROSS = "USD"
"""The currency through which two others are crossed."""
_NANOSECONDS_PER_MILLISECOND = 1_000_000

Rates = dict[tuple[str, str], tuple[float, float]]
"""Bid and ask by base and profit currency."""


def conversion_symbols(
    traded: Iterable[Instrument], currency: str, instruments: Mapping[str, Instrument]
) -> tuple[str, ...]:
    """Return the symbols whose quotes value the profit of others in a currency, sorted.

    Parameters
    ----------
    traded
        What is or may be held; those with the currency in their own pair need no other.
    currency
        The account's.
    instruments
        Every known one, by symbol.

    Examples
    --------
    >>> usdjpy = Instrument("USDJPY", "USD", "JPY", 3, 100_000.0)
    >>> gbpjpy = Instrument("GBPJPY", "GBP", "JPY", 3, 100_000.0)
    >>> conversion_symbols([gbpjpy], "USD", {"USDJPY": usdjpy, "GBPJPY": gbpjpy})
    ('USDJPY',)
    """
    pairs = {(i.base_currency, i.profit_currency): i.symbol for i in instruments.values()}
    wanted: set[str] = set()
    for each in traded:
        if currency in {each.base_currency, each.profit_currency}:
            continue
        direct = _pair(pairs, each.profit_currency, currency)
        legs = (_pair(pairs, each.profit_currency, CROSS), _pair(pairs, CROSS, currency))
        wanted.update([direct] if direct else [leg for leg in legs if leg])
    return tuple(sorted(wanted))


def read_rates(
    quotes: Iterable[Quote],
    instruments: Mapping[str, Instrument],
    max_age_milliseconds: int,
    now_ns: int,
) -> Rates:
    """Return the prices of the quotes that may be believed; the others are left out.

    Parameters
    ----------
    quotes
        Of any symbols.
    instruments
        By symbol.
    max_age_milliseconds
        Of the oldest that counts.
    now_ns
        The clock; a quote from the future does not count.
    """
    rates: Rates = {}
    oldest_ns = now_ns - max_age_milliseconds * _NANOSECONDS_PER_MILLISECOND
    for quote in quotes:
        instrument = instruments.get(quote.symbol)
        sound = 0.0 < quote.bid <= quote.ask < math.inf and oldest_ns <= quote.at_ns <= now_ns
        if instrument is not None and sound:
            pair = (instrument.base_currency, instrument.profit_currency)
            rates[pair] = (quote.bid, quote.ask)
    return rates


def highest_rate(rates: Rates, source: str, target: str) -> float | None:
    """Return the most that one unit of `source` can cost in `target`; None if it cannot be told.

    The side of each quote is the dearer one: what is at risk is never valued too low.

    Parameters
    ----------
    rates
        Believed prices.
    source, target
        Currencies.
    """
    if source == target:
        return 1.0
    direct = _dearest(rates, source, target)
    if direct is not None:
        return direct
    first, second = _dearest(rates, source, CROSS), _dearest(rates, CROSS, target)
    return None if first is None or second is None else first * second


def _dearest(rates: Rates, source: str, target: str) -> float | None:
    if source == target:
        return 1.0
    prices = rates.get((source, target))
    if prices is not None:
        return prices[1]
    prices = rates.get((target, source))
    return None if prices is None else 1.0 / prices[0]


def _pair(pairs: Mapping[tuple[str, str], str], one: str, other: str) -> str:
    return pairs.get((one, other)) or pairs.get((other, one)) or ""
