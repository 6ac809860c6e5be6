"""Stop-out: the server closes positions when equity falls to a part of the margin."""

from __future__ import annotations

import math
from collections.abc import Mapping

from online.domain.market import BUY, SELL, Side
from online.simulator.account import Ledger
from online.simulator.markets import Market
from online.simulator.positions import PositionBook
from online.simulator.records import HeldPosition

_ROUNDING = 0.01  # what rounding to the account's currency may hide, a position


def worst_position(ledger: Ledger, book: PositionBook) -> HeldPosition | None:
    """Return the position that a stop-out closes next; None while the level is high enough.

    The server closes the one with the greatest loss first.
    """
    if ledger.margin <= 0.0 or ledger.margin_level > ledger.rules.stop_out_percent:
        return None
    return min(book.open.values(), key=ledger.open_profit)


def watch(markets: Mapping[str, Market], ledger: Ledger) -> None:
    """Set the bounds of every market so that no quote within them can lead to a stop-out.

    What may be lost until the stop-out is shared out evenly among the markets with positions and
    their two sides. Where profit is valued through a third market, every quote is looked at.
    """
    exposed = [market for market in markets.values() if market.positions]
    if not exposed:
        for market in markets.values():
            market.rebound()
        return
    if any(not _is_own(market, ledger) for market in exposed):
        for market in markets.values():
            market.alert()
        return
    held = sum(len(market.positions) for market in exposed)
    room = (ledger.slack - _ROUNDING * held) / (2 * len(exposed))
    for market in markets.values():
        if not market.positions:
            market.rebound()
            continue
        longs = _sensitivity(market, ledger, BUY)
        shorts = _sensitivity(market, ledger, SELL)
        falls = market.bid - _reach(room, longs, market.bid)
        rises = market.ask + _reach(room, shorts, market.ask)
        market.rebound(falls, rises)


def _reach(room: float, sensitivity: float, price: float) -> float:
    """Return how far a price may move before it can cost `room`; at most half of itself."""
    if sensitivity == 0.0:
        return math.inf
    return min(max(room, 0.0) / sensitivity, price / 2.0)


def _is_own(market: Market, ledger: Ledger) -> bool:
    """Tell whether the account's currency is one of the market's two."""
    instrument = market.instrument
    return ledger.rules.currency in {instrument.base_currency, instrument.profit_currency}


def _sensitivity(market: Market, ledger: Ledger, side: Side) -> float:
    """Return an upper bound of what one unit of price costs, within half to twice the price."""
    instrument, price = market.instrument, market.closing_price(side)
    total = 0.0
    for held in market.positions:
        if held.side is not side:
            continue
        units = held.volume * instrument.contract_size
        if instrument.profit_currency != ledger.rules.currency:
            units *= 4.0 * held.price / (price * price)
        total += units
    return total
