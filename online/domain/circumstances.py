"""Rules about the circumstances: whether any entry may be made at all, whatever its size.

Every comparison is written so that a number that is none refuses.
"""

from __future__ import annotations

import math

from online.domain.calm import NANOSECONDS_PER_MILLISECOND, ROUNDING_POINTS, is_calm
from online.domain.limits import Limits
from online.domain.market import NANOSECONDS_PER_SECOND, Instrument, Quote
from online.domain.reasons import Reason, Veto
from online.domain.risk_facts import RiskFacts, RiskState
from online.domain.trading_hours import is_traded, is_weekend_near
from online.domain.trading_state import TradingState

_ACTIVE = TradingState.ACTIVE  # a member read from its class costs ten times as much as a name


def judge_circumstances(
    instrument: Instrument, facts: RiskFacts, limits: Limits
) -> tuple[Veto, ...]:
    """Return why no entry may be made now.

    Parameters
    ----------
    instrument
        What is to be traded.
    facts
        Of this moment.
    limits
        In force.
    """
    if is_calm(instrument, facts, limits):
        return ()
    return judge_closely(instrument, facts, limits)


def judge_closely(instrument: Instrument, facts: RiskFacts, limits: Limits) -> tuple[Veto, ...]:
    """Return the same as `judge_circumstances`, every rule asked one by one."""
    return (
        judge_quote(facts.quote, instrument, limits, facts.now_ns)
        + judge_moment(instrument, facts, limits)
        + _judge_journal(instrument.symbol, facts.state, limits)
        + _judge_account(facts, limits)
    )


def judge_quote(
    quote: Quote | None, instrument: Instrument, limits: Limits, now_ns: int
) -> tuple[Veto, ...]:
    """Return why no order may be decided on this quote."""
    if quote is None:
        return (Veto(Reason.NO_QUOTE, f"no quote for {instrument.symbol}"),)
    if quote.symbol != instrument.symbol:
        return (Veto(Reason.NO_QUOTE, f"{quote.symbol} is quoted, not {instrument.symbol}"),)
    bid, ask = quote.bid, quote.ask
    if not 0.0 < bid <= ask < math.inf:
        return (Veto(Reason.CROSSED_QUOTE, f"bid {bid}, ask {ask}"),)
    vetoes = []
    own = limits.of(instrument.symbol)
    age_ns = now_ns - quote.at_ns
    allowed_ns = own.max_quote_age_milliseconds * NANOSECONDS_PER_MILLISECOND
    if not 0 <= age_ns <= allowed_ns:
        detail = (
            f"quote is {age_ns / NANOSECONDS_PER_MILLISECOND:.3f} ms old, "
            f"0 to {own.max_quote_age_milliseconds} ms are allowed"
        )
        vetoes.append(Veto(Reason.STALE_QUOTE, detail))
    spread_points = (ask - bid) * instrument.scale
    typical = instrument.typical_spread_points
    if not typical > 0.0:
        detail = f"typical_spread_points of {instrument.symbol} is {typical}"
        vetoes.append(Veto(Reason.TYPICAL_SPREAD_UNKNOWN, detail))
    elif not (
        spread_points <= own.max_spread_points + ROUNDING_POINTS
        and spread_points <= own.max_spread_ratio * typical + ROUNDING_POINTS
    ):
        detail = (
            f"spread {spread_points:.1f} points, caps {own.max_spread_points:g} and "
            f"{own.max_spread_ratio:g} times the typical {typical:g}"
        )
        vetoes.append(Veto(Reason.SPREAD_TOO_WIDE, detail))
    return tuple(vetoes) if vetoes else ()


