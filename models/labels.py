"""Triple-barrier labels: what a position opened after each bar's decision would have become.

The label is the exit. A decision at the close of bar t enters at the open of bar t+1 (a buy at
the ask, a sell at the bid), with the stop and target of `online.domain.barriers`, and ends by the
very functions the simulated terminal and the backtest use.

Source: López de Prado, Advances in Financial Machine Learning, 2018, chapter 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from models.bars import Bars, Floats, Stamps, TwoSided
from models.costs import Costs
from models.targets import Target, classify_reached, classify_volatility
from online.domain.barriers import (
    BarrierRule,
    Exit,
    barrier_prices,
    deadline_ns,
    touches_stop,
    touches_target,
)
from online.domain.errors import InvalidMarketData
from online.domain.market import Side
from online.domain.slippage import slip, slips

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

EXITS: tuple[Exit, Exit, Exit] = (Exit.STOP, Exit.TARGET, Exit.TIMEOUT)
"""Exits by the code stored in `Outcome.exit`."""
STOPPED, REACHED, TIMED_OUT = range(3)
_SLIPS = np.array([slips(ended) for ended in EXITS])
_ALIVE = -1


class Outcome(IntEnum):
    """Class of a label, in the order of a signal's probabilities."""

    SHORT = 0
    NEITHER = 1
    LONG = 2


