"""Pre-trade risk of one order: pure, and closed when in doubt. A missing input is a veto."""

from __future__ import annotations

import math
from collections.abc import Mapping

from online.domain.account import Account
from online.domain.circumstances import judge_circumstances
from online.domain.conversion import read_rates
from online.domain.exposure import WorstCase, all_under_way, measure_worst_case
from online.domain.limits import Limits
from online.domain.market import BUY, Instrument, Quote
from online.domain.order import ENTRY, Intent
from online.domain.reasons import Reason, Veto
from online.domain.risk_facts import RiskFacts, RiskState
from online.domain.symbol_limits import SymbolBounds
from online.domain.trading_state import TradingState

_HALTED = TradingState.HALTED

_ROUNDING = 1e-6  # points, of a difference of two prices
_SAME_VOLUME = 1e-9  # lots


def judge_order(
    intent: Intent, facts: RiskFacts, instruments: Mapping[str, Instrument], limits: Limits
) -> tuple[Veto, ...]:
    """Return why an order must not be sent: the whole pre-trade check.

    `online.trade` asks it of every intent, last; nothing is sent that it refuses.

    Parameters
    ----------
    intent
        An entry, or a close, which only the trading state and its own rate can refuse.
    facts
        Of this moment.
    instruments
        By symbol; every symbol that is held or under way must be there.
    limits
        In force.
    """
    if intent.purpose is not ENTRY:
        return judge_close(facts.state, limits)
    instrument = instruments.get(intent.symbol)
    if instrument is None:
        return (Veto(Reason.SYMBOL_NOT_ALLOWED, f"{intent.symbol} is not known"),)
    return (
        *judge_circumstances(instrument, facts, limits),
        *judge_entry(intent, facts, instruments, limits),
    )


def judge_close(state: RiskState, limits: Limits) -> tuple[Veto, ...]:
    """Return why a close of the scorer's own accord must not be sent.

    Entries never use up what closes may: theirs is a budget of its own.
    """
    if state.trading is _HALTED:
        return (Veto(Reason.HALTED, state.halted),)
    if state.closes_in_window >= limits.max_closes_per_window:
        detail = f"{state.closes_in_window} closes within {limits.order_window_seconds} s"
        return (Veto(Reason.CLOSE_RATE_LIMIT, detail),)
    return ()


def judge_entry(
    intent: Intent, facts: RiskFacts, instruments: Mapping[str, Instrument], limits: Limits
) -> tuple[Veto, ...]:
    """Return why this very entry must not be sent, its circumstances apart.

    Parameters
    ----------
    intent
        An entry.
    facts
        Of this moment.
    instruments
        By symbol; the intent's must be there.
    limits
        In force.
    """
    instrument, quote, account = instruments[intent.symbol], facts.quote, facts.account
    if quote is None or account is None or facts.positions is None or facts.orders is None:
        return (Veto(Reason.ACCOUNT_UNAVAILABLE, "a fact is missing"),)
    rates = read_rates(facts.rates, instruments, limits.max_rate_age_milliseconds, facts.now_ns)
    under_way = all_under_way(facts.state.under_way, facts.orders)
    worst = measure_worst_case(intent, account, facts.positions, under_way, instruments, rates)
    if worst is None:
        detail = f"{intent.symbol}, or what is held or under way, not valued in {account.currency}"
        return (Veto(Reason.NO_CONVERSION_RATE, detail),)
    if not intent.volume_lots > 0.0:
        detail = f"{intent.volume_lots} lots, the least is {instrument.volume_min}"
        return (Veto(Reason.VOLUME_TOO_SMALL, detail),)
    vetoes = []
    own = limits.of(intent.symbol)
    if not intent.volume_lots <= own.max_volume_lots:
        detail = f"{intent.volume_lots} lots, limit {own.max_volume_lots}"
        vetoes.append(Veto(Reason.VOLUME_ABOVE_LIMIT, detail))
    vetoes += _judge_price(intent, facts, quote, instrument, own)
    vetoes += _judge_stops(intent, quote, instrument)
    vetoes += _judge_exposure(worst, account, limits, own)
    vetoes += _judge_repetition(intent, facts, limits)
    return tuple(vetoes)


def _judge_price(
    intent: Intent, facts: RiskFacts, quote: Quote, instrument: Instrument, own: SymbolBounds
) -> list[Veto]:
    """Return why the order's price, or the market itself, is too far from where it should be."""
    vetoes = []
    away_points = abs(intent.quoted - quote.price_to_open(intent.side)) * instrument.scale
    if not away_points <= own.price_collar_points + _ROUNDING:
        detail = f"{away_points:.1f} points from the quote, limit {own.price_collar_points:g}"
        vetoes.append(Veto(Reason.PRICE_COLLAR, detail))
    reference, unit = facts.state.reference_price, facts.unit
    if not 0.0 < reference < math.inf or unit is None or not 0.0 < unit < math.inf:
        detail = f"last price {reference}, unit {unit}"
        return [*vetoes, Veto(Reason.NO_REFERENCE_PRICE, detail)]
    moved_units = abs((quote.bid + quote.ask) / 2.0 - reference) / unit
    if not moved_units <= own.price_collar_units:
        detail = (
            f"the market moved {moved_units:.1f} units of {unit:g} since the last price "
            f"{reference:g}, limit {own.price_collar_units:g}"
        )
        vetoes.append(Veto(Reason.PRICE_COLLAR, detail))
    return vetoes


