"""Monte Carlo: the same trades in another order, and candles drawn anew in blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feature_repo.bars import BarArrays
from online.domain.market import Bar, to_tick
from online.simulator.bars import two_sided
from pipelines.market import Market
from pipelines.performance import Performance

ORDERS, BLOCK_BARS = 2_000, 24
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OrderLuck:
    """What the order of a run's trades could have done; shares of the balance.

    Parameters
    ----------
    drawdown
        Of the trades as they came, closed trades alone.
    median, worst_twentieth
        Drawdown in half and in one of twenty shuffled orders or worse.
    share_worse
        Of the orders that fell deeper than the trades as they came.
    """

    drawdown: float
    median: float
    worst_twentieth: float
    share_worse: float


def shuffle_trades(performance: Performance, seed: int) -> OrderLuck | None:
    """Return what `ORDERS` shuffled orders of the same trades look like; None below two trades.

    Their sum stays what it was: only the way there differs.
    """
    profits = np.array([trade.pnl_net for trade in performance.trades])
    if len(profits) < 2:  # noqa: PLR2004 - one trade has one order
        return None
    random = np.random.default_rng(seed)
    balance = performance.initial_balance
    falls = np.array([_fall(random.permutation(profits), balance) for _ in range(ORDERS)])
    own = _fall(profits, balance)
    return OrderLuck(
        own,
        float(np.quantile(falls, 0.5)),
        float(np.quantile(falls, 0.95)),
        float((falls > own).mean()),
    )


def _fall(profits: Floats, balance: float) -> float:
    path = balance + np.concatenate([[0.0], np.cumsum(profits)])
    peak = np.maximum.accumulate(path)
    return float(((peak - path) / peak).max())


def redraw_candles(bars: BarArrays, market: Market, seed: int) -> tuple[BarArrays, Market]:
    """Return history and market with the market's candles drawn anew from themselves.

    Blocks of `BLOCK_BARS` neighbouring candles are drawn with replacement and chained: each keeps
    its shape, its gap to the candle before, its volume and its spread; the stamps stay. What lies
    before the market stays as it was. What quotes told of a bar cannot be redrawn and is left out.

    Parameters
    ----------
    bars
        The whole series.
    market
        A part of it, without a hole.
    seed
        Of the draw.
    """
    first = int(np.searchsorted(bars.closed_at_ns, market.bars[0].closed_at_ns))
    last = first + len(market.bars)
    random = np.random.default_rng(seed)
    n_blocks = -(-len(market.bars) // BLOCK_BARS)
    size = min(BLOCK_BARS, len(market.bars))
    starts = random.integers(0, len(market.bars) - size + 1, n_blocks)
    drawn = (starts[:, None] + np.arange(size)).ravel()[: len(market.bars)] + first
    before = np.concatenate([bars.open[:1], bars.close[:-1]])
    ratios = [side[drawn] / before[drawn] for side in (bars.open, bars.high, bars.low, bars.close)]
    anchor = bars.close[first - 1] if first else bars.open[0]
    closes = anchor * np.cumprod(ratios[3])
    bases = np.concatenate([[anchor], closes[:-1]])
    scale = market.instrument.scale
    opened, high, low, close = (to_tick_array(bases * ratio, scale) for ratio in ratios)
    high, low = np.maximum.reduce([opened, high, close]), np.minimum.reduce([opened, low, close])
    volume = bars.volume[drawn]

    def joined(kept: Floats, new: Floats) -> Floats:
        return np.concatenate([kept[:first], new, kept[last:last]])

    stamps_ns = bars.closed_at_ns[:last]
    redrawn = BarArrays(
        stamps_ns,
        joined(bars.open, opened),
        joined(bars.high, high),
        joined(bars.low, low),
        joined(bars.close, close),
        joined(bars.volume, volume),
    )
    return redrawn, _market_of(redrawn, market, first, drawn - first)


def to_tick_array(prices: Floats, scale: float) -> Floats:
    """Round prices to the instrument's step, as `online.domain.market.to_tick` does."""
    rounded: Floats = np.asarray(to_tick(prices, scale))  # type: ignore[arg-type] # arithmetic alone
    return rounded


def _market_of(bars: BarArrays, market: Market, first: int, drawn: npt.NDArray[np.int64]) -> Market:
    scale = market.instrument.scale
    stored, quotes = [], []
    for place, source in enumerate(drawn.tolist()):
        known = bars.bar(first + place)
        bar = Bar(*(known.closed_at_ns, known.open, known.high, known.low, known.close))
        quoted = market.quotes[source]
        spread = (quoted.ask_open - quoted.bid_open) * scale
        stored.append(bar)
        quotes.append(two_sided(bar, market.timeframe, market.side, spread, scale))
    return Market(
        *(market.instrument, market.timeframe, market.side),
        *(tuple(stored), tuple(quotes), market.spread),
    )
