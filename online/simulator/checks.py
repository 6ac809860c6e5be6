"""What the trade server checks of a request before it trades: 0 passes, a code refuses."""

from __future__ import annotations

from collections.abc import Iterable

from online.domain.market import BUY, SELL, Instrument, Side, to_tick
from online.simulator import constants as mt5
from online.simulator.account import Ledger
from online.simulator.markets import Market
from online.simulator.records import HeldPosition, Order
from online.simulator.server_time import ServerTime

_TICK_TOLERANCE = 1e-3  # points: what binary fractions may add to a price on the grid
_TOLERANCE = 1e-6
_FILLING_MASKS = {
    mt5.ORDER_FILLING_FOK: mt5.SYMBOL_FILLING_FOK,
    mt5.ORDER_FILLING_IOC: mt5.SYMBOL_FILLING_IOC,
    mt5.ORDER_FILLING_BOC: mt5.SYMBOL_FILLING_BOC,
}


def check_volume(volume: float, instrument: Instrument) -> int:
    """Check a volume in lots against least, greatest and step."""
    if not instrument.volume_min <= volume <= instrument.volume_max:
        return mt5.TRADE_RETCODE_INVALID_VOLUME
    steps = volume / instrument.volume_step
    return 0 if abs(steps - round(steps)) < _TOLERANCE else mt5.TRADE_RETCODE_INVALID_VOLUME


def on_grid(price: float, scale: float) -> bool:
    """Tell whether a price has no more decimals than the symbol."""
    return abs(price - to_tick(price, scale)) * scale < _TICK_TOLERANCE


def check_exits(side: Side, stop: float, target: float, closing: float, market: Market) -> int:
    """Check the exits of a position.

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
    least = max(instrument.stops_level_points, 1) - _TOLERANCE
    for level, sign in ((stop, side.sign), (target, -side.sign)):
        if not level:
            continue
        if not level > 0.0 or not on_grid(level, instrument.scale):
            return mt5.TRADE_RETCODE_INVALID_STOPS
        if sign * (closing - level) * instrument.scale < least:
            return mt5.TRADE_RETCODE_INVALID_STOPS
    return 0


def check_trade_mode(side: Side, market: Market, *, opens: bool) -> int:
    """Check whether the symbol may be traded in this direction at all."""
    mode = market.rules.trade_mode
    if mode == mt5.SYMBOL_TRADE_MODE_DISABLED:
        return mt5.TRADE_RETCODE_TRADE_DISABLED
    if not opens or mode == mt5.SYMBOL_TRADE_MODE_FULL:
        return 0
    if mode == mt5.SYMBOL_TRADE_MODE_CLOSEONLY:
        return mt5.TRADE_RETCODE_CLOSE_ONLY
    if mode == mt5.SYMBOL_TRADE_MODE_LONGONLY:
        return 0 if side is BUY else mt5.TRADE_RETCODE_LONG_ONLY
    return 0 if side is SELL else mt5.TRADE_RETCODE_SHORT_ONLY


def check_open(market: Market, zone: ServerTime, now_ns: int) -> int:
    """Check whether the symbol's session is open."""
    sessions = market.rules.sessions
    closed = sessions is not None and not sessions.open_at(zone.to_server_ns(now_ns))
    return mt5.TRADE_RETCODE_MARKET_CLOSED if closed else 0


def check_filling(filling: int, market: Market, *, resting: bool) -> int:
    """Check the filling policy against the symbol's mask.

    What rests may return its remainder to the book; at the market no remainder may.
    """
    if filling == mt5.ORDER_FILLING_RETURN:
        barred = market.rules.execution == mt5.SYMBOL_TRADE_EXECUTION_MARKET and not resting
        return mt5.TRADE_RETCODE_INVALID_FILL if barred else 0
    mask = _FILLING_MASKS.get(filling, 0)
    if filling == mt5.ORDER_FILLING_BOC and not resting:
        mask = 0
    return 0 if market.rules.filling_modes & mask else mt5.TRADE_RETCODE_INVALID_FILL


def check_price(price: float, side: Side, deviation: int, market: Market) -> int:
    """Check the client's price where it counts: in instant and request execution."""
    rules, instrument = market.rules, market.instrument
    if rules.at_market:
        return 0
    current = market.opening_price(side)
    if not price > 0.0 or abs(price - current) > rules.far_price_fraction * current:
        return mt5.TRADE_RETCODE_INVALID_PRICE
    points = abs(price - current) * instrument.scale
    return mt5.TRADE_RETCODE_REQUOTE if points > deviation + _TOLERANCE else 0


def check_volume_limit(order: Order, opened: float, market: Market) -> int:
    """Check the volume in one direction, resting orders counted."""
    limit = market.rules.volume_limit_lots
    if not limit:
        return 0
    side = order.side
    taken = sum(held.volume for held in market.positions if held.side is side)
    taken += sum(resting.remaining for resting in market.orders if resting.side is side)
    over = taken + opened > limit + _TOLERANCE
    return mt5.TRADE_RETCODE_LIMIT_VOLUME if over else 0


def check_money(order: Order, opened: float, freed: float, market: Market, ledger: Ledger) -> int:
    """Check the margin of the volume that an order opens.

    Parameters
    ----------
    order
        What is to be filled.
    opened
        Volume that adds to exposure, lots.
    freed
        Margin that the same fill gives back, account currency.
    market, ledger
        Where, and with whose money.
    """
    if not ledger.values(market):
        return mt5.TRADE_RETCODE_PRICE_OFF
    needed = ledger.margin_of(market, opened, market.opening_price(order.side))
    return 0 if needed <= ledger.free_margin + freed else mt5.TRADE_RETCODE_NO_MONEY


def is_frozen(held: HeldPosition, market: Market) -> bool:
    """Tell whether a position's stop or target is too near to the market to change anything."""
    return _near(market.closing_price(held.side), (held.stop, held.target), market)


def is_order_frozen(order: Order, market: Market) -> bool:
    """Tell whether an order's trigger is too near to the market to change anything."""
    return _near(market.opening_price(order.side), (order.price,), market)


def _near(price: float, levels: Iterable[float], market: Market) -> bool:
    freeze, scale = market.rules.freeze_level_points, market.instrument.scale
    if not freeze:
        return False
    return any(level and abs(price - level) * scale <= freeze + _TOLERANCE for level in levels)