@dataclass(frozen=True, slots=True)
class SideLabels:
    """What became of one side's position, one row a label, shape ``(n_labels,)`` each.

    Parameters
    ----------
    exit
        Code into `EXITS`.
    entry, filled
        Prices of entry and exit, slippage in both.
    ended_at_ns
        Close of the bar that ended the position, nanoseconds UTC.
    risk
        Distance from the entry's quote to the stop, in price (> 0).
    net_price
        Profit after spread, commission, swap and slippage, in price.
    net_units
        The same in units of `risk`.
    """

    exit: npt.NDArray[np.int8]
    entry: Floats
    filled: Floats
    ended_at_ns: Stamps
    risk: Floats
    net_price: Floats
    net_units: Floats

    def take(self, rows: Rows | slice) -> SideLabels:
        """Return the labels at `rows`."""
        return SideLabels(
            self.exit[rows],
            self.entry[rows],
            self.filled[rows],
            self.ended_at_ns[rows],
            self.risk[rows],
            self.net_price[rows],
            self.net_units[rows],
        )


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of decision bars, one row each, oldest first.

    Parameters
    ----------
    decided_at_ns
        Close of the decision bar, nanoseconds UTC.
    ended_at_ns
        Close of the bar at which the later side's exit is known, nanoseconds UTC.
    classes
        `Outcome` codes.
    long, short
        What became of each side.
    """

    decided_at_ns: Stamps
    ended_at_ns: Stamps
    classes: npt.NDArray[np.int64]
    long: SideLabels
    short: SideLabels

    def __len__(self) -> int:
        """Return the number of labels."""
        return len(self.classes)

    def take(self, rows: Rows | slice) -> Labels:
        """Return the labels at `rows`."""
        return Labels(
            self.decided_at_ns[rows],
            self.ended_at_ns[rows],
            self.classes[rows],
            self.long.take(rows),
            self.short.take(rows),
        )


@dataclass(frozen=True, slots=True)
class Labelled:
    """Labels and the bars that could have none.

    Parameters
    ----------
    rows
        Position of each labelled bar among the bars given, shape ``(n_labels,)``.
    labels
        Their labels.
    left_out
        Number of bars without a label, by reason.
    """

    rows: Rows
    labels: Labels
    left_out: dict[str, int]


def horizon_ns(rule: BarrierRule) -> int:
    """Return the longest span from a decision to the close of the bar that ends its label.

    Entry is one bar after the decision and a time-out closes at the open of the bar after its
    deadline; market closures come on top, which is why purging uses each label's own end.
    """
    return rule.timeout_ns + rule.timeframe.duration_ns


def label_bars(
    market: TwoSided,
    unit: Floats,
    rule: BarrierRule,
    costs: Costs,
    scale: float,
    target: Target = Target.BARRIER,
) -> Labelled:
    """Label every bar that can be.

    Parameters
    ----------
    market
        Both sides of the bars, shape ``(n_bars,)``.
    unit
        The rule's unit feature at each bar, float32 values held as float64; not finite where it
        is missing, shape ``(n_bars,)``.
    rule
        The barriers.
    costs
        Commission, swap and slippage; the spread is in the two sides already.
    scale
        Points in one unit of price (`Instrument.scale`).
    target
        What the classes mean.

    Returns
    -------
    Labelled
        Labels whose whole horizon lies within the bars given: of a bar too near the end, those
        that happen to end early would be no fair sample.

    Raises
    ------
    InvalidMarketData
        If bars overlap: closer together than the rule's timeframe; if slippage leaves no price.
    """
    closed = market.bid.closed_at_ns
    duration = rule.timeframe.duration_ns
    if np.any(np.diff(closed) < duration):
        raise InvalidMarketData(f"bars overlap: closer together than one {rule.timeframe}")
    n_bars = len(closed)
    row = np.arange(n_bars, dtype=np.int64)
    has_unit = np.isfinite(unit) & (unit > 0.0)
    has_next = np.zeros(n_bars, dtype=np.bool_)
    has_next[:-1] = closed[1:] - duration == closed[:-1]
    is_last = row == n_bars - 1
    rows = row[has_unit & has_next]
    stamps = closed - duration
    long = _live(Side.BUY, market.ask, market.bid, stamps, rows, unit[rows], rule, scale)
    short = _live(Side.SELL, market.bid, market.ask, stamps, rows, unit[rows], rule, scale)
    complete = stamps[rows + 1] + rule.timeout_ns <= stamps[-1]
    if target is Target.VOLATILITY:
        complete &= rows + rule.timeout_bars < n_bars
    flat = complete & ((long.risk <= 0.0) | (short.risk <= 0.0))
    kept = complete & ~flat
    long, short, rows_kept = long.take(kept), short.take(kept), rows[kept]
    last = np.maximum(long.bar, short.bar)
    match target:
        case Target.BARRIER:
            classes = classify_reached(long.code == REACHED, short.code == REACHED)
        case Target.DIRECTION:
            classes = classify_reached(long.filled > long.entry, short.filled < short.entry)
        case Target.VOLATILITY:
            last = np.maximum(last, rows_kept + rule.timeout_bars)
            of_rows = (rows_kept, unit[rows_kept], rule.timeout_bars)
            classes = classify_volatility(market.bid, *of_rows)
        case _:
            assert_never(target)
    labels = Labels(
        decided_at_ns=closed[rows_kept],
        ended_at_ns=closed[last],
        classes=classes,
        long=_settle(Side.BUY, long, market.bid, stamps[rows_kept + 1], costs, scale),
        short=_settle(Side.SELL, short, market.bid, stamps[rows_kept + 1], costs, scale),
    )
    left_out = {
        "no_unit": int(np.sum(~has_unit)),
        "gap_after_decision": int(np.sum(has_unit & ~has_next & ~is_last)),
        "beyond_window": int(np.sum(~complete)) + int(np.sum(has_unit & is_last)),
        "no_risk": int(np.sum(flat)),
    }
    return Labelled(rows_kept, labels, left_out)


@dataclass(frozen=True, slots=True)
class _Life:
    """Working state of one side: exit code, prices, risk, the ending bar, the last instant held."""

    code: npt.NDArray[np.int8]
    entry: Floats
    filled: Floats
    risk: Floats
    bar: Rows
    until_ns: Stamps

    def take(self, kept: Mask) -> _Life:
        return _Life(
            *(self.code[kept], self.entry[kept], self.filled[kept], self.risk[kept]),
            *(self.bar[kept], self.until_ns[kept]),
        )


def _live(
    side: Side,
    opening: Bars,
    closing: Bars,
    opened_at_ns: Stamps,
    rows: Rows,
    unit: Floats,
    rule: BarrierRule,
    scale: float,
) -> _Life:
    """Open a position after each of `rows` and follow all of them, one bar further a step."""
    entry = opening.open[rows + 1]
    entry_any: Any = entry  # the domain's float functions take arrays elementwise
    unit_any: Any = unit
    prices: Any = barrier_prices(side, entry_any, unit_any, rule, scale)
    stop, target = prices
    if not rule.has_target:
        target = np.full(len(rows), side.sign * np.inf)
    opened_any: Any = opened_at_ns[rows + 1]
    deadline: Any = deadline_ns(opened_any, rule)
    life = _Life(
        code=np.full(len(rows), _ALIVE, dtype=np.int8),
        entry=entry,
        filled=np.zeros(len(rows)),
        risk=(entry - stop) * side.sign,
        bar=np.zeros(len(rows), dtype=np.int64),
        until_ns=np.zeros(len(rows), dtype=np.int64),
    )
    alive = np.arange(len(rows), dtype=np.int64)
    for step in range(1, rule.timeout_bars + 2):
        alive = alive[rows[alive] + step < len(closing)]
        bar = rows[alive] + step
        opened: Any = closing.open[bar]
        high: Any = closing.high[bar]
        low: Any = closing.low[bar]
        # The order of `exit_at_open`, the time-out, and then the rest of `exit_within_bar`.
        at_open = _touched(side, stop[alive], target[alive], opened, opened)
        late = (opened_at_ns[bar] >= deadline[alive]) & (step > 1)
        within = _touched(side, stop[alive], target[alive], high, low)
        code = np.where(at_open != _ALIVE, at_open, np.where(late, TIMED_OUT, within))
        at_market = (at_open == STOPPED) | (code == TIMED_OUT)
        price = np.where(code == REACHED, target[alive], stop[alive])
        life.filled[alive] = np.where(at_market, opened, price)
        life.code[alive] = code
        life.bar[alive] = bar
        before_close = closing.closed_at_ns[bar] - 1  # a rollover within the bar came first
        life.until_ns[alive] = np.where((at_open != _ALIVE) | late, opened_at_ns[bar], before_close)
        alive = alive[code == _ALIVE]
    return life


def _touched(
    side: Side,
    stop: Any,  # noqa: ANN401 - the domain's float functions, on arrays
    target: Any,  # noqa: ANN401 - see above
    high: Any,  # noqa: ANN401 - see above
    low: Any,  # noqa: ANN401 - see above
) -> npt.NDArray[np.int8]:
    """Return which barrier each range touches, the stop first; `_ALIVE` where none."""
    stopped, reached = touches_stop(side, stop, high, low), touches_target(side, target, high, low)
    return np.where(stopped, STOPPED, np.where(reached, REACHED, _ALIVE)).astype(np.int8)


def _settle(
    side: Side, life: _Life, bars: Bars, opened_at_ns: Stamps, costs: Costs, scale: float
) -> SideLabels:
    """Turn finished lives into labels with their net results."""
    entry_any: Any = life.entry  # the domain's float functions take arrays elementwise
    filled_any: Any = life.filled
    entry: Any = slip(entry_any, side, costs.slippage_points, scale)
    worse: Any = slip(filled_any, side.opposite, costs.slippage_points, scale)
    filled = np.where(_SLIPS[life.code], worse, life.filled)
    if np.any(entry <= 0.0) or np.any(filled <= 0.0):
        raise InvalidMarketData(f"slippage of {costs.slippage_points} points leaves no price")
    gained = (filled - entry) * side.sign
    paid = costs.swap.paid(side, opened_at_ns, life.until_ns)
    net_price = gained - costs.commission_price + paid
    return SideLabels(
        exit=life.code,
        entry=entry,
        filled=filled,
        ended_at_ns=bars.closed_at_ns[life.bar],
        risk=life.risk,
        net_price=net_price,
        net_units=net_price / life.risk,
    )
