"""The account: balance, equity and margin, in its own currency."""

from __future__ import annotations

from collections.abc import Mapping

from online.domain.account import Account
from online.domain.market import BUY, Side
from online.simulator.markets import Market, Pulse
from online.simulator.records import DealRow, HeldPosition
from online.simulator.rules import AccountRules

_ROUNDER = 1.5 * 2.0**52  # added to a number it leaves no bits for what follows the point
_CLEAR_OF_HALVES, _EXACT_BELOW = 0.49, 1e12


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
        self._positions: Mapping[int, HeldPosition] = {}
        self._told = Account(rules.currency, 0.0, 0.0, 0.0, rules.leverage)
        self._open_profit = 0.0
        self._priced = -1
        self._pulse = Pulse()
        self._digits, self._scale = rules.currency_digits, 10.0**rules.currency_digits
        for market in markets.values():
            market.pulse = self._pulse

    def post(self, deal: DealRow) -> None:
        """Book a deal: the balance is the sum of all deals, to the cent."""
        self.balance = self.round(self.balance + deal.money)
        told = (self.balance, self.balance, 0.0)  # as it is told while nothing is open
        self._told = Account(self.rules.currency, *told, self.rules.leverage)

    def value(self, positions: Mapping[int, HeldPosition]) -> None:
        """Value these open positions from now on, as they come and go."""
        self._positions = positions

    def leave(self, position: HeldPosition) -> None:
        """Take notice that a position is about to change: what it was worth no longer counts."""
        if self._is_priced():
            self._open_profit = self.round(self._open_profit - self.open_profit(position))

    def enter(self, position: HeldPosition) -> None:
        """Take notice that a position was opened or has changed."""
        if self._is_priced():
            self._open_profit = self.round(self._open_profit + self.open_profit(position))

    def use_margin(self, change: float) -> None:
        """Take notice of margin taken by positions (> 0) or given back (< 0)."""
        self.margin = self.round(self.margin + change)

    def round(self, amount: float) -> float:
        """Round an amount to the account's currency, halves as `round` does.

        Away from halves and zero a division gives the same bits as `round`, in a third of the time.
        """
        scale = self._scale
        scaled = amount * scale
        whole = (scaled + _ROUNDER) - _ROUNDER
        if -_CLEAR_OF_HALVES < scaled - whole < _CLEAR_OF_HALVES and (
            0.0 < whole < _EXACT_BELOW or -_EXACT_BELOW < whole < 0.0
        ):
            return whole / scale
        return round(amount, self._digits) if amount else amount  # nothing has its sign, too

    @property
    def equity(self) -> float:
        """Balance, open profit and accrued swap."""
        if not self._positions:
            return self.balance
        if self._priced != self._pulse.quotes:
            self._price()
        return self.balance + self._open_profit

    def _price(self) -> None:
        """Work out what the open positions are worth, once for each quote."""
        positions = self._positions
        if len(positions) == 1:
            (held,) = positions.values()
            market, side = self._markets[held.symbol], held.side
            closing = market.bid if side is BUY else market.ask
            worth = self.profit(market, side, held.volume, held.price, closing)  # it is rounded
            self._open_profit = self.round(worth + held.swap) if held.swap else worth
        else:
            self._open_profit = self.round(sum(map(self.open_profit, positions.values())))
        self._priced = self._pulse.quotes

    @property
    def free_margin(self) -> float:
        """Equity that carries no position."""
        return self.equity - self.margin

    @property
    def margin_level(self) -> float:
        """Equity over margin, percent; 0.0 where no margin is used."""
        return 100.0 * self.equity / self.margin if self.margin > 0.0 else 0.0

    @property
    def slack(self) -> float:
        """Equity that can be lost before the stop-out, account currency."""
        return self.equity - self.margin * self.rules.stop_out_percent / 100.0

    def as_told(self) -> Account:
        """Return the account in the words of the domain."""
        if not self._positions:
            return self._told
        if self._priced != self._pulse.quotes:
            self._price()
        rules, equity = self.rules, self.round(self.balance + self._open_profit)
        return Account(rules.currency, self.balance, equity, self.margin, rules.leverage)

    def open_profit(self, position: HeldPosition) -> float:
        """Return profit and swap of a position at the prices that would close it."""
        market, side = self._markets[position.symbol], position.side
        closing = market.bid if side is BUY else market.ask
        profit = self.profit(market, side, position.volume, position.price, closing)
        return profit + position.swap

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
        move = closed - opened
        if side is not BUY:
            move = -move
        amount = move * volume * instrument.contract_size
        if instrument.profit_currency == self.rules.currency:
            return self.round(amount)
        if instrument.base_currency == self.rules.currency:
            return self.round(amount / closed)
        return self.round(amount * self.rate_of_profit(market))

    def rate_of_profit(self, market: Market) -> float:
        """Return units of the account's currency for one of a market's profit currency."""
        instrument = market.instrument
        if instrument.base_currency == self.rules.currency:
            return 1.0 / market.bid
        return self.rate(instrument.profit_currency) or 0.0

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

    def _is_priced(self) -> bool:
        """Tell whether open profit was worked out at the latest prices of every market."""
        return self._priced == self._pulse.quotes

    def values(self, market: Market) -> bool:
        """Tell whether profit in a market can be expressed in the account's currency."""
        pair = (market.instrument.base_currency, market.instrument.profit_currency)
        return self.rules.currency in pair or self.rate(pair[1]) is not None
