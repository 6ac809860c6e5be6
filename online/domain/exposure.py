"""Exposure: what is held, what is under way and what is asked for, together at their worst."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from online.domain.account import Account, Position, RestingOrder
from online.domain.conversion import Rates, highest_rate
from online.domain.market import BUY, Instrument, Side
from online.domain.order import Intent


class OrderUnderWay(msgspec.Struct, frozen=True, gc=False):
    """An entry whose fate is not known yet: it may fill whole, in part, or not at all.

    Parameters
    ----------
    magic, symbol, side, volume_lots
        As it was sent.
    price
        At which it was quoted.
    """

    magic: int
    symbol: str
    side: Side
    volume_lots: float
    price: float


class WorstCase(msgspec.Struct, frozen=True, gc=False):
    """The greatest exposure that a new order can lead to, in the account's currency.

    Parameters
    ----------
    order
        Value of the new order alone.
    symbol
        Sum over its symbol, both directions counted.
    gross
        Sum over everything.
    currencies
        Greatest net exposure to each currency of the order's pair that is not the account's,
        whichever of the orders under way fill.
    margin
        Used once everything has filled; None where the account did not tell what that needs.
    """

    order: float
    symbol: float
    gross: float
    currencies: tuple[tuple[str, float], ...]
    margin: float | None


def all_under_way(
    known: tuple[OrderUnderWay, ...], resting: tuple[RestingOrder, ...]
) -> tuple[OrderUnderWay, ...]:
    """Return the orders that may still fill: those of the journal, and what else rests there."""
    if not resting:
        return known
    ours = {order.magic for order in known}
    others = (order for order in resting if not order.magic or order.magic not in ours)
    return known + tuple(
        OrderUnderWay(each.magic, each.symbol, each.side, each.volume_lots, each.price)
        for each in others
    )


def value_of(
    symbol: str,
    volume_lots: float,
    price: float,
    instruments: Mapping[str, Instrument],
    currency: str,
    rates: Rates,
) -> float | None:
    """Return a volume's value in the account's currency, None where it cannot be told.

    Parameters
    ----------
    symbol, volume_lots, price
        What is valued.
    instruments
        By symbol.
    currency
        The account's.
    rates
        Of conversion pairs; needed where the currency is on neither side of the symbol's pair.
    """
    instrument = instruments.get(symbol)
    if instrument is None:
        return None
    units = volume_lots * instrument.contract_size
    if instrument.profit_currency == currency:
        value = units * price
    elif instrument.base_currency == currency:
        value = units
    else:
        rate = highest_rate(rates, instrument.profit_currency, currency)
        value = math.nan if rate is None else units * price * rate
    return value if 0.0 <= value < math.inf else None


def measure_worst_case(
    intent: Intent,
    account: Account,
    positions: Iterable[Position],
    under_way: Sequence[OrderUnderWay],
    instruments: Mapping[str, Instrument],
    rates: Rates,
) -> WorstCase | None:
    """Return what an entry can lead to; None if anything of it cannot be valued.

    Parameters
    ----------
    intent
        An entry.
    account, positions
        As the broker tells them.
    under_way
        Entries without a known fate; what of them is held already is not counted twice.
    instruments
        By symbol; every symbol that is held or under way must be there.
    rates
        Of conversion pairs.
    """
    currency, own = account.currency, instruments[intent.symbol]
    asked = value_of(intent.symbol, intent.volume_lots, intent.quoted, instruments, currency, rates)
    if asked is None:
        return None
    gross, by_symbol = asked, {intent.symbol: asked}
    sums = [_Net(c) for c in (own.base_currency, own.profit_currency) if c != currency]
    signed = asked if intent.side is BUY else -asked
    for net in sums:
        net.allow(own, signed)
    margin = _add_margin(account.margin, asked, own, account)
    held: dict[int, float] = {}
    for position in positions:
        symbol, volume = position.symbol, position.volume_lots
        value = value_of(symbol, volume, position.opened_price, instruments, currency, rates)
        if value is None:
            return None
        gross += value
        by_symbol[symbol] = by_symbol.get(symbol, 0.0) + value
        held[position.magic] = held.get(position.magic, 0.0) + volume
        for net in sums:
            net.hold(instruments[symbol], value if position.side is BUY else -value)
    for order in under_way:
        filled = held.get(order.magic, 0.0) if order.magic else 0.0
        left = max(order.volume_lots - filled, 0.0)
        value = value_of(order.symbol, left, order.price, instruments, currency, rates)
        if value is None:
            return None
        gross += value
        by_symbol[order.symbol] = by_symbol.get(order.symbol, 0.0) + value
        instrument = instruments[order.symbol]
        for net in sums:
            net.allow(instrument, value if order.side is BUY else -value)
        margin = _add_margin(margin, value, instrument, account)
    worst = tuple([(net.currency, net.worst) for net in sums])  # a list is quicker
    return WorstCase(asked, by_symbol[intent.symbol], gross, worst, margin)


class _Net:
    """Net exposure to a currency: what is held, and how far orders can move it either way."""

    __slots__ = ("currency", "fall", "held", "rise")

    def __init__(self, currency: str) -> None:
        self.currency = currency
        self.held = self.rise = self.fall = 0.0

    def hold(self, instrument: Instrument, signed: float) -> None:
        """Add what is held; `signed` is its value, negative for a sell."""
        self.held += signed * _direction(instrument, self.currency)

    def allow(self, instrument: Instrument, signed: float) -> None:
        """Add what may fill, or may not."""
        change = signed * _direction(instrument, self.currency)
        if change > 0.0:
            self.rise += change
        else:
            self.fall += change

    @property
    def worst(self) -> float:
        """The greatest amount, either way."""
        return max(self.held + self.rise, -(self.held + self.fall))


def _direction(instrument: Instrument, currency: str) -> int:
    """Return how a purchase of the instrument moves the exposure to a currency."""
    if instrument.base_currency == currency:
        return 1
    return -1 if instrument.profit_currency == currency else 0


def _add_margin(
    margin: float | None, value: float, instrument: Instrument, account: Account
) -> float | None:
    fraction = instrument.margin_fraction
    if not fraction and account.leverage is not None and account.leverage > 0.0:
        fraction = 1.0 / account.leverage
    return margin + value * fraction if margin is not None and fraction > 0.0 else None
