"""The account: balance, equity and margin, in its own currency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from online.domain.account import Account
from online.domain.market import Side
from online.simulator.markets import Market
from online.simulator.records import DealRow, HeldPosition


@dataclass(frozen=True)
class AccountRules:
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
    """

    currency: str = "USD"
    currency_digits: int = 2
    leverage: float = 100.0
    commission_per_lot: float = 0.0
    hedging: bool = False


class Ledger:
    """Money of the account: what is booked and what is at stake.

    Parameters
    ----------
    rules
        The agreement.
    markets
        By symbol; their prices value what is open.
    """

    def __init__(self, rules: AccountRules, markets: Mapping[str, Market]) -> None:
        self.rules = rules
        self.balance = 0.0
        self.margin = 0.0
        self._markets = markets
        self._positions: list[HeldPosition] = []
        self._told = Account(rules.currency, 0.0, 0.0)

    def post(self, deal: DealRow) -> None:
        """Book a deal: the balance is the sum of all deals, to the cent."""
        self.balance = self.round(self.balance + deal.money)
        self._told = Account(self.rules.currency, self.balance, self.balance)

    def track(self, positions: list[HeldPosition]) -> None:
        """Take notice that the open positions have changed."""
        self._positions = positions
        self.margin = sum(position.margin for position in positions)

    def round(self, amount: float) -> float:
        """Round an amount to the account's currency."""
        return round(amount, self.rules.currency_digits)

    @property
    def equity(self) -> float:
        """Balance, open profit and accrued swap."""
        return self.balance + sum(map(self.open_profit, self._positions))

    @property
    def free_margin(self) -> float:
        """Equity that carries no position."""
        return self.equity - self.margin

    def as_told(self) -> Account:
        """Return the account in the words of the domain."""
        if not self._positions:
            return self._told
        return Account(self.rules.currency, self.balance, self.round(self.equity))

    def open_profit(self, position: HeldPosition) -> float:
        """Return profit and swap of a position at the prices that would close it."""
        market = self._markets[position.symbol]
        price = market.bid if position.side is Side.BUY else market.ask
        volume, opened = position.volume, position.price
        return self.profit(market, position.side, volume, opened, price) + position.swap

    def profit(
        self, market: Market, side: Side, volume: float, opened: float, closed: float
    ) -> float:
        """Return what a move brings, account currency, rounded to it.

        Parameters
        ----------
        market
            Of the symbol.
        side
            Of the position.
        volume
            Lots.
        opened, closed
            Prices.
        """
        instrument = market.instrument
        amount = side.sign * (closed - opened) * volume * instrument.contract_size
        if instrument.profit_currency == self.rules.currency:
            return self.round(amount)
        if instrument.base_currency == self.rules.currency:
            return self.round(amount / closed)
        return self.round(amount * (self.rate(instrument.profit_currency) or 0.0))

    def margin_of(self, market: Market, volume: float, price: float) -> float:
        """Return the margin that a volume at a price needs, account currency."""
        instrument = market.instrument
        units = volume * instrument.contract_size / self.rules.leverage
        if instrument.base_currency == self.rules.currency:
            return self.round(units)
        if instrument.profit_currency == self.rules.currency:
            return self.round(units * price)
        rate = self.rate(instrument.profit_currency) or 0.0
        return self.round(units * price * rate)

    def rate(self, currency: str) -> float | None:
        """Return units of the account's currency for one of `currency`; None if none is quoted."""
        if currency == self.rules.currency:
            return 1.0
        for market in self._markets.values():
            if market.at_ns < 0:
                continue
            pair = (market.instrument.base_currency, market.instrument.profit_currency)
            if pair == (currency, self.rules.currency):
                return market.bid
            if pair == (self.rules.currency, currency):
                return 1.0 / market.ask
        return None

    def values(self, market: Market) -> bool:
        """Tell whether profit in a market can be expressed in the account's currency."""
        pair = (market.instrument.base_currency, market.instrument.profit_currency)
        return self.rules.currency in pair or self.rate(pair[1]) is not None
