"""Rollover: swap at the server's midnight, three times on its day.

On a server that keeps New York's close the nights are those of `online.domain.rollover`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from online.domain.market import BUY
from online.simulator import constants as mt5
from online.simulator.account import Ledger
from online.simulator.markets import Market
from online.simulator.positions import PositionBook
from online.simulator.server_time import day_of_week

_WEEKEND = frozenset({mt5.DAY_OF_WEEK_SATURDAY, mt5.DAY_OF_WEEK_SUNDAY})


class Rollover:
    """Charges swap for every night that a position is held.

    Parameters
    ----------
    markets, ledger, book
        State of the trade server.
    """

    def __init__(self, markets: Mapping[str, Market], ledger: Ledger, book: PositionBook) -> None:
        self._markets = markets
        self._ledger = ledger
        self._book = book
        self._charges = any(
            market.rules.swap_long_points or market.rules.swap_short_points
            for market in markets.values()
        )
        self._due_ns: float = math.inf

    @property
    def due_ns(self) -> float:
        """Instant of the next rollover; infinite while no symbol charges swap."""
        return self._due_ns

    def start(self, now_ns: int) -> None:
        """Begin to count nights at the market's first instant."""
        if self._charges:
            self._due_ns = self._ledger.rules.zone.next_midnight_ns(now_ns)

    def settle(self, now_ns: int) -> None:
        """Charge every rollover up to now."""
        zone = self._ledger.rules.zone
        while self._due_ns <= now_ns:
            ended = day_of_week(zone.to_server_ns(int(self._due_ns)) - 1)
            if ended not in _WEEKEND:
                self._charge(ended)
            self._due_ns = zone.next_midnight_ns(int(self._due_ns))

    def _charge(self, ended_day: int) -> None:
        for held in self._book.open.values():
            market = self._markets[held.symbol]
            points = market.rules.swap_points(long=held.side is BUY)
            if not points:
                continue
            nights = 3 if ended_day == market.rules.triple_swap_day else 1
            move = nights * points / market.instrument.scale
            closed = market.closing_price(held.side)
            opened = closed - held.side.sign * move
            amount = self._ledger.profit(market, held.side, held.volume, opened, closed)
            self._book.accrue(held, amount)
