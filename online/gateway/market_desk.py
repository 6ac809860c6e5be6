"""The market-data worker's part: look at prices, account and history; it never sends an order."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable

import msgspec

from online.domain.account import Deal
from online.domain.errors import Unavailable
from online.domain.market import Quote
from online.domain.order import Intent
from online.domain.reconciliation import Statement
from online.gateway.evidence import Evidence, Known, Rows, weigh
from online.gateway.outcome import BROKEN_PIPE
from online.gateway.terminal import Terminal
from online.gateway.translation import Translation, to_account
from online.ports import Observation
from online.simulator import constants as mt5
from online.simulator.info_tuples import AccountInfo, Tick
from online.simulator.trade_tuples import TradeDeal

_DAY_SECONDS = 86_400
_FULL_OVERLAP_SECONDS = 2 * _DAY_SECONDS
_SHORT_OVERLAP_SECONDS = 600
_FULL_OVERLAP_EVERY_SECONDS = 30.0
PAGE_DEALS = 20_000
"""Most deals in one answer: a few megabytes."""


class Health(msgspec.Struct, frozen=True):
    """What the terminal says of itself.

    Parameters
    ----------
    connected
        To its trade server.
    trade_allowed
        By terminal, account and server together.
    quote_age_seconds
        Of the tick asked for, by the configured server time; negative if from the future; null
        without a tick.
    """

    connected: bool
    trade_allowed: bool
    quote_age_seconds: float | None


class MarketDesk:
    """Looks at a terminal.

    Parameters
    ----------
    terminal
        Connected.
    account
        Login and server that are looked at; another account's figures are never told.
    reconnect
        Makes the connection anew after the pipe broke; may raise `Unavailable`.
    """

    def __init__(
        self,
        terminal: Terminal,
        account: tuple[int, str],
        translation: Translation,
        reconnect: Callable[[], None],
    ) -> None:
        self._terminal = terminal
        self._account = account
        self._translation = translation
        self._reconnect = reconnect
        self._rows: dict[int, TradeDeal] = {}
        self._deals: list[Deal] = []
        self._newest_seconds = 0
        self._full_at_seconds = 0.0
        self._money = 0.0
        self._selected: set[str] = set()

    def observe(self, symbol: str, after_deal: int, pairs: tuple[str, ...] = ()) -> Observation:
        """Return quote, account, positions and the deals with tickets above `after_deal`.

        Without a symbol there is no quote; `pairs` are quoted as well, to convert currencies by.

        Raises
        ------
        Unavailable
            With code ``TERMINAL_UNAVAILABLE`` if the terminal does not answer.
        """
        terminal, translation = self._terminal, self._translation
        quote = self._quote(symbol)
        rates = tuple(rate for rate in map(self._quote, pairs) if rate is not None)
        account = self._look_at_account()
        rows, resting = terminal.positions_get(), terminal.orders_get()
        if rows is None or resting is None:
            self._fail("positions_get")
        self._refresh_deals()
        known = self._deals
        new = bisect_right(known, after_deal, key=lambda deal: deal.ticket)
        return Observation(
            quote,
            None if account is None else to_account(account),
            None if rows is None else tuple(translation.position(row) for row in rows),
            tuple(known[new:]),
            None if resting is None else tuple(translation.order(row) for row in resting),
            time.time_ns(),
            rates,
        )

    def statement(self, since_ns: int, after_deal: int) -> tuple[Statement, bool]:
        """Return the whole account with a page of its deals, and whether more follow.

        Parameters
        ----------
        since_ns
            Deals before it are left out, UTC.
        after_deal
            So are those with tickets up to this one.

        Raises
        ------
        Unavailable
            With code ``TERMINAL_UNAVAILABLE`` if the terminal does not tell all of it.
        """
        terminal, translation = self._terminal, self._translation
        told = self._refresh_deals(whole=True)
        account, rows = self._look_at_account(), terminal.positions_get()
        orders = terminal.orders_get()
        if not told or account is None or rows is None or orders is None:
            self._fail("statement")
            raise Unavailable("the terminal does not tell the account", code="TERMINAL_UNAVAILABLE")
        known = self._deals
        first = bisect_right(known, after_deal, key=lambda deal: deal.ticket)
        page = [deal for deal in known[first:] if deal.at_ns >= since_ns][: PAGE_DEALS + 1]
        statement = Statement(
            to_account(account),
            tuple(translation.position(row) for row in rows),
            tuple(translation.order(row) for row in orders),
            tuple(page[:PAGE_DEALS]),
            self._money,
        )
        return statement, len(page) > PAGE_DEALS

    def search(
        self, intent: Intent, accepted_at_ns: int, ticket: int = 0, taken: tuple[int, ...] = ()
    ) -> Evidence:
        """Return what the terminal knows of an order.

        Parameters
        ----------
        accepted_at_ns
            When the gateway accepted it, UTC; 0 if it never did.
        ticket
            The broker's number of it; 0 if it was never told.
        taken
            Tickets of other orders on the same position.

        Raises
        ------
        Unavailable
            As `observe`.
        """
        terminal, translation = self._terminal, self._translation
        account = self._look_at_account()
        told = self._refresh_deals(whole=True) and account is not None
        deals = [self._rows[ticket] for ticket in sorted(self._rows)]
        resting, positions = terminal.orders_get(), terminal.positions_get()
        accepted = translation.to_server_seconds(accepted_at_ns) if accepted_at_ns else None
        newest = self._newest_seconds
        since = max(0, (newest if accepted is None else min(newest, accepted)) - _DAY_SECONDS)
        finished = terminal.history_orders_get(since, self._until())
        info = terminal.terminal_info()
        if resting is None or finished is None or positions is None:
            self._fail("orders_get")
            return Evidence(None, resting=False, connected=False)
        rows = Rows(deals, finished, resting, positions)
        known = Known(accepted, ticket, taken)
        reply, is_resting = weigh(intent, translation.to_broker(intent.symbol), rows, known)
        return Evidence(reply, is_resting, told and info is not None and info.connected)

    def health(self, symbol: str) -> Health:
        """Return what the terminal says of itself, and the age of a symbol's latest tick.

        Raises
        ------
        Unavailable
            As `observe`.
        """
        info = self._terminal.terminal_info()
        if info is None:
            self._fail("terminal_info")
        account = self._look_at_account()
        if info is None or account is None:
            return Health(connected=False, trade_allowed=False, quote_age_seconds=None)
        allowed = info.trade_allowed and not info.tradeapi_disabled
        tick = self._tick(symbol)
        age_seconds = None
        if tick is not None and tick.time_msc:
            stamp_ns = self._translation.to_utc_ns(tick.time_msc)
            age_seconds = (time.time_ns() - stamp_ns) / 1e9
        return Health(
            connected=info.connected,
            trade_allowed=allowed and account.trade_allowed and account.trade_expert,
            quote_age_seconds=age_seconds,
        )

    def _look_at_account(self) -> AccountInfo | None:
        """Return the account; None if the terminal does not tell it.

        Raises
        ------
        Unavailable
            With code ``WRONG_ACCOUNT`` if the terminal is logged in to another.
        """
        told = self._terminal.account_info()
        if told is None:
            self._fail("account_info")
        elif (told.login, told.server) != self._account:
            raise Unavailable(
                f"the terminal is logged in to {told.login}@{told.server}, not to "
                f"{self._account[0]}@{self._account[1]}",
                code="WRONG_ACCOUNT",
            )
        return told

    def _quote(self, symbol: str) -> Quote | None:
        """Return a symbol's latest quote; None without one, or without a symbol."""
        tick = self._tick(symbol)
        return None if tick is None else self._translation.quote(symbol, tick)

    def _tick(self, symbol: str) -> Tick | None:
        """Return a symbol's latest tick; None without one, or without a symbol."""
        if not symbol:
            return None
        name = self._translation.to_broker(symbol)
        if name not in self._selected and self._terminal.symbol_select(name, True):  # noqa: FBT003 - MetaTrader's
            self._selected.add(name)
        tick = self._terminal.symbol_info_tick(name)
        if tick is None:  # somebody may have taken it off the market watch
            self._selected.discard(name)
        return tick

    def _refresh_deals(self, *, whole: bool = False) -> bool:
        """Read the deals that may be new; tell whether the terminal told them.

        Deals lag behind their fills, and so every period is read again.
        """
        now_seconds = time.monotonic()
        whole = whole or now_seconds - self._full_at_seconds >= _FULL_OVERLAP_EVERY_SECONDS
        overlap = _FULL_OVERLAP_SECONDS if whole else _SHORT_OVERLAP_SECONDS
        since = max(0, self._newest_seconds - overlap)
        rows = self._terminal.history_deals_get(since, self._until())
        if rows is None:
            self._fail("history_deals_get")
            return False
        if whole:
            self._full_at_seconds = now_seconds
        new = [row for row in rows if row.ticket not in self._rows]
        if new:
            self._rows.update((row.ticket, row) for row in new)
            self._money += sum(row.profit + row.swap + row.commission + row.fee for row in new)
            self._newest_seconds = max(self._newest_seconds, *(row.time for row in new))
            trades = [row for row in new if row.type <= mt5.DEAL_TYPE_SELL]
            self._deals += [self._translation.deal(row) for row in trades]
            self._deals.sort(key=lambda deal: deal.ticket)
        return True

    def _until(self) -> int:
        """Return an end of history that no deal is beyond, seconds of server time."""
        return self._translation.to_server_seconds(time.time_ns()) + _FULL_OVERLAP_SECONDS

    def _fail(self, function: str) -> None:
        """Judge a None: the terminal did not tell, which is never the same as nothing there.

        Raises
        ------
        Unavailable
            If the pipe broke; it has been made anew, so that the next question may be answered.
        """
        code, words = self._terminal.last_error()
        if code in BROKEN_PIPE:
            self._selected.clear()
            self._reconnect()
            raise Unavailable(
                f"the pipe to the terminal broke in {function}: {words} ({code})",
                code="TERMINAL_UNAVAILABLE",
            )
