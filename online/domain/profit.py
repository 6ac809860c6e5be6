"""Profit and exposure: a fold of the journal's deals, and beside it what the broker says."""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum

import msgspec

from online.domain.account import Account, Deal, Position
from online.domain.conversion import Rates, highest_rate
from online.domain.market import BUY, SELL, Instrument, Quote, Side

_SAME_VOLUME = 1e-9


class OpenVolume(msgspec.Struct, frozen=True, gc=False):
    """A position as its deals make it.

    Parameters
    ----------
    lots
        Sells are negative.
    price
        Average of what is open.
    """

    symbol: str
    lots: float
    price: float


class Booked(msgspec.Struct, frozen=True, gc=False):
    """What deals have added to the balance, account currency."""

    profit: float = 0.0
    commission: float = 0.0
    swap: float = 0.0

    @property
    def net(self) -> float:
        """Their sum."""
        return fsum((self.profit, self.commission, self.swap))


class Profits:
    """Folds deals into what was earned and what is open; part of the book.

    Attributes
    ----------
    booked
        By symbol.
    open
        By the position's identifier.
    """

    def __init__(self) -> None:
        self.booked: dict[str, Booked] = {}
        self.open: dict[int, OpenVolume] = {}
        self._first_balance: float | None = None

    @property
    def balance(self) -> float | None:
        """What the balance must be, if nothing but these deals has changed it; None at first."""
        if self._first_balance is None:
            return None
        return self._first_balance + fsum(each.net for each in self.booked.values())

    def observe(self, balance: float) -> None:
        """Take the first balance that was told, all deals before it having been added."""
        if self._first_balance is None:
            self._first_balance = balance - fsum(each.net for each in self.booked.values())

    def add(self, deal: Deal) -> None:
        """Add a deal; each is added once."""
        was = self.booked.get(deal.symbol, Booked())
        self.booked[deal.symbol] = Booked(
            was.profit + deal.profit, was.commission + deal.commission, was.swap + deal.swap
        )
        held = self.open.get(deal.position, OpenVolume(deal.symbol, 0.0, 0.0))
        traded = deal.side.sign * deal.volume_lots
        left = held.lots + traded
        if abs(left) < _SAME_VOLUME:
            self.open.pop(deal.position, None)
            return
        price = held.price
        if held.lots * traded >= 0.0:  # it grows: the average moves
            price = (held.price * held.lots + deal.price * traded) / left
        elif held.lots * left < 0.0:  # it turned around
            price = deal.price
        self.open[deal.position] = OpenVolume(deal.symbol, left, price)


class SymbolProfit(msgspec.Struct, frozen=True):
    """A symbol's profit and exposure, account currency where it is money.

    Parameters
    ----------
    realised, commission, swap
        Of its deals.
    net_lots, gross_lots
        Open; buys less sells, and all together.
    unrealised, notional
        At the quotes given; null where they cannot be told.
    """

    symbol: str
    realised: float
    commission: float
    swap: float
    net_lots: float
    gross_lots: float
    unrealised: float | None
    notional: float | None


class VolumeDifference(msgspec.Struct, frozen=True):
    """A position of which the journal's deals and the broker say different volumes, lots."""

    position: int
    symbol: str
    journal_lots: float
    broker_lots: float


class ProfitStatement(msgspec.Struct, frozen=True):
    """What the journal says was earned and is open, and beside it the broker's word.

    Parameters
    ----------
    realised, commission, swap, unrealised
        Over all symbols; unrealised is null where a symbol's is.
    balance
        That the journal's deals must have led to; null before any was told.
    told_balance, told_unrealised
        The broker's: its balance, and its equity less its balance (open swaps included).
    differences
        Positions that differ; an empty list where they agree.
    """

    currency: str
    realised: float
    commission: float
    swap: float
    unrealised: float | None
    balance: float | None
    told_balance: float | None
    told_unrealised: float | None
    symbols: tuple[SymbolProfit, ...]
    differences: tuple[VolumeDifference, ...] | None


def state_profit(
    profits: Profits,
    account: Account | None,
    positions: tuple[Position, ...] | None,
    quotes: Mapping[str, Quote],
    instruments: Mapping[str, Instrument],
    rates: Rates,
    currency: str,
) -> ProfitStatement:
    """Return what was earned and is open, compared with what the broker tells.

    Parameters
    ----------
    account, positions
        As the broker tells them; None where it does not.
    quotes
        Of the symbols that are open.
    rates
        To value them in `currency`, the account's.
    """
    names = sorted({*profits.booked, *(held.symbol for held in profits.open.values())})
    symbols = tuple(_of_symbol(n, profits, quotes, instruments, rates, currency) for n in names)
    unrealised = [each.unrealised for each in symbols if each.unrealised is not None]
    return ProfitStatement(
        currency=currency,
        realised=fsum(each.realised for each in symbols),
        commission=fsum(each.commission for each in symbols),
        swap=fsum(each.swap for each in symbols),
        unrealised=fsum(unrealised) if len(unrealised) == len(symbols) else None,
        balance=profits.balance,
        told_balance=None if account is None else account.balance,
        told_unrealised=None if account is None else account.equity - account.balance,
        symbols=symbols,
        differences=None if positions is None else _compare(profits, positions),
    )


def _of_symbol(
    symbol: str,
    profits: Profits,
    quotes: Mapping[str, Quote],
    instruments: Mapping[str, Instrument],
    rates: Rates,
    currency: str,
) -> SymbolProfit:
    held = [each for each in profits.open.values() if each.symbol == symbol]
    booked = profits.booked.get(symbol, Booked())
    worth = _worth(symbol, quotes.get(symbol), instruments, rates, currency)
    unrealised = notional = 0.0 if not held else None
    if held and worth is not None:
        quote, money = worth
        unrealised = fsum(
            each.lots * (quote.price_to_close(_side(each)) - each.price) * money for each in held
        )
        notional = fsum(abs(each.lots) * quote.price_to_close(_side(each)) * money for each in held)
    return SymbolProfit(
        symbol=symbol,
        realised=booked.profit,
        commission=booked.commission,
        swap=booked.swap,
        net_lots=round(fsum(each.lots for each in held), 8),
        gross_lots=round(fsum(abs(each.lots) for each in held), 8),
        unrealised=unrealised,
        notional=notional,
    )


def _worth(
    symbol: str,
    quote: Quote | None,
    instruments: Mapping[str, Instrument],
    rates: Rates,
    currency: str,
) -> tuple[Quote, float] | None:
    """Return a symbol's quote, and what one lot times one unit of price is worth."""
    instrument = instruments.get(symbol)
    if instrument is None or quote is None or not 0.0 < quote.bid <= quote.ask:
        return None
    if instrument.base_currency == currency:
        return quote, instrument.contract_size / quote.bid
    rate = highest_rate(rates, instrument.profit_currency, currency)
    return None if rate is None else (quote, instrument.contract_size * rate)


def _side(held: OpenVolume) -> Side:
    return BUY if held.lots > 0.0 else SELL


def _compare(profits: Profits, positions: tuple[Position, ...]) -> tuple[VolumeDifference, ...]:
    told = {held.number: held for held in positions}
    found = []
    for number in sorted({*told, *profits.open}):
        ours, theirs = profits.open.get(number), told.get(number)
        journal = 0.0 if ours is None else ours.lots
        broker = 0.0 if theirs is None else theirs.side.sign * theirs.volume_lots
        if abs(journal - broker) > _SAME_VOLUME:
            symbol = theirs.symbol if theirs is not None else ours.symbol if ours else ""
            found.append(VolumeDifference(number, symbol, journal, broker))
    return tuple(found)