def judge_moment(instrument: Instrument, facts: RiskFacts, limits: Limits) -> tuple[Veto, ...]:
    """Return why this is no moment to enter: clocks, hours, weekend, news, signal and model."""
    vetoes = []
    now_ns, told_at_ns = facts.now_ns, facts.told_at_ns
    skew_ns = math.inf if told_at_ns is None else abs(now_ns - told_at_ns)
    if not skew_ns <= limits.max_clock_skew_milliseconds * NANOSECONDS_PER_MILLISECOND:
        told = (
            "the broker told no clock"
            if told_at_ns is None
            else f"the broker's clock is {skew_ns / NANOSECONDS_PER_MILLISECOND:.0f} ms away"
        )
        vetoes.append(
            Veto(Reason.CLOCK_SKEW, f"{told}, limit {limits.max_clock_skew_milliseconds} ms")
        )
    age_ns = now_ns - facts.signal_at_ns
    if not 0 <= age_ns <= limits.max_signal_age_seconds * NANOSECONDS_PER_SECOND:
        detail = (
            f"the bar closed {age_ns / NANOSECONDS_PER_SECOND:.3f} s ago, "
            f"0 to {limits.max_signal_age_seconds} s are allowed"
        )
        vetoes.append(Veto(Reason.SIGNAL_TOO_OLD, detail))
    if not limits.allows_model(facts.model_name, facts.model_sha256):
        detail = f"{facts.model_name}, bundle {facts.model_sha256[:12]}"
        vetoes.append(Veto(Reason.MODEL_NOT_ALLOWED, detail))
    if not is_traded(instrument.hours, now_ns):
        detail = f"{instrument.symbol} is traded {', '.join(instrument.hours)} in New York"
        vetoes.append(Veto(Reason.SESSION_CLOSED, detail))
    early_hours = limits.no_entry_before_weekend_hours
    if is_weekend_near(instrument.hours, now_ns, early_hours):
        detail = f"less than {early_hours:g} h to the week's close"
        vetoes.append(Veto(Reason.WEEKEND_NEAR, detail))
    if facts.news is None:
        vetoes.append(Veto(Reason.NEWS_UNAVAILABLE, "no news calendar is to be believed"))
    for event in facts.news or ():
        if event.impact.rank >= limits.news_impact.rank:
            detail = f"{event.subject}: {event.name}, {event.impact} impact"
            vetoes.append(Veto(Reason.NEWS_BLACKOUT, detail))
    return tuple(vetoes) if vetoes else ()


def _judge_journal(symbol: str, state: RiskState, limits: Limits) -> tuple[Veto, ...]:
    vetoes: tuple[Veto, ...] = ()
    if symbol not in limits.allowed_symbols:
        allowed = ", ".join(limits.allowed_symbols)
        vetoes += (Veto(Reason.SYMBOL_NOT_ALLOWED, f"{symbol} is not among {allowed}"),)
    if state.trading is not _ACTIVE or state.halted:
        reason = Reason.REDUCING if state.trading is TradingState.REDUCING else Reason.HALTED
        vetoes += (Veto(reason, state.halted),)
    if state.unreconciled:
        vetoes += (Veto(Reason.NOT_RECONCILED, state.unreconciled),)
    if symbol in state.unresolved:
        detail = f"{symbol} has an order of unknown fate"
        vetoes += (Veto(Reason.UNRESOLVED_ORDER, detail),)
    if state.entries_in_window >= limits.max_orders_per_window:
        detail = f"{state.entries_in_window} entries within {limits.order_window_seconds} s"
        vetoes += (Veto(Reason.ORDER_RATE_LIMIT, detail),)
    if state.losses_in_a_row >= limits.max_consecutive_losses:
        detail = f"{state.losses_in_a_row} losing trades, limit {limits.max_consecutive_losses}"
        vetoes += (Veto(Reason.CONSECUTIVE_LOSSES, detail),)
    for ticket in state.foreign_tickets:
        detail = f"position {ticket} is not of this journal"
        vetoes += (Veto(Reason.FOREIGN_POSITION, detail),)
    return vetoes


def _judge_account(facts: RiskFacts, limits: Limits) -> tuple[Veto, ...]:
    account, state = facts.account, facts.state
    if account is None or facts.positions is None or facts.orders is None:
        return (Veto(Reason.ACCOUNT_UNAVAILABLE, "the broker told no account state"),)
    equity = account.equity
    if not (0.0 < equity < math.inf and -math.inf < account.balance < math.inf):
        return (Veto(Reason.ACCOUNT_UNAVAILABLE, f"equity is {equity}"),)
    vetoes: tuple[Veto, ...] = ()
    floor = state.day_start_equity * (1.0 - limits.max_daily_loss_fraction)
    if state.loss_latched or not equity >= floor:
        detail = f"equity {equity:.2f}, the day began with {state.day_start_equity:.2f}"
        vetoes += (Veto(Reason.DAILY_LOSS_LIMIT, detail),)
    if not equity >= state.peak_equity * (1.0 - limits.max_drawdown_fraction):
        detail = f"equity {equity:.2f}, its peak was {state.peak_equity:.2f}"
        vetoes += (Veto(Reason.DRAWDOWN_LIMIT, detail),)
    return vetoes
