"""Recorded bars as the running market of a simulated terminal, stamped with the present."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator

from online.domain.market import Quote
from online.gateway.terminal_server import TerminalServer
from online.simulator.bars import BidAskBar

QUOTES_PER_BAR = 4


def bid_ask_of(bar: BidAskBar) -> Iterator[tuple[float, float]]:
    """Yield a bar's open, its extremes and its close; the nearer extreme comes first.

    Examples
    --------
    >>> bar = BidAskBar(0, 1, 1.1, 1.3, 1.0, 1.2, 1.1, 1.3, 1.0, 1.2)
    >>> [bid for bid, _ in bid_ask_of(bar)]
    [1.1, 1.0, 1.3, 1.2]
    """
    low, high = (bar.bid_low, bar.ask_low), (bar.bid_high, bar.ask_high)
    falls_first = bar.bid_open - bar.bid_low <= bar.bid_high - bar.bid_open
    yield bar.bid_open, bar.ask_open
    yield from (low, high) if falls_first else (high, low)
    yield bar.bid_close, bar.ask_close


def play(
    server: TerminalServer,
    symbol: str,
    bars: Iterable[BidAskBar],
    bar_seconds: float,
    stop: threading.Event,
) -> int:
    """Quote one bar after the other until they end or `stop` is set; return how many were.

    Parameters
    ----------
    bar_seconds
        Each bar's length in this market (> 0).
    """
    due = time.monotonic()
    played = 0
    for bar in bars:
        for bid, ask in bid_ask_of(bar):
            server.on_quote(Quote(symbol, bid, ask, time.time_ns()))
            due = max(due + bar_seconds / QUOTES_PER_BAR, time.monotonic())
            if stop.wait(due - time.monotonic()):
                return played
        played += 1
    return played
