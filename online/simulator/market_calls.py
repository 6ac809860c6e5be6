"""Calls about symbols, quotes and price history."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from online.simulator import constants as mt5
from online.simulator.client import ClientTerminal
from online.simulator.connection import CallFailed, Connection
from online.simulator.info_tuples import BookInfo, SymbolInfo, Tick
from online.simulator.markets import Market
from online.simulator.prices import Ticks
from online.simulator.rates import is_timeframe, rate_array, tick_array
from online.simulator.request_parsing import matches_group, parse_date, text_fits
from online.simulator.told import depth_lots, tell_symbol, tell_tick

_SECOND_NS = 1_000_000_000
_FIRST_TICKS = 4_096
Array = NDArray[Any]


def market_of(client: ClientTerminal, symbol: str) -> Market:
    """Return a market.

    Raises
    ------
    CallFailed
        If there is no such symbol.
    """
    market = client.terminal.markets.get(symbol)
    if market is None:
        raise CallFailed(mt5.RES_E_NOT_FOUND, "Terminal: Not found")
    return market


class MarketCalls(Connection):
    """The package's functions about the market; dates are of the server's clock."""

    def symbols_total(self) -> int | None:
        """Return the number of symbols."""
        return self._ask("symbols_total", lambda client: len(client.terminal.markets))

    def symbols_get(self, group: str | None = None) -> tuple[SymbolInfo, ...] | None:
        """Return the symbols of a group, or all."""

        def work(client: ClientTerminal) -> tuple[SymbolInfo, ...]:
            return tuple(
                tell_symbol(market, client)
                for symbol, market in client.terminal.markets.items()
                if group is None or matches_group(symbol, group)
            )

        return self._ask("symbols_get", work)

    def symbol_info(self, symbol: str, /) -> SymbolInfo | None:
        """Return the properties of a symbol."""
        if not text_fits(symbol):
            self._refuse_arguments('Invalid "symbol" argument')
            return None
        return self._ask("symbol_info", lambda c: tell_symbol(market_of(c, symbol), c))

    def symbol_info_tick(self, symbol: str, /) -> Tick | None:
        """Return the latest prices of a symbol."""
        if not text_fits(symbol):
            self._refuse_arguments('Invalid "symbol" argument')
            return None
        return self._ask(
            "symbol_info_tick", lambda c: tell_tick(market_of(c, symbol), c.terminal.rules)
        )

    def symbol_select(self, symbol: str, enable: bool = True, /) -> bool:  # noqa: FBT001, FBT002  # the package's signature
        """Put a symbol into the market watch or take it out."""

        def work(client: ClientTerminal) -> bool:
            market_of(client, symbol)
            (client.selected.add if enable else client.selected.discard)(symbol)
            return True

        return bool(self._ask("symbol_select", work))

    def market_book_add(self, symbol: str, /) -> bool:
        """Subscribe to the depth of market."""

        def work(client: ClientTerminal) -> bool:
            market_of(client, symbol)
            client.books.add(symbol)
            return True

        return bool(self._ask("market_book_add", work))

    def market_book_release(self, symbol: str, /) -> bool:
        """End the subscription."""

        def work(client: ClientTerminal) -> bool:
            market_of(client, symbol)
            client.books.discard(symbol)
            return True

        return bool(self._ask("market_book_release", work))

    def market_book_get(self, symbol: str, /) -> tuple[BookInfo, ...] | None:
        """Return the depth of market: one line a side; None without a subscription."""

        def work(client: ClientTerminal) -> tuple[BookInfo, ...]:
            market = market_of(client, symbol)
            if symbol not in client.books:
                raise CallFailed(mt5.RES_E_NOT_FOUND, "Terminal: Not found")
            lots = depth_lots(market)
            return (
                BookInfo(mt5.BOOK_TYPE_SELL, market.ask, int(lots), lots),
                BookInfo(mt5.BOOK_TYPE_BUY, market.bid, int(lots), lots),
            )

        return self._ask("market_book_get", work)

    def copy_rates_from(
        self, symbol: str, timeframe: int, date_from: object, count: int, /
    ) -> Array | None:
        """Return the last bars that open at or before a date, oldest first."""
        until = parse_date(date_from)
        if until is None or not is_timeframe(timeframe) or count <= 0:
            self._refuse_arguments()
            return None

        def work(client: ClientTerminal) -> Array:
            bars = _bars(client, symbol, timeframe)
            return bars[bars["time"] <= until][-count:]

        return self._ask("copy_rates_from", work)

    def copy_rates_from_pos(
        self, symbol: str, timeframe: int, start_pos: int, count: int, /
    ) -> Array | None:
        """Return bars by place from the end, oldest first; place 0 is still forming."""
        if not is_timeframe(timeframe) or start_pos < 0 or count <= 0:
            self._refuse_arguments()
            return None

        def work(client: ClientTerminal) -> Array:
            bars = _last_bars(client, symbol, timeframe, start_pos + count)
            end = max(len(bars) - start_pos, 0)
            return bars[max(end - count, 0) : end]

        return self._ask("copy_rates_from_pos", work)

    def copy_rates_range(
        self, symbol: str, timeframe: int, date_from: object, date_to: object, /
    ) -> Array | None:
        """Return the bars that open between two dates, both included, oldest first."""
        first, last = parse_date(date_from), parse_date(date_to)
        if first is None or last is None or not is_timeframe(timeframe):
            self._refuse_arguments()
            return None

        def work(client: ClientTerminal) -> Array:
            bars = _bars(client, symbol, timeframe)
            return bars[(first <= bars["time"]) & (bars["time"] <= last)]

        return self._ask("copy_rates_range", work)

    def copy_ticks_from(
        self, symbol: str, date_from: object, count: int, flags: int, /
    ) -> Array | None:
        """Return the first ticks at or after a date, whose part of a second is dropped."""
        first = parse_date(date_from)
        if first is None or count <= 0:
            self._refuse_arguments()
            return None

        def work(client: ClientTerminal) -> Array:
            return _ticks(client, symbol, first, None, flags)[:count]

        return self._ask("copy_ticks_from", work)

    def copy_ticks_range(
        self, symbol: str, date_from: object, date_to: object, flags: int, /
    ) -> Array | None:
        """Return the ticks between two dates, whose parts of a second are dropped."""
        first, last = parse_date(date_from), parse_date(date_to)
        if first is None or last is None:
            self._refuse_arguments()
            return None
        return self._ask("copy_ticks_range", lambda c: _ticks(c, symbol, first, last, flags))


def _bars(client: ClientTerminal, symbol: str, timeframe: int) -> Array:
    instrument = market_of(client, symbol).instrument
    ticks = client.recorder.ticks(symbol)
    return rate_array(ticks, timeframe, client.terminal.rules.zone, instrument.scale)


def _last_bars(client: ClientTerminal, symbol: str, timeframe: int, n_bars: int) -> Array:
    """Return at least the last bars asked for, made from no more ticks than it takes."""
    instrument, zone = market_of(client, symbol).instrument, client.terminal.rules.zone
    ticks, n_ticks = client.recorder.ticks(symbol), _FIRST_TICKS
    while True:
        part = ticks.slice(max(len(ticks) - n_ticks, 0), len(ticks))
        bars = rate_array(part, timeframe, zone, instrument.scale)
        if len(part) == len(ticks):
            return bars
        if len(bars) > n_bars:
            return bars[1:]  # the first may lack its own first ticks
        n_ticks *= 4


def _ticks(client: ClientTerminal, symbol: str, first: int, last: int | None, flags: int) -> Array:
    """Return recorded ticks between two seconds of the server's clock."""
    market_of(client, symbol)
    zone, recorded = client.terminal.rules.zone, client.recorder.ticks(symbol)
    start_ns = zone.to_utc_ns(first * _SECOND_NS)
    end_ns = client.terminal.now_ns if last is None else zone.to_utc_ns(last * _SECOND_NS)
    if flags == mt5.COPY_TICKS_TRADE:  # a market of quotes has no trades
        return tick_array(Ticks(recorded.at_ns[:0], recorded.bid[:0], recorded.ask[:0]), zone)
    wanted = recorded.between(start_ns, end_ns)
    place = int(np.searchsorted(recorded.at_ns, start_ns, side="left"))
    known = min(place, 1)  # the tick before says which side the first one changed
    return tick_array(recorded.slice(place - known, place + len(wanted)), zone)[known:]
