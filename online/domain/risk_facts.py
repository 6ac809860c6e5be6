"""What the risk rules judge: every fact of a moment, and what the journal knows of before."""

from __future__ import annotations

import msgspec

from online.domain.account import Account, Position, RestingOrder
from online.domain.exposure import OrderUnderWay
from online.domain.market import Quote, Side
from online.domain.news import NewsEvent
from online.domain.trading_state import TradingState


class SentEntry(msgspec.Struct, frozen=True, gc=False):
    """An entry that filled or still may."""

    at_ns: int
    side: Side
    volume_lots: float


class RiskState(msgspec.Struct, frozen=True, gc=False):
    """What the journal knows that the rules need, for one symbol.

    Parameters
    ----------
    trading
        What is let through at all.
    halted
        Why it is not everything; empty while it is.
    loss_latched
        True if the daily loss limit was reached on the book's day.
    day_start_equity, peak_equity
        Account currency; 0.0 before the first decision, of the UTC day and of the journal.
    losses_in_a_row
        Closed trades that lost, since the last that did not.
    entries_in_window, closes_in_window
        Orders sent within the limits' window, all symbols.
    buys_in_window, sells_in_window
        The symbol's entries within the limits' window of repetition that filled or still may.
    recent
        Those of them within the window of duplicates, oldest first.
    under_way
        Entries whose fate is unknown, all symbols.
    unresolved
        Symbols with an order whose fate is unknown, sorted.
    foreign_tickets
        Open positions that this journal did not open.
    unreconciled
        Why journal and broker do not agree; empty if they do.
    reference_price
        Middle of the symbol's last quote on record; of the present one before there is any.
    """

    trading: TradingState
    halted: str
    loss_latched: bool
    day_start_equity: float
    peak_equity: float
    losses_in_a_row: int
    entries_in_window: int
    closes_in_window: int
    buys_in_window: int
    sells_in_window: int
    recent: tuple[SentEntry, ...]
    under_way: tuple[OrderUnderWay, ...]
    unresolved: tuple[str, ...]
    foreign_tickets: tuple[int, ...]
    reference_price: float
    unreconciled: str = ""


class RiskFacts(msgspec.Struct, frozen=True, gc=False):
    """Everything of a moment that the rules judge; None is what was not told.

    Parameters
    ----------
    now_ns
        The scorer's clock, nanoseconds UTC.
    told_at_ns
        The broker's clock when it told the rest.
    signal_at_ns
        Close of the bar that the signal is of.
    model_name, model_sha256
        The bundle that gave it.
    unit
        The barriers' unit in price, for example the average true range.
    quote, account, positions, orders
        As the broker tells them; no positions, or no resting orders, is an empty tuple.
    rates
        Quotes of conversion pairs.
    news
        Events of the calendar that concern the symbol now.
    state
        As the journal knows it.
    """

    now_ns: int
    told_at_ns: int | None
    signal_at_ns: int
    model_name: str
    model_sha256: str
    unit: float | None
    quote: Quote | None
    account: Account | None
    positions: tuple[Position, ...] | None
    orders: tuple[RestingOrder, ...] | None
    rates: tuple[Quote, ...]
    news: tuple[NewsEvent, ...] | None
    state: RiskState
