"""Pre-trade risk: pure, and closed when in doubt. Any missing or non-finite input is a veto."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec

from online.domain.account import Account, Position
from online.domain.errors import InvalidSettings
from online.domain.market import Instrument, Quote
from online.domain.order import Intent, Purpose
from online.domain.reasons import Reason, Veto

_NANOSECONDS_PER_MILLISECOND = 1_000_000


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The limits in force. None has a default: who trades states them all.

    Parameters
    ----------
    allowed_symbols
        Symbols that may be traded.
    risk_per_trade_fraction
        Share of equity lost when the stop is hit at its price, in (0, 0.1].
    max_volume_lots
        Largest order (> 0).
    max_notional
        Largest order's value in the account's currency (> 0).
    max_gross_notional
        Largest sum over positions and the order, account currency (> 0).
    max_spread_points
        Widest spread at which an entry is sent (> 0).
    max_quote_age_milliseconds
        Oldest quote on which an entry is decided (> 0).
    max_daily_loss_fraction
        Loss of equity since the UTC day's first decision that stops entries, in (0, 1].
    max_drawdown_fraction
        Fall of equity from its peak that halts trading, in (0, 1].
    max_orders_per_window, order_window_seconds
        Rate of entries (>= 1, > 0).
    """

    allowed_symbols: tuple[str, ...]
    risk_per_trade_fraction: float
    max_volume_lots: float
    max_notional: float
    max_gross_notional: float
    max_spread_points: float
    max_quote_age_milliseconds: int
    max_daily_loss_fraction: float
    max_drawdown_fraction: float
    max_orders_per_window: int
    order_window_seconds: int

    def __post_init__(self) -> None:
        if not self.allowed_symbols:
            raise InvalidSettings("limits need at least one allowed symbol")
        for name, top in _UPPER_BOUNDS.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 < value <= top):
                raise InvalidSettings(f"limit {name} must be above 0 and at most {top}: {value}")


_UPPER_BOUNDS: dict[str, float] = {
    "risk_per_trade_fraction": 0.1,
    "max_volume_lots": 1e6,
    "max_notional": 1e12,
    "max_gross_notional": 1e12,
    "max_spread_points": 1e6,
    "max_quote_age_milliseconds": 86_400_000,
    "max_daily_loss_fraction": 1.0,
    "max_drawdown_fraction": 1.0,
    "max_orders_per_window": 1_000_000,
    "order_window_seconds": 86_400,
}


class RiskState(msgspec.Struct, frozen=True, gc=False):
    """What the journal knows that the rules need.

    Parameters
    ----------
    halted
        Why trading is halted; empty while it is not.
    loss_latched
        True if the daily loss limit was reached on the book's day.
    day_start_equity, peak_equity
        Account currency; 0.0 before the first decision, of the UTC day and of the journal.
    entries_in_window
        Entries sent within the limits' window.
    unresolved
        Symbols with an order whose fate is unknown, sorted.
    foreign_tickets
        Open positions that this journal did not open.
    unreconciled
        Why journal and broker do not agree; empty if they do.
    """

    halted: str
    loss_latched: bool
    day_start_equity: float
    peak_equity: float
    entries_in_window: int
    unresolved: tuple[str, ...]
    foreign_tickets: tuple[int, ...]
    unreconciled: str = ""


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
    vetoes: tuple[Veto, ...] = ()
    age_ns = now_ns - quote.at_ns
    allowed_ns = limits.max_quote_age_milliseconds * _NANOSECONDS_PER_MILLISECOND
    if not 0 <= age_ns <= allowed_ns:
        detail = (
            f"quote is {age_ns / _NANOSECONDS_PER_MILLISECOND:.3f} ms old, "
            f"0 to {limits.max_quote_age_milliseconds} ms are allowed"
        )
        vetoes += (Veto(Reason.STALE_QUOTE, detail),)
    spread_points = (ask - bid) * instrument.scale
    if spread_points > limits.max_spread_points + 1e-6:
        detail = f"spread {spread_points:.1f} points, cap {limits.max_spread_points}"
        vetoes += (Veto(Reason.SPREAD_TOO_WIDE, detail),)
    return vetoes


def judge_state(  # noqa: C901 - one branch a rule
    symbol: str,
    account: Account | None,
    positions: tuple[Position, ...] | None,
    state: RiskState,
    limits: Limits,
) -> tuple[Veto, ...]:
    """Return why no entry may be made at all, whatever its size."""
    vetoes = []
    if symbol not in limits.allowed_symbols:
        allowed = ", ".join(limits.allowed_symbols)
        vetoes.append(Veto(Reason.SYMBOL_NOT_ALLOWED, f"{symbol} is not among {allowed}"))
    if state.halted:
        vetoes.append(Veto(Reason.HALTED, state.halted))
    if state.unreconciled:
        vetoes.append(Veto(Reason.NOT_RECONCILED, state.unreconciled))
    if symbol in state.unresolved:
        vetoes.append(Veto(Reason.UNRESOLVED_ORDER, f"{symbol} has an order of unknown fate"))
    if account is None or positions is None:
        vetoes.append(Veto(Reason.ACCOUNT_UNAVAILABLE, "the broker told no account state"))
        return tuple(vetoes)
    equity = account.equity
    if not (0.0 < equity < math.inf and -math.inf < account.balance < math.inf):
        vetoes.append(Veto(Reason.ACCOUNT_UNAVAILABLE, f"equity is {equity}"))
        return tuple(vetoes)
    for ticket in state.foreign_tickets:
        detail = f"position {ticket} is not of this journal"
        vetoes.append(Veto(Reason.FOREIGN_POSITION, detail))
    floor = state.day_start_equity * (1.0 - limits.max_daily_loss_fraction)
    if state.loss_latched or not equity >= floor:  # not "<": a limit that is no number vetoes
        detail = f"equity {equity:.2f}, the day began with {state.day_start_equity:.2f}"
        vetoes.append(Veto(Reason.DAILY_LOSS_LIMIT, detail))
    if not equity >= state.peak_equity * (1.0 - limits.max_drawdown_fraction):
        detail = f"equity {equity:.2f}, its peak was {state.peak_equity:.2f}"
        vetoes.append(Veto(Reason.DRAWDOWN_LIMIT, detail))
    if state.entries_in_window >= limits.max_orders_per_window:
        detail = f"{state.entries_in_window} entries within {limits.order_window_seconds} s"
        vetoes.append(Veto(Reason.ORDER_RATE_LIMIT, detail))
    return tuple(vetoes)


