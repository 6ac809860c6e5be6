"""The bill of a run: what its closed trades paid, each cost apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

import numpy as np

from online.domain.barriers import Exit
from pipelines.market import Market
from pipelines.trades import Trade


@dataclass(frozen=True, slots=True)
class Bill:
    """What the closed trades of a symbol paid, account currency; negative costs.

    Parameters
    ----------
    symbol, trades
        Of how many trades.
    spread
        Half of it at each end, as it stood at the opening of the bar.
    commission, swap
        As booked.
    slippage
        Of every fill at the market.
    net
        What was left.
    """

    symbol: str
    trades: int
    spread: float
    commission: float
    swap: float
    slippage: float
    net: float

    @property
    def before_costs(self) -> float:
        """What the trades would have earned at the middle of the quotes."""
        return self.net - fsum((self.spread, self.commission, self.swap, self.slippage))

    def row(self) -> dict[str, float | str]:
        """Return it by column, rounded to cents, for people."""
        return {
            "symbol": self.symbol,
            "trades": self.trades,
            "before costs": round(self.before_costs, 2),
            "spread": round(self.spread, 2),
            "commission": round(self.commission, 2),
            "swap": round(self.swap, 2),
            "slippage": round(self.slippage, 2),
            "net": round(self.net, 2),
        }


def bill_of(market: Market, trades: Sequence[Trade], currency: str) -> Bill:
    """Return what the trades of a market's symbol paid.

    Where neither of the symbol's currencies is the account's, one rate stands for all of them: the
    mean of what their profits were converted by.

    Parameters
    ----------
    market
        Its bars tell the spread, its instrument the slippage.
    trades
        Of any symbols.
    currency
        Of the account.
    """
    instrument = market.instrument
    mine = [trade for trade in trades if trade.symbol == instrument.symbol]
    worth = [
        trade.volume_lots * instrument.contract_size * rate
        for trade, rate in zip(mine, _rates(market, mine, currency), strict=True)
    ]
    slipped = instrument.slipped_points / instrument.scale
    fills = [1 if trade.reason == Exit.TARGET else 2 for trade in mine]
    return Bill(
        instrument.symbol,
        len(mine),
        spread=0.0 - fsum(a * b for a, b in zip(worth, _crossed(market, mine), strict=True)),
        commission=fsum(trade.commission for trade in mine),
        swap=fsum(trade.swap for trade in mine),
        slippage=0.0 - fsum(slipped * n * each for n, each in zip(fills, worth, strict=True)),
        net=fsum(trade.pnl_net for trade in mine),
    )


def _crossed(market: Market, trades: Sequence[Trade]) -> list[float]:
    """Return the mean of the spreads at both ends of each trade, in price."""
    bars = market.quotes
    opened = np.array([bar.opened_at_ns for bar in bars], np.int64)
    spreads = np.array([bar.ask_open - bar.bid_open for bar in bars])
    ends = [[trade.opened_at_ns, trade.closed_at_ns] for trade in trades]
    places = np.searchsorted(opened, np.array(ends, np.int64).reshape(-1, 2), "right") - 1
    found: list[float] = spreads[np.maximum(places, 0)].mean(axis=1).tolist()
    return found


def _rates(market: Market, trades: Sequence[Trade], currency: str) -> list[float]:
    """Return what one unit of each trade's profit currency was worth."""
    instrument = market.instrument
    if instrument.profit_currency == currency:
        return [1.0] * len(trades)
    if instrument.base_currency == currency:
        return [1.0 / trade.closed_price for trade in trades]
    booked = fsum(abs(t.pnl_net - t.commission - t.swap) for t in trades)
    moved = fsum(abs(t.closed_price - t.opened_price) * t.volume_lots for t in trades)
    mean = booked / (moved * instrument.contract_size) if moved else 0.0
    return [mean] * len(trades)
