"""What the trade server checks of a request before it trades."""

from __future__ import annotations

from online.domain.market import Instrument, Side, to_tick
from online.simulator import constants as mt5
from online.simulator.markets import Market

_TICK_TOLERANCE = 1e-3  # points: what binary fractions may add to a price on the grid
_DISTANCE_TOLERANCE = 1e-6


def check_volume(volume: float, instrument: Instrument) -> int:
    """Return 0, or the code that refuses a volume in lots."""
    if not instrument.volume_min <= volume <= instrument.volume_max:
        return mt5.TRADE_RETCODE_INVALID_VOLUME
    steps = volume / instrument.volume_step
    return (
        0 if abs(steps - round(steps)) < _DISTANCE_TOLERANCE else mt5.TRADE_RETCODE_INVALID_VOLUME
    )


def on_grid(price: float, scale: float) -> bool:
    """Tell whether a price has no more decimals than the symbol."""
    return abs(price - to_tick(price, scale)) * scale < _TICK_TOLERANCE


def check_exits(side: Side, stop: float, target: float, closing: float, market: Market) -> int:
    """Return 0, or the code that refuses the exits of a position.

    Parameters
    ----------
    side
        Of the position.
    stop, target
        Prices; 0.0 where there is none.
    closing
        Price from which distances count: the bid for a buy, the ask for a sell.
    market
        Its instrument says the least distance; one point where it says 0.
    """
    instrument = market.instrument
    least = max(instrument.stops_level_points, 1) - _DISTANCE_TOLERANCE
    for level, sign in ((stop, side.sign), (target, -side.sign)):
        if not level:
            continue
        if level < 0.0 or not on_grid(level, instrument.scale):
            return mt5.TRADE_RETCODE_INVALID_STOPS
        if sign * (closing - level) * instrument.scale < least:
            return mt5.TRADE_RETCODE_INVALID_STOPS
    return 0
