"""Conversion in the past: the series that value a symbol's profit in the account's currency."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from online.domain.conversion import conversion_symbols, highest_rate
from online.domain.errors import InvalidInput
from online.domain.market import Instrument, Timeframe
from online.instruments import load_instruments
from pipelines.lake import Lake
from pipelines.market import Market, read_market


def read_conversion_markets(
    lake: Lake,
    traded: Iterable[Instrument],
    currency: str,
    timeframe: Timeframe,
    interval_ns: tuple[int, int],
    assumed_spread_points: float | None,
) -> tuple[Market, ...]:
    """Return the markets whose quotes a backtest needs beside those it trades.

    Parameters
    ----------
    traded
        What is traded; their own markets are not returned.
    currency
        Of the account.
    timeframe
        Of the bars that move the conversion rates.
    interval_ns
        Start and end of the closes, UTC nanoseconds, half open.
    assumed_spread_points
        Where the bars bring no spread (>= 0); None for what is known of each symbol.

    Raises
    ------
    NotFound
        If the lake lacks such a series, or fewer than two of its bars lie in the interval.
    """
    known, own = load_instruments(), list(traded)
    names = set(conversion_symbols(own, currency, known)) - {each.symbol for each in own}
    return tuple(
        read_market(lake, known[name], timeframe, *interval_ns, assumed_spread_points)
        for name in sorted(names)
    )


def account_per_profit(
    lake: Lake,
    instrument: Instrument,
    currency: str,
    timeframe: Timeframe,
    interval_ns: tuple[int | None, int | None],
) -> float:
    """Return the account's currency in one unit of an instrument's profit currency, typically.

    It is the median over the interval: costs of a label are told once for all of its bars.

    Parameters
    ----------
    instrument
        What is labelled.
    currency
        Of the account.
    timeframe
        Of the series that are read.
    interval_ns
        Start and end of the closes, UTC nanoseconds, half open; None is no bound.

    Raises
    ------
    NotFound
        If the lake lacks a series that it takes.
    InvalidInput
        With code ``NO_CONVERSION_RATE`` if no known pair converts, or none has a bar there.
    """
    known = load_instruments()
    own = currency in {instrument.base_currency, instrument.profit_currency}
    names = (instrument.symbol,) if own else conversion_symbols([instrument], currency, known)
    rates = {}
    for name in names:
        pair = instrument if name == instrument.symbol else known[name]
        closes = lake.read_bars(name, timeframe, *interval_ns)["close"].to_numpy(dtype=np.float64)
        if len(closes):
            price = float(np.median(closes))
            rates[pair.base_currency, pair.profit_currency] = (price, price)
    rate = highest_rate(rates, instrument.profit_currency, currency)
    if rate is None:
        raise InvalidInput(
            f"{instrument.symbol} pays in {instrument.profit_currency}, which no bar of "
            f"{', '.join(names) or 'any known pair'} converts to {currency}",
            code="NO_CONVERSION_RATE",
            remedy="Ingest the conversion pair for the same window, and name it in "
            "infra/config/instruments.toml.",
        )
    return rate
