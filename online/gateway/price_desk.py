"""The market-data worker's other part: bars and ticks of the terminal, page by page.

Everything is told as the terminal tells it, stamped by the server's wall clock; the rule of that
clock goes with it, and whoever reads puts it on UTC.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from online.domain.errors import Unavailable
from online.domain.market import Timeframe
from online.gateway.outcome import BROKEN_PIPE
from online.gateway.terminal import Terminal
from online.gateway.translation import Translation
from online.simulator import constants as mt5
from online.simulator.server_time import ServerTime

BARS_PER_PAGE, TICKS_PER_PAGE = 5_000, 20_000
"""Most rows of one answer."""

_TIMEFRAMES = {each: int(getattr(mt5, f"TIMEFRAME_{each.value}")) for each in Timeframe}


class ServerBar(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A bar as the terminal has it; `opened_at_seconds` is of the server's clock."""

    opened_at_seconds: int
    open: float
    high: float
    low: float
    close: float
    tick_volume: int
    spread_points: int


class ServerTick(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A tick as the terminal has it; `at_milliseconds` is of the server's clock."""

    at_milliseconds: int
    bid: float
    ask: float
    flags: int


class PricePage(msgspec.Struct, frozen=True):
    """Rows of the terminal's history, and what tells whether its clock is read rightly.

    Parameters
    ----------
    server_time
        Rule of the server's clock, as the gateway is set.
    asked_at_ns
        When the terminal was asked, UTC nanoseconds by the gateway's own clock.
    newest_tick_milliseconds
        Stamp of the symbol's newest tick, by the server's clock; 0 without one.
    bars, ticks
        Oldest first; one of the two is asked for.
    """

    server_time: ServerTime
    asked_at_ns: int
    newest_tick_milliseconds: int
    bars: tuple[ServerBar, ...] = ()
    ticks: tuple[ServerTick, ...] = ()


class PriceDesk:
    """Reads price history off a terminal.

    Parameters
    ----------
    terminal
        Connected.
    translation
        The broker's names.
    server_time
        The rule of the server's clock.
    reconnect
        Makes the connection anew after the pipe broke; may raise `Unavailable`.
    """

    def __init__(
        self,
        terminal: Terminal,
        translation: Translation,
        server_time: ServerTime,
        reconnect: Callable[[], None],
    ) -> None:
        self._terminal = terminal
        self._translation = translation
        self._server_time = server_time
        self._reconnect = reconnect

    def bars(self, symbol: str, timeframe: Timeframe, position: int, count: int) -> PricePage:
        """Return bars by place from the end, oldest first.

        Parameters
        ----------
        symbol, timeframe
            Our name, and the length.
        position
            Of the newest wanted; 0 is still forming, 1 the last that is closed.
        count
            How many, at most `BARS_PER_PAGE`.

        Raises
        ------
        Unavailable
            ``TERMINAL_UNAVAILABLE`` if the pipe broke, ``PRICES_UNAVAILABLE`` if the terminal
            refuses, as it does for a symbol that it does not know.
        """
        name = self._select(symbol)
        rows = self._terminal.copy_rates_from_pos(
            name, _TIMEFRAMES[timeframe], position, min(count, BARS_PER_PAGE)
        )
        if rows is None:
            raise self._failure(f"copy_rates_from_pos of {symbol} {timeframe}")
        columns = ("time", "open", "high", "low", "close", "tick_volume", "spread")
        told = zip(*(rows[column].tolist() for column in columns), strict=True)
        return self._page(name, bars=tuple(ServerBar(*row) for row in told))

    def ticks(self, symbol: str, since_seconds: int, count: int) -> PricePage:
        """Return the first ticks from a second of the server's clock on, oldest first.

        Parameters
        ----------
        count
            How many, at most `TICKS_PER_PAGE`.

        Raises
        ------
        Unavailable
            As `bars`.
        """
        name = self._select(symbol)
        rows = self._terminal.copy_ticks_from(
            name, since_seconds, min(count, TICKS_PER_PAGE), mt5.COPY_TICKS_ALL
        )
        if rows is None:
            raise self._failure(f"copy_ticks_from of {symbol}")
        columns = ("time_msc", "bid", "ask", "flags")
        told = zip(*(rows[column].tolist() for column in columns), strict=True)
        return self._page(name, ticks=tuple(ServerTick(*row) for row in told))

    def _page(
        self, name: str, bars: tuple[ServerBar, ...] = (), ticks: tuple[ServerTick, ...] = ()
    ) -> PricePage:
        newest = self._terminal.symbol_info_tick(name)
        stamp = 0 if newest is None else newest.time_msc
        return PricePage(self._server_time, time.time_ns(), stamp, bars, ticks)

    def _select(self, symbol: str) -> str:
        name = self._translation.to_broker(symbol)
        if not self._terminal.symbol_select(name, True):  # noqa: FBT003 - MetaTrader's
            raise self._failure(f"symbol_select of {symbol}")
        return name

    def _failure(self, what: str) -> Unavailable:
        """Return what a None means; a broken pipe is made anew first."""
        code, words = self._terminal.last_error()
        if code in BROKEN_PIPE:
            self._reconnect()
            why = f"the pipe to the terminal broke in {what}: {words} ({code})"
            return Unavailable(why, code="TERMINAL_UNAVAILABLE")
        return Unavailable(
            f"the terminal refuses {what}: {words} ({code})",
            code="PRICES_UNAVAILABLE",
            remedy="Compare the symbol's name, and how much history the terminal keeps.",
        )
