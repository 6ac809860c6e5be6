"""Calm: a look that tells at once whether any rule about the circumstances could refuse an entry.

Most moments are calm. What the rules would work out anew each time is worked out once for a pair of
limits and instrument, and once for an hour. A moment that is not calm is no refusal yet: then the
rules of `online.domain.circumstances` are asked, and they word what they refuse. A law proves that
they refuse nothing in a calm moment.
"""

from __future__ import annotations

import math

import msgspec

from online.domain.limits import EVERY_MODEL, Limits
from online.domain.market import NANOSECONDS_PER_SECOND, Instrument
from online.domain.risk_facts import RiskFacts
from online.domain.trading_hours import HOUR_NS, is_weekend_near, whole_hour
from online.domain.trading_state import TradingState

NANOSECONDS_PER_MILLISECOND = 1_000_000
ROUNDING_POINTS = 1e-6  # of a difference of two prices
_ACTIVE = TradingState.ACTIVE
_INFINITE = math.inf


class Calm(msgspec.Struct, frozen=True, gc=False):
    """What limits mean for an instrument, within one hour.

    Parameters
    ----------
    instrument
        For which this was worked out.
    from_ns, until_ns
        The hour, its end not included.
    is_open
        True if it may be and is traded all hour long, and the week's close stays far enough.
    any_model
        True if every model may trade it.
    quote_age_ns, clock_skew_ns, signal_age_ns
        The greatest allowed.
    spread_points
        The widest allowed by both caps, rounding added; not a number where none is known.
    scale
        Points in one unit of price.
    least_of_day, least_of_peak
        Equity at which entries stop, as shares of what the day began with and of the peak.
    entries, losses
        Entries within the window, and losing trades in a row, that stop the next.
    """

    instrument: Instrument
    from_ns: int
    until_ns: int
    is_open: bool
    any_model: bool
    quote_age_ns: int
    clock_skew_ns: int
    signal_age_ns: int
    spread_points: float
    scale: float
    least_of_day: float
    least_of_peak: float
    entries: int
    losses: int


def is_calm(instrument: Instrument, facts: RiskFacts, limits: Limits) -> bool:
    """Tell whether nothing can stand against an entry now; False where a closer look is needed.

    Parameters
    ----------
    instrument
        What is to be traded.
    facts
        Of this moment.
    limits
        In force.
    """
    quote, account, state, now_ns = facts.quote, facts.account, facts.state, facts.now_ns
    told_at_ns = facts.told_at_ns
    if quote is None or account is None or told_at_ns is None:
        return False
    symbol = instrument.symbol
    kept = limits.calm.get(symbol)
    if (
        kept is None
        or kept.instrument is not instrument
        or not kept.from_ns <= now_ns < kept.until_ns
    ):
        kept = limits.calm[symbol] = _work_out(instrument, limits, now_ns)
    bid, ask, equity = quote.bid, quote.ask, account.equity
    skew_ns = kept.clock_skew_ns
    return (
        kept.is_open
        and quote.symbol == symbol
        and 0.0 < bid <= ask < _INFINITE
        and (ask - bid) * kept.scale <= kept.spread_points
        and 0 <= now_ns - quote.at_ns <= kept.quote_age_ns
        and 0 <= now_ns - facts.signal_at_ns <= kept.signal_age_ns
        and -skew_ns <= now_ns - told_at_ns <= skew_ns
        and facts.news == ()
        and facts.positions is not None
        and facts.orders is not None
        and state.trading is _ACTIVE
        and not (state.halted or state.unreconciled or state.unresolved or state.foreign_tickets)
        and not state.loss_latched
        and state.entries_in_window < kept.entries
        and state.losses_in_a_row < kept.losses
        and equity > 0.0
        and equity >= state.day_start_equity * kept.least_of_day
        and equity >= state.peak_equity * kept.least_of_peak
        and -_INFINITE < equity + account.balance < _INFINITE
        and (kept.any_model or limits.allows_model(facts.model_name, facts.model_sha256))
    )


def _work_out(instrument: Instrument, limits: Limits, now_ns: int) -> Calm:
    hour, hours = now_ns // HOUR_NS, instrument.hours
    from_ns, until_ns = hour * HOUR_NS, (hour + 1) * HOUR_NS
    early_hours = limits.no_entry_before_weekend_hours
    is_open = (
        instrument.symbol in limits.allowed_symbols
        and whole_hour(hours, hour) is True
        and not is_weekend_near(hours, until_ns - 1, early_hours)
    )
    typical = instrument.typical_spread_points
    own = limits.of(instrument.symbol)
    cap, other = own.max_spread_points, own.max_spread_ratio * typical
    widest = cap if cap <= other else other if other < cap else math.nan
    return Calm(
        instrument=instrument,
        from_ns=from_ns,
        until_ns=until_ns,
        is_open=is_open,
        any_model=EVERY_MODEL in limits.allowed_models,
        quote_age_ns=own.max_quote_age_milliseconds * NANOSECONDS_PER_MILLISECOND,
        clock_skew_ns=limits.max_clock_skew_milliseconds * NANOSECONDS_PER_MILLISECOND,
        signal_age_ns=limits.max_signal_age_seconds * NANOSECONDS_PER_SECOND,
        spread_points=widest + ROUNDING_POINTS if typical > 0.0 else math.nan,
        scale=instrument.scale,
        least_of_day=1.0 - limits.max_daily_loss_fraction,
        least_of_peak=1.0 - limits.max_drawdown_fraction,
        entries=limits.max_orders_per_window,
        losses=limits.max_consecutive_losses,
    )
