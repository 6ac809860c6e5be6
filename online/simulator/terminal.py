"""The simulated terminal: an account at a simulated broker, without clock or I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from online.domain.account import Account, Deal, Position
from online.domain.errors import InvalidMarketData, InvalidSettings, NotFound
from online.domain.market import Instrument, Quote
from online.simulator import constants as mt5
from online.simulator.bars import BidAskBar
from online.simulator.markets import Market
from online.simulator.matching import Slippage, no_slippage
from online.simulator.prices import PriceRecorder
from online.simulator.records import DealRow
from online.simulator.rules import AccountRules, TradingRules
from online.simulator.server import TradeServer
from online.simulator.trade_tuples import OrderSendResult, TradeRequest

_FIRST_WINDOW, _LARGEST_WINDOW = 256, 65_536


class SimulatedTerminal:
    """An account at a simulated broker, driven by bars or ticks.

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
    rules
        The whole agreement; where given, the four parameters before it are not read.
    trading
        How symbols may be traded; those absent have the default `TradingRules` with their
        instrument's swap and slippage.
    slippage
        Of market orders, on top of what the rules say.
    recorder
        Where ticks are kept for `copy_ticks_from` and its kin; None keeps none.

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
        rules: AccountRules | None = None,
        trading: Mapping[str, TradingRules] | None = None,
        slippage: Slippage = no_slippage,
        recorder: PriceRecorder | None = None,
    ) -> None:
        if not balance > 0.0:
            raise InvalidSettings(f"a simulated account needs balance > 0, got {balance}")
        known = instruments.values() if isinstance(instruments, Mapping) else instruments
        given = trading or {}
        self.markets = {
            each.symbol: Market(each, given.get(each.symbol) or TradingRules.of(each))
            for each in known
        }
        self.rules = rules or AccountRules(
            currency=currency,
            leverage=leverage,
            commission_per_lot=commission_per_lot,
            hedging=hedging,
        )
        self.server = TradeServer(self.markets, self.rules, slippage)
        self.recorder = recorder
        self.now_ns = -1
        self.deposit(balance)

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
        market = self.markets.get(symbol) or self._market(symbol)
        self._quote(market, bar.bid_open, bar.ask_open, bar.opened_at_ns)

    def finish_bar(self, symbol: str, bar: BidAskBar) -> None:
        """Close a bar: positions whose exits it reaches end, then its last prices are quoted.

        Raises
        ------
        NotFound, InvalidMarketData
            As `begin_bar`.
        """
        market = self.markets.get(symbol) or self._market(symbol)
        if bar.closed_at_ns < market.at_ns:  # told before a position is ended by it
            raise InvalidMarketData(
                f"{symbol} needs times in order, got a bar that closes at {bar.closed_at_ns} "
                f"after {market.at_ns}"
            )
        if self.server.wakes_ns < bar.closed_at_ns:
            self.server.pass_nights(bar.closed_at_ns - 1)
        if (
            not (
                market.bid_floor < bar.bid_low
                and bar.bid_high < market.bid_ceiling
                and market.ask_floor < bar.ask_low
                and bar.ask_high < market.ask_ceiling
            )
            and market.busy
        ):
            self.server.react_within(market, bar)
        if self.recorder is not None:
            self.recorder.add_range(symbol, bar)
        self._set_prices(market, bar.bid_close, bar.ask_close, bar.closed_at_ns)

    def on_quote(self, quote: Quote) -> None:
        """Take a quote: exits and orders that it reaches are executed.

        Raises
        ------
        NotFound, InvalidMarketData
            As `begin_bar`.
        """
        self._quote(self._market(quote.symbol), quote.bid, quote.ask, quote.at_ns)

    def on_ticks(
        self,
        symbol: str,
        at_ns: NDArray[np.int64],
        bid: NDArray[np.float64],
        ask: NDArray[np.float64],
    ) -> None:
        """Take many quotes of a symbol, oldest first; the same as `on_quote` for each.

        Parameters
        ----------
        symbol
            Of all of them.
        at_ns, bid, ask
            Shape ``(n_ticks,)``; times do not run backwards.

        Raises
        ------
        NotFound, InvalidMarketData
            As `begin_bar`; nothing was taken then.
        """
        market = self._market(symbol)
        if not len(at_ns):
            return
        sound = bool(np.all(bid > 0.0) and np.all(bid <= ask) and np.all(np.diff(at_ns) >= 0))
        if not sound or at_ns[0] < market.at_ns or len({len(at_ns), len(bid), len(ask)}) > 1:
            raise InvalidMarketData(
                f"{symbol} needs ticks with 0 < bid <= ask, in order of time and not before "
                f"{market.at_ns}"
            )
        position, window = 0, _FIRST_WINDOW
        while position < len(at_ns):
            part = slice(position, position + window)
            first = self._first_event(market, at_ns[part], bid[part], ask[part])
            if first < 0:
                position = min(position + window, len(at_ns))
                window = min(2 * window, _LARGEST_WINDOW)
                self._record(symbol, at_ns[part], bid[part], ask[part])
                last = position - 1
                market.set_prices(float(bid[last]), float(ask[last]), int(at_ns[last]))
                self.now_ns = max(self.now_ns, market.at_ns)
                continue
            quiet = slice(position, position + first)
            self._record(symbol, at_ns[quiet], bid[quiet], ask[quiet])
            position += first
            self._quote(market, float(bid[position]), float(ask[position]), int(at_ns[position]))
            position, window = position + 1, _FIRST_WINDOW

    def pass_time(self, now_ns: int) -> None:
        """Let time pass without a quote: rollovers and expiries happen."""
        self.now_ns = max(self.now_ns, now_ns)
        self.server.pass_time(self.now_ns)

    def execute(self, request: TradeRequest) -> OrderSendResult:
        """Return the trade server's answer to a request, at the latest prices."""
        return self.server.execute(request, self.now_ns)

    def quote(self, symbol: str) -> Quote | None:
        """Return the latest quote of a symbol; None if there is none."""
        market = self.markets.get(symbol)
        return None if market is None else market.as_told()

    def account(self) -> Account:
        """Return balance and equity."""
        return self.server.ledger.as_told()

    def positions(self) -> tuple[Position, ...]:
        """Return the open positions, oldest first."""
        return self.server.book.as_told()

    def deals_after(self, ticket: int) -> tuple[Deal, ...]:
        """Return the fills with tickets above `ticket`, oldest first."""
        return self.server.history.trades_after(ticket)

    def deposit(self, amount: float) -> None:
        """Add money to the account, or take it out (< 0), in its currency."""
        history, ledger = self.server.history, self.server.ledger
        deal = DealRow(
            ticket=history.next_ticket,
            order=0,
            position=0,
            at_ns=max(self.now_ns, 0),
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
        history.add(deal)
        ledger.post(deal)
        for market in self.markets.values():
            market.alert()

    def _market(self, symbol: str) -> Market:
        market = self.markets.get(symbol)
        if market is None:
            known = ", ".join(sorted(self.markets))
            raise NotFound(f"unknown symbol {symbol!r}: known are {known}", code="UNKNOWN_SYMBOL")
        return market

    def _quote(self, market: Market, bid: float, ask: float, at_ns: int) -> None:
        self._set_prices(market, bid, ask, at_ns)
        if self.recorder is not None:
            self.recorder.add(market.instrument.symbol, at_ns, bid, ask)
        if not (
            market.bid_floor < bid < market.bid_ceiling
            and market.ask_floor < ask < market.ask_ceiling
        ):
            self.server.react(market)

    def _set_prices(self, market: Market, bid: float, ask: float, at_ns: int) -> None:
        if at_ns < market.at_ns or not 0.0 < bid <= ask:
            raise InvalidMarketData(
                f"{market.instrument.symbol} needs 0 < bid <= ask and times in order, got "
                f"{bid} and {ask} at {at_ns} after {market.at_ns}"
            )
        server = self.server
        if self.now_ns < at_ns:
            if self.now_ns < 0:
                server.start(at_ns)
            self.now_ns = at_ns
        if at_ns >= server.wakes_ns:
            server.pass_time(at_ns)
        market.set_prices(bid, ask, at_ns)

    def _first_event(
        self,
        market: Market,
        at_ns: NDArray[np.int64],
        bid: NDArray[np.float64],
        ask: NDArray[np.float64],
    ) -> int:
        """Return the place of the first tick that must be looked at closely, or -1."""
        if market.bid_floor > market.bid_ceiling or self.now_ns < 0:
            return 0
        loud = (bid <= market.bid_floor) | (bid >= market.bid_ceiling)
        loud |= (ask <= market.ask_floor) | (ask >= market.ask_ceiling)
        loud |= at_ns >= self.server.wakes_ns
        first = int(loud.argmax())
        return first if loud[first] else -1

    def _record(
        self,
        symbol: str,
        at_ns: NDArray[np.int64],
        bid: NDArray[np.float64],
        ask: NDArray[np.float64],
    ) -> None:
        if self.recorder is not None and len(at_ns):
            self.recorder.add_many(symbol, at_ns, bid, ask)