def size_entry(
    account: Account, entry: float, stop: float, instrument: Instrument, limits: Limits
) -> float:
    """Return the volume whose loss at the stop is the risk budget, floored to a tradable volume.

    Fixed-fractional sizing.

    Parameters
    ----------
    account
        Its equity (> 0) and currency.
    entry, stop
        Prices.
    instrument, limits
        Contract size and volume steps; risk per trade and largest volume.

    Returns
    -------
    float
        Lots; 0.0 if the budget does not buy the smallest volume, or the loss cannot be told in
        the account's currency.
    """
    loss_per_lot = abs(entry - stop) * instrument.contract_size
    if instrument.profit_currency != account.currency:
        if instrument.base_currency != account.currency or not stop > 0.0:
            return 0.0
        loss_per_lot /= stop  # the price at which the loss is paid for
    if not loss_per_lot > 0.0:
        return 0.0
    wanted = account.equity * limits.risk_per_trade_fraction / loss_per_lot
    return instrument.floor_volume(min(wanted, limits.max_volume_lots))


def judge_entry(
    intent: Intent,
    quote: Quote,
    account: Account,
    positions: tuple[Position, ...],
    instruments: Mapping[str, Instrument],
    limits: Limits,
) -> tuple[Veto, ...]:
    """Return why this very order must not be sent.

    Parameters
    ----------
    intent
        An entry.
    quote
        The quote it was decided on.
    account, positions
        As the broker tells them.
    instruments
        By symbol; every symbol with a position must be there.
    limits
        In force.
    """
    instrument = instruments[intent.symbol]
    if intent.purpose is not Purpose.ENTRY:
        return ()
    vetoes = []
    value = _notional(intent.symbol, intent.volume_lots, intent.quoted, instruments, account)
    if value is None:
        detail = f"{intent.symbol} is not valued in {account.currency}"
        return (Veto(Reason.NO_CONVERSION_RATE, detail),)
    if not intent.volume_lots > 0.0:
        detail = f"{intent.volume_lots} lots, the least is {instrument.volume_min}"
        return (Veto(Reason.VOLUME_TOO_SMALL, detail),)
    if intent.volume_lots > limits.max_volume_lots:
        detail = f"{intent.volume_lots} lots, limit {limits.max_volume_lots}"
        vetoes.append(Veto(Reason.VOLUME_ABOVE_LIMIT, detail))
    vetoes += _judge_stops(intent, quote, instrument)
    if value > limits.max_notional:
        detail = f"{value:.0f} {account.currency}, limit {limits.max_notional:.0f}"
        vetoes.append(Veto(Reason.NOTIONAL_ABOVE_LIMIT, detail))
    held = [
        _notional(p.symbol, p.volume_lots, p.opened_price, instruments, account) for p in positions
    ]
    known = [value for value in held if value is not None]
    if len(known) < len(held):
        detail = f"a position is not valued in {account.currency}"
        vetoes.append(Veto(Reason.NO_CONVERSION_RATE, detail))
        return tuple(vetoes)
    gross = value + sum(known)
    if gross > limits.max_gross_notional:
        detail = f"{gross:.0f} {account.currency}, limit {limits.max_gross_notional:.0f}"
        vetoes.append(Veto(Reason.GROSS_EXPOSURE_ABOVE_LIMIT, detail))
    return tuple(vetoes)


def _judge_stops(intent: Intent, quote: Quote, instrument: Instrument) -> list[Veto]:
    """Return why the stop and target are missing, on the wrong side or too near."""
    if not (0.0 < intent.stop < math.inf and 0.0 < intent.target < math.inf):
        return [Veto(Reason.STOP_MISSING, f"stop {intent.stop}, target {intent.target}")]
    closing, sign = quote.price_to_close(intent.side), intent.side.sign
    least = max(instrument.stops_level_points, 1)
    stop_points = sign * (closing - intent.stop) * instrument.scale
    target_points = sign * (intent.target - closing) * instrument.scale
    if min(stop_points, target_points) < least - 1e-6:
        detail = f"stop {stop_points:.1f} and target {target_points:.1f} points away, least {least}"
        return [Veto(Reason.STOP_TOO_CLOSE, detail)]
    return []


def _notional(
    symbol: str,
    volume_lots: float,
    price: float,
    instruments: Mapping[str, Instrument],
    account: Account,
) -> float | None:
    """Return a volume's value in the account's currency, None where it cannot be told."""
    instrument = instruments.get(symbol)
    if instrument is None:
        return None
    units = volume_lots * instrument.contract_size
    if instrument.profit_currency == account.currency:
        value = units * price
    elif instrument.base_currency == account.currency:
        value = units
    else:
        return None
    return value if math.isfinite(value) and value >= 0.0 else None