def _judge_stops(intent: Intent, quote: Quote, instrument: Instrument) -> list[Veto]:
    """Return why the stop and target are missing, on the wrong side or too near.

    An entry may do without a target, never without a stop, if its time-out ends it.
    """
    has_target = intent.target != 0.0 or not intent.expires_at_ns
    if not (0.0 < intent.stop < math.inf and (0.0 < intent.target < math.inf or not has_target)):
        return [Veto(Reason.STOP_MISSING, f"stop {intent.stop}, target {intent.target}")]
    closing, scale = quote.price_to_close(intent.side), instrument.scale
    sign = 1 if intent.side is BUY else -1  # a property takes longer
    least = max(instrument.stops_level_points, 1)
    stop_points = sign * (closing - intent.stop) * scale
    target_points = sign * (intent.target - closing) * scale if has_target else math.inf
    if not min(stop_points, target_points) >= least - _ROUNDING:
        detail = f"stop {stop_points:.1f} and target {target_points:.1f} points away, least {least}"
        return [Veto(Reason.STOP_TOO_CLOSE, detail)]
    return []


def _judge_exposure(
    worst: WorstCase, account: Account, limits: Limits, own: SymbolBounds
) -> list[Veto]:
    """Return which limits the worst case exceeds."""
    vetoes: list[Veto] = []
    currency = account.currency
    if not worst.order <= own.max_notional:
        detail = f"{worst.order:.0f} {currency}, limit {own.max_notional:.0f}"
        vetoes.append(Veto(Reason.NOTIONAL_ABOVE_LIMIT, detail))
    if not worst.symbol <= own.max_symbol_notional:
        detail = f"{worst.symbol:.0f} {currency}, limit {own.max_symbol_notional:.0f}"
        vetoes.append(Veto(Reason.SYMBOL_EXPOSURE_ABOVE_LIMIT, detail))
    if not worst.gross <= limits.max_gross_notional:
        detail = f"{worst.gross:.0f} {currency}, limit {limits.max_gross_notional:.0f}"
        vetoes.append(Veto(Reason.GROSS_EXPOSURE_ABOVE_LIMIT, detail))
    for name, value in worst.currencies:
        if not value <= limits.max_currency_notional:
            detail = f"{name}: {value:.0f} {currency}, limit {limits.max_currency_notional:.0f}"
            vetoes.append(Veto(Reason.CURRENCY_EXPOSURE_ABOVE_LIMIT, detail))
    margin = worst.margin
    if margin is None or not 0.0 <= margin < math.inf:
        detail = f"margin {account.margin}, leverage {account.leverage}"
        vetoes.append(Veto(Reason.MARGIN_UNKNOWN, detail))
    elif not 100.0 * account.equity >= limits.min_margin_level_percent * margin:
        detail = (
            f"margin {margin:.2f} of equity {account.equity:.2f} {currency}, least level "
            f"{limits.min_margin_level_percent:g} %"
        )
        vetoes.append(Veto(Reason.MARGIN_LEVEL_TOO_LOW, detail))
    return vetoes


def _judge_repetition(intent: Intent, facts: RiskFacts, limits: Limits) -> list[Veto]:
    """Return why the order repeats, or crosses, one of our own."""
    vetoes: list[Veto] = []
    side, state = intent.side, facts.state
    crossed = ""
    for position in facts.positions or ():
        if position.symbol == intent.symbol and position.side is not side:
            crossed = f"position {position.ticket}"
    for order in state.under_way:
        if order.symbol == intent.symbol and order.side is not side:
            crossed = f"order {order.magic}"
    if crossed:
        vetoes.append(Veto(Reason.OWN_ORDER_CROSSED, f"{side} against {crossed}"))
    repeats = state.buys_in_window if side is BUY else state.sells_in_window
    if repeats >= limits.max_repeats_per_window:
        detail = f"{repeats} times {side} within {limits.repeat_window_seconds} s"
        vetoes.append(Veto(Reason.REPEATED_EXECUTION, detail))
    for entry in state.recent:
        if entry.side is side and abs(entry.volume_lots - intent.volume_lots) < _SAME_VOLUME:
            detail = f"{side} {intent.volume_lots} lots within {limits.duplicate_window_seconds} s"
            vetoes.append(Veto(Reason.DUPLICATE_ORDER, detail))
            break
    return vetoes
