"""Laws of closing in doubt: whatever fact is missing, no number or stale, no entry leaves."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from online.domain.account import Account, Position
from online.domain.exposure import OrderUnderWay
from online.domain.limits import Limits
from online.domain.market import Quote, Side
from online.domain.news import Impact, NewsEvent
from online.domain.order import Intent
from online.domain.risk import judge_order
from online.domain.risk_facts import RiskFacts, RiskState, SentEntry
from online.domain.trading_state import TradingState
from tests.fakes import (
    BAR_NS,
    HOUR_NS,
    INSTRUMENTS,
    make_facts,
    make_intent,
    make_limits,
    make_position,
    make_state,
)

pytestmark = pytest.mark.lean
NAN, INF = math.nan, math.inf
NO_NUMBERS = (NAN, INF, -INF)
LONG_AGO, TOO_EARLY = BAR_NS - 1_000 * HOUR_NS, BAR_NS + 1_000 * HOUR_NS
EVENT = NewsEvent(BAR_NS, BAR_NS + 1, "EUR", Impact.HIGH, "Decision")
LIMITS = make_limits(
    allowed_models=("EURUSD.H1.barrier@aa",),
    min_margin_level_percent=150.0,
    max_symbol_notional=22_010.0,
    max_clock_skew_milliseconds=1_000,
)
HELD, SENT = make_position(), OrderUnderWay(77, "EURUSD", Side.BUY, 0.1, 1.1)

# Every field that the rules read, with what it may become and still must refuse.
BAD: dict[tuple[type, str], tuple[object, ...]] = {
    (RiskFacts, "now_ns"): (LONG_AGO, TOO_EARLY, 0),
    (RiskFacts, "told_at_ns"): (None, LONG_AGO, TOO_EARLY),
    (RiskFacts, "signal_at_ns"): (LONG_AGO, TOO_EARLY, 0),
    (RiskFacts, "model_name"): ("", "GBPUSD.H1.barrier"),
    (RiskFacts, "model_sha256"): ("", "b" * 64),
    (RiskFacts, "unit"): (None, 0.0, -1.0, *NO_NUMBERS),
    (RiskFacts, "quote"): (None,),
    (RiskFacts, "account"): (None,),
    (RiskFacts, "positions"): (None, (HELD, HELD)),
    (RiskFacts, "orders"): (None,),
    (RiskFacts, "rates"): (),  # none is needed for EURUSD in dollars: see the law of crosses
    (RiskFacts, "news"): (None, (EVENT,)),
    (RiskFacts, "state"): (make_state(trading=TradingState.HALTED),),
    (Quote, "symbol"): ("", "GBPUSD"),
    (Quote, "bid"): (0.0, -1.0, 2.0, *NO_NUMBERS),
    (Quote, "ask"): (0.0, -1.0, 2.0, *NO_NUMBERS),
    (Quote, "at_ns"): (LONG_AGO, TOO_EARLY, 0),
    (Account, "currency"): ("", "CHF"),
    (Account, "balance"): NO_NUMBERS,
    (Account, "equity"): (0.0, -1.0, *NO_NUMBERS),
    (Account, "margin"): (None, -INF, NAN, INF, -1e6),
    (Account, "leverage"): (None, 0.0, -1.0, NAN),
    (RiskState, "trading"): (TradingState.REDUCING, TradingState.HALTED),
    (RiskState, "halted"): ("somebody said so",),
    (RiskState, "loss_latched"): (True,),
    (RiskState, "day_start_equity"): (NAN, INF, 1e9),
    (RiskState, "peak_equity"): (NAN, INF, 1e9),
    (RiskState, "losses_in_a_row"): (100,),
    (RiskState, "entries_in_window"): (100,),
    (RiskState, "closes_in_window"): (),  # of closes alone, which entries have no part in
    (RiskState, "buys_in_window"): (100,),
    (RiskState, "sells_in_window"): (),  # of the other side
    (RiskState, "recent"): ((SentEntry(BAR_NS, Side.BUY, 0.1),),),
    (RiskState, "under_way"): ((SENT, SENT, SENT),),
    (RiskState, "unresolved"): (("EURUSD",),),
    (RiskState, "foreign_tickets"): ((9,),),
    (RiskState, "reference_price"): (0.0, -1.0, 9.0, *NO_NUMBERS),
    (RiskState, "unreconciled"): ("they differ",),
    (Position, "ticket"): (),  # a name
    (Position, "magic"): (),  # foreign ones are found by the book
    (Position, "symbol"): ("NOSUCH",),
    (Position, "side"): (Side.SELL,),
    (Position, "volume_lots"): (-1.0, *NO_NUMBERS),
    (Position, "opened_price"): (-1.0, *NO_NUMBERS),
    (Position, "opened_at_ns"): (),  # its age is no rule of an entry
    (Position, "stop"): (),  # nor its exits
    (Position, "target"): (),
    (Position, "swap"): (),  # in the equity
    (Position, "identifier"): (),  # a name
    (OrderUnderWay, "magic"): (),  # a name
    (OrderUnderWay, "symbol"): ("NOSUCH",),
    (OrderUnderWay, "side"): (Side.SELL,),
    (OrderUnderWay, "volume_lots"): (INF,),
    (OrderUnderWay, "price"): (-1.0, *NO_NUMBERS),
    (Intent, "symbol"): ("", "NOSUCH", "USDJPY"),
    (Intent, "volume_lots"): (0.0, -1.0, 1.01, *NO_NUMBERS),
    (Intent, "stop"): (0.0, -1.0, 1.2, *NO_NUMBERS),
    (Intent, "target"): (-1.0, 1.0, *NO_NUMBERS),  # 0.0 is none: the time-out ends it
    (Intent, "quoted"): (0.0, -1.0, 1.2, *NO_NUMBERS),
    (Intent, "side"): (Side.SELL,),
}
UNJUDGED_OF_AN_INTENT = {
    "intent_id",  # known or not: the book's
    "magic",
    "comment",
    "purpose",
    "position",
    "expires_at_ns",
    "order",
    "kind",
    "price",
    "rests_until_ns",
}
NUMBERS = [
    name
    for name in Limits.__struct_fields__
    if isinstance(getattr(LIMITS, name), float)
    and name != "risk_per_trade_fraction"  # it sizes and does not judge
    and not name.endswith("weekend_hours")  # 0 is no policy
]
WHOLE = (RiskFacts, Quote, Account, RiskState, Position, OrderUnderWay)


def place(kind: type, name: str, value: object) -> tuple[Intent, RiskFacts]:
    """Return an order and facts that would pass, but for one field."""
    intent, facts = make_intent(), make_facts()
    replace: Any = msgspec.structs.replace
    change: dict[str, Any] = {name: value}
    if kind is Intent:
        return replace(intent, **change), facts
    if kind is Position:
        change = {"positions": (replace(HELD, **change),)}
    elif kind is OrderUnderWay:
        change = {"state": make_state(under_way=(replace(SENT, **change),))}
    elif kind is not RiskFacts:
        field = "quote" if kind is Quote else "account" if kind is Account else "state"
        change = {field: replace(getattr(facts, field), **change)}
    return intent, replace(facts, **change)


CASES = [(kind, name, value) for (kind, name), values in BAD.items() for value in values]


def test_without_any_fault_the_entry_passes() -> None:
    for kind in WHOLE:
        name = kind.__struct_fields__[0]
        told = {Position: HELD, OrderUnderWay: SENT}.get(kind)
        if told is None:
            assert judge_order(make_intent(), make_facts(), INSTRUMENTS, LIMITS) == ()
        else:
            intent, facts = place(kind, name, getattr(told, name))
            assert judge_order(intent, facts, INSTRUMENTS, LIMITS) == ()


@pytest.mark.parametrize(("kind", "name", "value"), CASES)
def test_a_fact_that_is_missing_no_number_or_stale_refuses(
    kind: type, name: str, value: object
) -> None:
    intent, facts = place(kind, name, value)
    assert judge_order(intent, facts, INSTRUMENTS, LIMITS), f"{kind.__name__}.{name} = {value!r}"


@pytest.mark.parametrize("kind", WHOLE)
def test_no_field_of_the_facts_was_forgotten(kind: type) -> None:
    fields = set(kind.__struct_fields__)  # type: ignore[attr-defined]
    assert {name for each, name in BAD if each is kind} == fields


def test_no_field_of_an_order_was_forgotten() -> None:
    judged = {name for kind, name in BAD if kind is Intent}
    assert judged | UNJUDGED_OF_AN_INTENT == set(Intent.__struct_fields__)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_limit_that_is_no_number_refuses(name: str) -> None:
    """Limits are checked when they are made; no rule relies on it."""
    spoilt = msgspec.structs.replace(LIMITS)
    msgspec.structs.force_setattr(spoilt, name, NAN)
    assert judge_order(make_intent(), make_facts(), INSTRUMENTS, spoilt)
