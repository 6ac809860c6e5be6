"""The trade request: an intent in the types and steps that the MetaTrader5 package takes.

The package returns None for an integer volume or a NumPy magic and ignores unknown keys; so the
request is built here alone, from closed fields, each of its exact type.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal

import msgspec

from online.domain.errors import InvalidInput
from online.domain.market import BUY, Side, exact_decimal, to_tick
from online.domain.order import (
    CANCEL,
    COMMENT_LIMIT,
    MODIFY,
    SEQUENCE_BITS,
    STRATEGY_BITS,
    Intent,
    OrderKind,
    Purpose,
)
from online.simulator import constants as mt5
from online.simulator.info_tuples import SymbolInfo

SYMBOL_LIMIT = 29
"""Characters of a symbol that the package takes."""

Request = dict[str, int | float | str]
_RESTING_TYPES = {
    (OrderKind.LIMIT, Side.BUY): mt5.ORDER_TYPE_BUY_LIMIT,
    (OrderKind.LIMIT, Side.SELL): mt5.ORDER_TYPE_SELL_LIMIT,
    (OrderKind.STOP, Side.BUY): mt5.ORDER_TYPE_BUY_STOP,
    (OrderKind.STOP, Side.SELL): mt5.ORDER_TYPE_SELL_STOP,
}


class SymbolRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one symbol has of its own: a point is of another size on each market.

    Parameters
    ----------
    deviation_points, collar_points
        As in `OrderRules`; null for what holds for all.
    """

    deviation_points: int | None = None
    collar_points: float | None = None


class OrderRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How orders are sent.

    Parameters
    ----------
    deviation_points
        Slippage allowed in instant execution, points (>= 0); market execution ignores it.
    collar_points
        An entry is not sent at a price that is worse than the decided one by more, points (> 0).
        In market execution this is the only limit there is.
    repriced_sends
        How often an order that was requoted may be sent again within the collar, 0 to 2.
    symbols
        What a symbol has of its own, by Sextant's name of it.
    """

    deviation_points: int = 10
    collar_points: float = 50.0
    repriced_sends: int = 2
    symbols: dict[str, SymbolRules] = {}

    def __post_init__(self) -> None:
        sends = range(3)
        if self.deviation_points < 0 or not 0.0 < self.collar_points < math.inf:
            raise InvalidInput("deviation_points must be >= 0 and collar_points > 0")
        if self.repriced_sends not in sends:
            raise InvalidInput(f"repriced_sends must be 0, 1 or 2, got {self.repriced_sends}")
        for symbol in self.symbols:
            try:
                self.of(symbol)
            except InvalidInput as error:
                raise InvalidInput(f"rules of {symbol}: {error}") from error

    def of(self, symbol: str) -> OrderRules:
        """Return the rules of one symbol: its own, and else what holds for all."""
        own = self.symbols.get(symbol)
        if own is None:
            return self
        deviation, collar = own.deviation_points, own.collar_points
        return OrderRules(
            self.deviation_points if deviation is None else deviation,
            self.collar_points if collar is None else collar,
            self.repriced_sends,
        )


def check_intent(intent: Intent) -> None:
    """Refuse an intent that no terminal could take, before anything is written.

    Raises
    ------
    InvalidInput
        Naming the field, what was expected and what came.
    """
    for is_wrong, tell in _FAULTS:
        if is_wrong(intent):
            raise InvalidInput(tell(intent), code="INVALID_INTENT")


def _levels(intent: Intent) -> tuple[float, float, float, float]:
    return intent.stop, intent.target, intent.quoted, intent.price


_Fault = tuple[Callable[[Intent], bool], Callable[[Intent], str]]
_FAULTS: tuple[_Fault, ...] = (
    (lambda i: not i.intent_id, lambda _: "intent_id must not be empty"),
    (
        lambda i: not 0 <= i.magic < 1 << (STRATEGY_BITS + SEQUENCE_BITS),
        lambda i: f"magic must be within 63 bits, got {i.magic}",
    ),
    (
        lambda i: not i.comment.isascii() or not 0 < len(i.comment) <= COMMENT_LIMIT,
        lambda i: f"comment must be 1 to {COMMENT_LIMIT} ASCII characters, got {i.comment!r}",
    ),
    (
        lambda i: not 0 < len(i.symbol) <= SYMBOL_LIMIT,
        lambda i: f"symbol must have 1 to {SYMBOL_LIMIT} characters, got {i.symbol!r}",
    ),
    (
        lambda i: not math.isfinite(i.volume_lots) or (i.trades and not i.volume_lots > 0.0),
        lambda i: f"volume_lots must be finite and positive, got {i.volume_lots}",
    ),
    (
        lambda i: not all(0.0 <= level < math.inf for level in _levels(i)),
        lambda i: (
            f"stop, target, quoted and price must be finite and not negative, got {_levels(i)}"
        ),
    ),
    (
        lambda i: min(i.position, i.order, i.rests_until_ns) < 0,
        lambda _: "position, order and rests_until_ns must not be negative",
    ),
    (
        lambda i: i.purpose is Purpose.ENTRY and not i.stop > 0.0,
        lambda _: "an entry needs a stop loss at the broker",
    ),
    (
        lambda i: i.rests is not (i.price > 0.0) or (i.rests and i.purpose is not Purpose.ENTRY),
        lambda i: f"a resting entry, and it alone, has a price; got {i.kind} at {i.price}",
    ),
    (
        lambda i: i.purpose is Purpose.CLOSE and not i.position,
        lambda _: "a close needs the position's ticket: without it a hedging account opens another",
    ),
    (
        lambda i: i.purpose is Purpose.MODIFY and not (i.position and i.stop > 0.0),
        lambda _: "a modify needs the position's ticket and leaves it with a stop loss",
    ),
    (
        lambda i: (i.purpose is Purpose.CANCEL) is not (i.order > 0),
        lambda i: f"a cancel, and it alone, names a resting order; got {i.order}",
    ),
)


def build_request(
    intent: Intent, symbol: SymbolInfo, price: float, rules: OrderRules, expiration: int = 0
) -> Request:
    """Return the request that carries out an intent.

    Parameters
    ----------
    intent
        A checked one.
    symbol
        What the terminal says of it; its name is the broker's.
    price
        Fresh, of the order's side; of a market order alone.
    expiration
        When a resting order ends, seconds of server time; 0 if it does not.

    Raises
    ------
    InvalidInput
        With code ``NO_FILLING_MODE`` if the symbol allows none that fits.
    """
    marks: Request = {
        "symbol": str(symbol.name),
        "magic": int(intent.magic),
        "comment": str(intent.comment),
    }
    if intent.purpose is CANCEL:
        return {**marks, "action": mt5.TRADE_ACTION_REMOVE, "order": int(intent.order)}
    exits = {"sl": to_tick_size(intent.stop, symbol), "tp": to_tick_size(intent.target, symbol)}
    if intent.purpose is MODIFY:
        position = int(intent.position)
        return {**marks, **exits, "action": mt5.TRADE_ACTION_SLTP, "position": position}
    if intent.rests:
        return {
            **marks,
            **exits,
            "action": mt5.TRADE_ACTION_PENDING,
            "volume": floor_to_step(intent.volume_lots, symbol.volume_step),
            "type": _RESTING_TYPES[intent.kind, intent.side],
            "price": to_tick_size(intent.price, symbol),
            "type_time": mt5.ORDER_TIME_SPECIFIED if expiration else mt5.ORDER_TIME_GTC,
            "expiration": int(expiration),
            "type_filling": mt5.ORDER_FILLING_RETURN,
        }
    return {
        **marks,
        **exits,
        "action": mt5.TRADE_ACTION_DEAL,
        "volume": floor_to_step(intent.volume_lots, symbol.volume_step),
        "type": mt5.ORDER_TYPE_BUY if intent.side is BUY else mt5.ORDER_TYPE_SELL,
        "price": to_tick_size(price, symbol),
        "deviation": int(rules.deviation_points),
        "position": int(intent.position),
        "type_time": mt5.ORDER_TIME_GTC,
        "type_filling": choose_filling(symbol.filling_mode, symbol.trade_exemode),
    }


def choose_filling(mask: int, execution: int) -> int:
    """Return the filling to ask for, an enum, from what the symbol allows, a mask.

    Immediate-or-cancel comes first: what cannot be filled must not rest, and part is better than
    a refusal. Market execution bars RETURN.

    Examples
    --------
    >>> choose_filling(mt5.SYMBOL_FILLING_FOK, mt5.SYMBOL_TRADE_EXECUTION_MARKET)
    0

    Raises
    ------
    InvalidInput
        With code ``NO_FILLING_MODE``.
    """
    if mask & mt5.SYMBOL_FILLING_IOC:
        return mt5.ORDER_FILLING_IOC
    if mask & mt5.SYMBOL_FILLING_FOK:
        return mt5.ORDER_FILLING_FOK
    if execution != mt5.SYMBOL_TRADE_EXECUTION_MARKET:
        return mt5.ORDER_FILLING_RETURN
    raise InvalidInput(
        f"the symbol's filling mask {mask} allows neither IOC nor FOK in market execution",
        code="NO_FILLING_MODE",
    )


def floor_to_step(volume_lots: float, step_lots: float) -> float:
    """Return the volume on the symbol's step, in decimals; one below the step stays as it is.

    Examples
    --------
    >>> floor_to_step(0.29, 0.01)
    0.29
    """
    if not step_lots > 0.0:
        return float(volume_lots)
    step, wanted = exact_decimal(step_lots), exact_decimal(volume_lots)
    floored = (wanted / step).to_integral_value(ROUND_FLOOR) * step
    return float(floored) or float(volume_lots)


def to_tick_size(price: float, symbol: SymbolInfo) -> float:
    """Return a price on the symbol's tick; 0.0 stays 0.0.

    Examples
    --------
    >>> to_tick_size(1.123456, SymbolInfo(trade_tick_size=0.00001, digits=5))
    1.12346
    """
    digits = symbol.digits
    if symbol.trade_tick_size == 10.0**-digits and price == to_tick(price, 10.0**digits):
        return float(price)  # on the tick already, as what was decided on a quote mostly is
    tick = Decimal(str(symbol.trade_tick_size or 10.0**-digits))
    steps = (Decimal(str(price)) / tick).to_integral_value(ROUND_HALF_UP)
    return round(float(steps * tick), digits)


def beyond_collar(intent: Intent, price: float, point: float, rules: OrderRules) -> float:
    """Return by how many points too bad a fresh price is for an entry; 0.0 within the collar."""
    if intent.purpose is not Purpose.ENTRY or intent.rests or not intent.quoted > 0.0:
        return 0.0
    worse_points = intent.side.sign * (price - intent.quoted) / point
    return max(0.0, worse_points - rules.collar_points)
