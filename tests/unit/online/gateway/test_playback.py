"""Recorded bars become a market: four quotes a bar, the nearer extreme first, until stopped."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from online.domain.market import Quote
from online.gateway.playback import bid_ask_of, play
from online.gateway.terminal_server import TerminalServer
from online.simulator.bars import BidAskBar

pytestmark = pytest.mark.lean
FALLING = BidAskBar(0, 1, 1.1, 1.3, 1.05, 1.2, 1.11, 1.31, 1.06, 1.21)
RISING = BidAskBar(1, 2, 1.2, 1.25, 1.0, 1.1, 1.21, 1.26, 1.01, 1.11)


class Market:
    """Notes the quotes, and sets `stop` after so many."""

    def __init__(self, stop: threading.Event, last: int = 0) -> None:
        self.stop, self.last = stop, last
        self.quotes: list[Quote] = []

    def on_quote(self, quote: Quote) -> None:
        self.quotes.append(quote)
        if len(self.quotes) == self.last:
            self.stop.set()


def played(market: Market, bar_seconds: float) -> int:
    server = cast("TerminalServer", market)
    return play(server, "EURUSD", [FALLING, RISING], bar_seconds, market.stop)


@pytest.mark.parametrize(
    ("bar", "bids"), [(FALLING, [1.1, 1.05, 1.3, 1.2]), (RISING, [1.2, 1.25, 1.0, 1.1])]
)
def test_the_extreme_nearer_to_the_open_comes_first(bar: BidAskBar, bids: list[float]) -> None:
    told = list(bid_ask_of(bar))
    assert [bid for bid, _ in told] == bids
    assert [ask - bid for bid, ask in told] == pytest.approx([0.01] * 4)


def test_every_bar_is_played_and_stamped_with_the_present_in_order() -> None:
    market = Market(threading.Event())
    assert played(market, 0.001) == 2
    assert [quote.bid for quote in market.quotes] == [1.1, 1.05, 1.3, 1.2, 1.2, 1.25, 1.0, 1.1]
    stamps = [quote.at_ns for quote in market.quotes]
    assert stamps == sorted(stamps)
    assert stamps[0] > 1_500_000_000_000_000_000


@pytest.mark.timeout(60)
def test_a_market_that_is_stopped_waits_for_no_other_quote() -> None:
    market = Market(threading.Event(), last=6)
    market.stop.clear()
    assert played(market, 0.001) == 1
    assert len(market.quotes) == 6
    stopped = Market(market.stop)
    assert played(stopped, 3_600.0) == 0
    assert len(stopped.quotes) == 1
