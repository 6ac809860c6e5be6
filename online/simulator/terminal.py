"""The simulated terminal: a trade server driven by bars or quotes, without clock or I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from online.domain.account import Account, Deal, Position
from online.domain.barriers import Exit, exit_at_open, exit_within_bar
from online.domain.errors import InvalidMarketData, InvalidSettings, NotFound
from online.domain.market import Instrument, Quote, Side
from online.simulator import constants as mt5
from online.simulator.account import AccountRules, Ledger
from online.simulator.bars import BidAskBar
from online.simulator.history import History
from online.simulator.markets import Market
from online.simulator.matching import Matching
from online.simulator.positions import PositionBook
from online.simulator.records import DealRow, HeldPosition
from online.simulator.trade_tuples import OrderSendResult, TradeRequest

_REASONS = {Exit.STOP: mt5.ORDER_REASON_SL, Exit.TARGET: mt5.ORDER_REASON_TP}


class SimulatedTerminal:
    """An account at a simulated broker.

    Time is what the market says: the stamp of the latest bar or quote. Buys open at the ask and
    close at the bid; stops and targets rest at the broker and end positions exactly as
    `online.domain.barriers` says, which is how labels end.

    Parameters
    ----------
    instruments
        What can be traded.
    currency
        Of the account.
    balance
        First deposit (> 0), account currency.
    commission_per_lot
        Taken on every deal that opens or closes volume, account currency (>= 0).
    leverage
        Notional a unit of margin carries (> 0).
    hedging
        True if a symbol may have several positions; False if they net into one.

    Raises
    ------
    InvalidSettings
        If money or leverage cannot be.

    Examples
    --------
    >>> eurusd = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0)
    >>> terminal = SimulatedTerminal([eurusd], balance=10_000.0)
    >>> terminal.on_quote(Quote("EURUSD", 1.1, 1.1001, 0))
    >>> buy = TradeRequest(mt5.TRADE_ACTION_DEAL, symbol="EURUSD", volume=0.1)
    >>> terminal.execute(buy).price
    1.1001
    """

    def __init__(
        self,
        instruments: Iterable[Instrument] | Mapping[str, Instrument],
        currency: str = "USD",
        balance: float = 10_000.0,
        commission_per_lot: float = 0.0,
        leverage: float = 100.0,
        *,
        hedging: bool = False,
    ) -> None:
        if not (balance > 0.0 and leverage > 0.0 and commission_per_lot >= 0.0):
            raise InvalidSettings(
                "a simulated account needs balance > 0, leverage > 0 and commission >= 0, got "
                f"{balance}, {leverage} and {commission_per_lot}"
            )
        known = instruments.values() if isinstance(instruments, Mapping) else instruments
        self.markets = {instrument.symbol: Market(instrument) for instrument in known}
        rules = AccountRules(
            currency=currency,
            leverage=leverage,
            commission_per_lot=commission_per_lot,
            hedging=hedging,
        )
        self.history = History()
        self.ledger = Ledger(rules, self.markets)
        self.book = PositionBook(self.markets, self.ledger, self.history)
        self.now_ns = 0
        self._matching = Matching(self.markets, self.ledger, self.book, self.history)
        self._deposit(balance)

    def begin_bar(self, symbol: str, bar: BidAskBar) -> None:
        """Open a bar: its first prices are quoted and end positions whose exits they reach.

        Orders sent between this and `finish_bar` fill at the bar's open.

        Raises
        ------
        NotFound
            With code ``UNKNOWN_SYMBOL``.
        InvalidMarketData
            If the bar opens before the symbol's latest price.
        """
        market = self._market(symbol)
        self._set_prices(market, bar.bid_open, bar.ask_open, bar.opened_at_ns)
        if market.positions:
            self._exit_at_prices(market)

    def finish_bar(self, symbol: str, bar: BidAskBar) -> None:
        """Close a bar: positions whose exits it reaches end, then its last prices are quoted.

        Raises
        ------
        NotFound, InvalidMarketData
            As `begin_bar`.
        """
        market = self._market(symbol)
        for held in tuple(market.positions):
            buys, stop, target = held.side is Side.BUY, held.stop_level, held.target_level
            opened = bar.bid_open if buys else bar.ask_open
            high, low = (bar.bid_high, bar.bid_low) if buys else (bar.ask_high, bar.ask_low)
            ended = exit_within_bar(held.side, stop, target, opened, high, low)
            if ended is not None:
                reason, price = ended
                self._matching.close(held, price, _REASONS[reason], bar.closed_at_ns)
        self._set_prices(market, bar.bid_close, bar.ask_close, bar.closed_at_ns)

    def on_quote(self, quote: Quote) -> None:
        """Take a quote: positions whose exits it reaches end.

        Raises
        ------
        NotFound, InvalidMarketData
            As `begin_bar`.
        """
        market = self._market(quote.symbol)
        self._set_prices(market, quote.bid, quote.ask, quote.at_ns)
        if market.positions:
            self._exit_at_prices(market)

    def execute(self, request: TradeRequest) -> OrderSendResult:
        """Return the trade server's answer to a request, at the latest prices."""
        return self._matching.execute(request, self.now_ns)

    def quote(self, symbol: str) -> Quote | None:
        """Return the latest quote of a symbol; None if there is none."""
        market = self.markets.get(symbol)
        return None if market is None else market.quote

    def account(self) -> Account:
        """Return balance and equity."""
        return self.ledger.as_told()

    def positions(self) -> tuple[Position, ...]:
        """Return the open positions, oldest first."""
        return self.book.as_told()

    def deals_after(self, ticket: int) -> tuple[Deal, ...]:
        """Return the fills with tickets above `ticket`, oldest first."""
        return self.history.trades_after(ticket)

    def _market(self, symbol: str) -> Market:
        market = self.markets.get(symbol)
        if market is None:
            known = ", ".join(sorted(self.markets))
            raise NotFound(f"unknown symbol {symbol!r}: known are {known}", code="UNKNOWN_SYMBOL")
        return market

    def _set_prices(self, market: Market, bid: float, ask: float, at_ns: int) -> None:
        if at_ns < market.at_ns or not 0.0 < bid <= ask:
            raise InvalidMarketData(
                f"{market.instrument.symbol} needs 0 < bid <= ask and times in order, got "
                f"{bid} and {ask} at {at_ns} after {market.at_ns}"
            )
        market.set_prices(bid, ask, at_ns)
        self.now_ns = max(self.now_ns, at_ns)

    def _exit_at_prices(self, market: Market) -> None:
        for held in tuple(market.positions):
            self._exit_at(held, market)

    def _exit_at(self, held: HeldPosition, market: Market) -> None:
        price = market.bid if held.side is Side.BUY else market.ask
        ended = exit_at_open(held.side, held.stop_level, held.target_level, price)
        if ended is not None:
            reason, at_price = ended
            self._matching.close(held, at_price, _REASONS[reason], market.at_ns)

    def _deposit(self, amount: float) -> None:
        deal = DealRow(
            ticket=self.history.next_ticket,
            order=0,
            position=0,
            at_ns=0,
            type=mt5.DEAL_TYPE_BALANCE,
            entry=mt5.DEAL_ENTRY_IN,
            reason=mt5.DEAL_REASON_CLIENT,
            magic=0,
            symbol="",
            volume=0.0,
            price=0.0,
            profit=amount,
            commission=0.0,
            swap=0.0,
            comment="deposit",
        )
        self.history.add(deal)
        self.ledger.post(deal)
