"""Sizing: the volume whose whole loss at its stop is the share of equity that may be lost."""

from __future__ import annotations

import math

import msgspec

from online.domain.account import Account
from online.domain.conversion import Rates, highest_rate
from online.domain.limits import Limits
from online.domain.market import BUY, SELL, Instrument, floor_to_step
from online.domain.slippage import slip


class Sizing(msgspec.Struct, frozen=True, gc=False):
    """Why an entry has its volume: amounts in the account's currency, those of a lot at its stop.

    Parameters
    ----------
    budget
        What may be lost (> 0).
    price_per_lot
        Lost from the quote of the entry to the stop (> 0).
    slippage_per_lot
        By how much both fills are worse (>= 0); null where it is not known: none is counted.
    commission_per_lot
        Of both sides (>= 0); null where it is not known: none is counted.
    most_lots
        The largest volume that limits and instrument allow.
    least_lots, step_lots
        The instrument's.
    """

    budget: float
    price_per_lot: float
    slippage_per_lot: float | None
    commission_per_lot: float | None
    most_lots: float
    least_lots: float
    step_lots: float

    @property
    def loss_per_lot(self) -> float:
        """What one lot loses at its stop, with all that is known to be charged."""
        costs = (self.slippage_per_lot or 0.0) + (self.commission_per_lot or 0.0)
        return self.price_per_lot + costs

    @property
    def afforded_lots(self) -> float:
        """The volume that loses the budget, before steps and limits."""
        return self.budget / self.loss_per_lot

    @property
    def volume_lots(self) -> float:
        """The volume, floored to a tradable one; 0.0 if the budget does not buy the smallest."""
        return floor_to_step(
            min(self.afforded_lots, self.most_lots), self.least_lots, self.step_lots
        )


def size_entry(
    account: Account,
    entry: float,
    stop: float,
    instrument: Instrument,
    limits: Limits,
    rates: Rates,
) -> Sizing | None:
    """Return the volume whose whole loss at the stop is the risk budget, and why it is that.

    Fixed-fractional sizing. The loss is what the simulated terminal books and labels are charged:
    both fills slip, commission is paid on both sides. A gap through the stop and a night's swap
    come on top.

    Parameters
    ----------
    account
        Its equity and currency.
    entry, stop
        Prices: the quote that is bought or sold, and where the position is given up.
    instrument
        Contract size, volume steps, slippage; its commission, None where it is not known.
    limits
        Risk per trade and largest volume.
    rates
        Of conversion pairs; needed where the account's currency is on neither side of the pair.

    Returns
    -------
    Sizing or None
        None if nothing may be lost, the stop is no distance away, or the loss cannot be told in the
        account's currency.
    """
    side = BUY if entry > stop else SELL
    points, scale = instrument.slipped_points, instrument.scale
    got = slip(stop, side.opposite, points, scale)
    rate = _worth_of_profit(account.currency, got, instrument, rates)
    if rate is None:
        return None
    price_per_lot = abs(entry - stop) * instrument.contract_size * rate
    moved = abs(slip(entry, side, points, scale) - got)
    slipped = moved * instrument.contract_size * rate - price_per_lot
    commission = instrument.commission_per_lot
    sizing = Sizing(  # by place, which is quicker
        account.equity * limits.risk_per_trade_fraction,
        price_per_lot,
        None if instrument.slippage_points is None else max(slipped, 0.0),
        None if commission is None else 2.0 * commission,
        min(limits.of(instrument.symbol).max_volume_lots, instrument.volume_max),
        instrument.volume_min,
        instrument.volume_step,
    )
    told = price_per_lot > 0.0 and sizing.loss_per_lot < math.inf
    return sizing if told and 0.0 < sizing.budget < math.inf else None


def _worth_of_profit(
    currency: str, closed: float, instrument: Instrument, rates: Rates
) -> float | None:
    """Return what one unit of the profit currency is worth when a position closes at a price."""
    if instrument.profit_currency == currency:
        return 1.0
    if instrument.base_currency == currency:  # the loss is paid for at that very price
        return 1.0 / closed if closed > 0.0 else None
    return highest_rate(rates, instrument.profit_currency, currency)
