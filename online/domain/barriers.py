"""The exit is the label: one function turns a model's barriers into stop, target and time-out.

Labels, backtest and live trading call these functions and no others. They use arithmetic and
comparisons alone, so a NumPy array takes the same path, bit for bit, as each of its elements.
"""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec

from online.domain.errors import InvalidManifest
from online.domain.market import BUY, Side, Timeframe, to_tick


class Exit(StrEnum):
    """What ended a position."""

    STOP = "stop"
    TARGET = "target"
    TIMEOUT = "timeout"


_STOP, _TARGET = Exit.STOP, Exit.TARGET


class BarrierRule(msgspec.Struct, frozen=True):
    """Triple barriers in units of a volatility feature.

    Parameters
    ----------
    stop_units, target_units
        Distance of stop and target from the entry price, in units (> 0). The stop is not wider
        than the target, so that a long's and a short's target cannot both be reached first. A
        target of 0 is none: the position ends by its stop or its time-out.
    timeout_bars
        Life of a position in bars of `timeframe` (> 0), measured on the clock.
    timeframe
        The bars of the label.
    unit_feature
        Name of the feature that is one unit, in price; its stored float32 value is used.
    """

    stop_units: float
    target_units: float
    timeout_bars: int
    timeframe: Timeframe
    unit_feature: str = "atr_14"

    def __post_init__(self) -> None:
        widest = self.target_units if self.has_target else math.inf
        if not (0.0 < self.stop_units <= widest and self.stop_units < math.inf):
            raise InvalidManifest(
                "barriers need 0 < stop_units <= target_units, or no target, got "
                f"{self.stop_units} and {self.target_units}"
            )
        if self.timeout_bars < 1:
            raise InvalidManifest(f"timeout_bars must be at least 1, got {self.timeout_bars}")

    @property
    def has_target(self) -> bool:
        """Whether a position may end by reaching a target."""
        return self.target_units != 0.0

    @property
    def timeout_ns(self) -> int:
        """Life of a position, nanoseconds."""
        return self.timeout_bars * self.timeframe.duration_ns


def barrier_prices(
    side: Side, entry: float, unit: float, rule: BarrierRule, scale: float
) -> tuple[float, float]:
    """Return the stop and target prices of a position.

    Parameters
    ----------
    side
        Direction of the position.
    entry
        Price the position opens at: the ask for a buy, the bid for a sell.
    unit
        The unit feature at the decision's bar, in price.
    rule
        The label's barriers.
    scale
        Points in one unit of price (`Instrument.scale`).

    Returns
    -------
    tuple of float
        Stop and target, each rounded to the instrument's step; a target of 0.0 is none.
    """
    sign = side.sign
    stop = to_tick(entry - sign * rule.stop_units * unit, scale)
    if not rule.has_target:
        return stop, 0.0 * stop
    target = to_tick(entry + sign * rule.target_units * unit, scale)
    return stop, target


def touches_stop(side: Side, stop: float, high: float, low: float) -> bool:
    """Tell whether a bar reaches the stop.

    `high` and `low` are of the side the position closes at: bid for a buy, ask for a sell.
    """
    return low <= stop if side is BUY else high >= stop


def touches_target(side: Side, target: float, high: float, low: float) -> bool:
    """Tell whether a bar reaches the target; `high` and `low` as in `touches_stop`."""
    return high >= target if side is BUY else low <= target


def exit_at_open(
    side: Side, stop: float, target: float, opened: float
) -> tuple[Exit, float] | None:
    """Return how and where a bar's first price ends a position, or None while it lives on.

    Asked before a time-out: what the broker holds is executed before an order that comes later.
    A target fills at its price, never better: what a gap would add is not counted.
    """
    if touches_stop(side, stop, opened, opened):
        return _STOP, opened
    if touches_target(side, target, opened, opened):
        return _TARGET, target
    return None


def exit_within_bar(
    side: Side, stop: float, target: float, opened: float, high: float, low: float
) -> tuple[Exit, float] | None:
    """Return how and where a bar ends a position, or None while it lives on.

    The open comes first. Within the bar the stop is assumed to come before the target.

    Parameters
    ----------
    side
        Direction of the position.
    stop, target
        Its barriers.
    opened, high, low
        The bar's prices on the side the position closes at.
    """
    at_open = exit_at_open(side, stop, target, opened)
    if at_open is not None:
        return at_open
    if touches_stop(side, stop, high, low):
        return _STOP, stop
    if touches_target(side, target, high, low):
        return _TARGET, target
    return None


def deadline_ns(opened_at_ns: int, rule: BarrierRule) -> int:
    """Return when a position times out: the first quote at or after this instant closes it."""
    return opened_at_ns + rule.timeout_ns


def other_side(price: float, spread_points: float, sign: int, scale: float) -> float:
    """Return the other side of a one-sided price under an assumed spread.

    Parameters
    ----------
    price
        Known price, or array of prices.
    spread_points
        Assumed spread, points (>= 0).
    sign
        -1 from ask to bid, +1 from bid to ask.
    scale
        Points in one unit of price.
    """
    return to_tick(price + sign * spread_points / scale, scale)
