"""What the broker lays down: for each symbol, for the account and for its server."""

from __future__ import annotations

import math

import msgspec

from online.domain.errors import InvalidSettings
from online.domain.market import WEEKDAYS, Instrument
from online.simulator import constants as mt5
from online.simulator.server_time import UTC, ServerTime
from online.simulator.sessions import Sessions

ALL_ORDER_MODES = 127
ALL_EXPIRATION_MODES = 15


class TradingRules(msgspec.Struct, frozen=True, kw_only=True):
    """How a symbol may be traded, beyond what its `Instrument` says.

    Parameters
    ----------
    execution
        ``SYMBOL_TRADE_EXECUTION_*``: market and exchange execution ignore price and deviation.
    filling_modes, order_modes, expiration_modes
        Masks of ``SYMBOL_FILLING_*``, ``SYMBOL_ORDER_*`` and ``SYMBOL_EXPIRATION_*``.
    trade_mode
        ``SYMBOL_TRADE_MODE_*``.
    freeze_level_points
        Distance from its trigger within which nothing may be changed, points (>= 0).
    volume_limit_lots
        Greatest volume of positions and orders in one direction; 0.0 for none.
    depth_lots
        Volume that each quote offers on either side (> 0).
    swap_long_points, swap_short_points
        Paid at each rollover, points; negative costs.
    triple_swap_day
        ``DAY_OF_WEEK_*`` whose rollover counts three times.
    slippage_points
        By how much fills at the market are worse than the quote, stop-outs and triggered stops
        included (>= 0).
    sessions
        When orders are taken, in the server's time; None for always.
    far_price_fraction
        Distance from the market beyond which instant execution calls a price invalid.
    """

    execution: int = mt5.SYMBOL_TRADE_EXECUTION_MARKET
    filling_modes: int = mt5.SYMBOL_FILLING_FOK | mt5.SYMBOL_FILLING_IOC
    order_modes: int = ALL_ORDER_MODES
    expiration_modes: int = ALL_EXPIRATION_MODES
    trade_mode: int = mt5.SYMBOL_TRADE_MODE_FULL
    freeze_level_points: int = 0
    volume_limit_lots: float = 0.0
    depth_lots: float = math.inf
    swap_long_points: float = 0.0
    swap_short_points: float = 0.0
    triple_swap_day: int = mt5.DAY_OF_WEEK_WEDNESDAY
    slippage_points: int = 0
    sessions: Sessions | None = None
    far_price_fraction: float = 0.01

    def __post_init__(self) -> None:
        if not (self.depth_lots > 0.0 and self.freeze_level_points >= 0):
            raise InvalidSettings(
                "trading rules need depth_lots > 0 and freeze_level_points >= 0, got "
                f"{self.depth_lots} and {self.freeze_level_points}"
            )
        if not (type(self.slippage_points) is int and self.slippage_points >= 0):
            raise InvalidSettings(
                f"slippage_points must be a whole number, 0 or more, got {self.slippage_points!r}"
            )

    @classmethod
    def of(cls, instrument: Instrument) -> TradingRules:
        """Return the default with an instrument's swap, as far as it is known, and slippage."""
        return cls(
            swap_long_points=instrument.swap_long_points or 0.0,
            swap_short_points=instrument.swap_short_points or 0.0,
            triple_swap_day=WEEKDAYS.index(instrument.triple_swap_day),
            slippage_points=instrument.slipped_points,
        )

    @property
    def at_market(self) -> bool:
        """True where the client's price and deviation are ignored."""
        return self.execution in {
            mt5.SYMBOL_TRADE_EXECUTION_MARKET,
            mt5.SYMBOL_TRADE_EXECUTION_EXCHANGE,
        }

    def swap_points(self, *, long: bool) -> float:
        """Return the points a position of a side is paid at a rollover."""
        return self.swap_long_points if long else self.swap_short_points


class AccountRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the broker agreed with the client.

    Parameters
    ----------
    currency, currency_digits
        Of the account; amounts are rounded to so many decimals.
    leverage
        Notional a unit of margin carries (> 0).
    commission_per_lot
        Taken on every deal that opens or closes volume, account currency (>= 0).
    hedging
        True if a symbol may have several positions; False if they net into one.
    stop_out_percent, margin_call_percent
        Levels of equity over margin; at the first the server closes positions.
    limit_orders
        Greatest number of resting orders; 0 for none.
    requests_per_second
        Greatest rate at which the server answers; 0 for none.
    zone
        The server's clock.
    trade_mode
        Of the terminal's constants: a demo's, a contest's or a real account.
    """

    currency: str = "USD"
    currency_digits: int = 2
    leverage: float = 100.0
    commission_per_lot: float = 0.0
    hedging: bool = False
    stop_out_percent: float = 50.0
    margin_call_percent: float = 100.0
    limit_orders: int = 200
    requests_per_second: int = 0
    zone: ServerTime = UTC
    trade_mode: int = mt5.ACCOUNT_TRADE_MODE_DEMO

    def __post_init__(self) -> None:
        if not (self.leverage > 0.0 and 0.0 <= self.commission_per_lot < math.inf):
            raise InvalidSettings(
                "a simulated account needs leverage > 0 and commission_per_lot >= 0, got "
                f"{self.leverage} and {self.commission_per_lot}"
            )
        if not 0.0 <= self.stop_out_percent <= self.margin_call_percent:
            raise InvalidSettings(
                "a simulated account needs 0 <= stop_out_percent <= margin_call_percent, got "
                f"{self.stop_out_percent} and {self.margin_call_percent}"
            )
