"""Laws of calm: in a moment that is told to be calm, no rule refuses when all are asked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from online.domain.calm import is_calm
from online.domain.circumstances import judge_circumstances, judge_closely
from online.domain.limits import Limits
from online.domain.market import NANOSECONDS_PER_SECOND, Instrument
from online.domain.news import Impact, NewsEvent
from online.domain.risk_facts import RiskFacts
from online.domain.symbol_limits import SymbolLimits
from online.domain.trading_state import TradingState
from online.instruments import find_instrument
from tests.fakes import make_account, make_facts, make_limits, make_quote, make_state

pytestmark = pytest.mark.lean
EURUSD = find_instrument("EURUSD")
SHORT_WEEK = dataclasses.replace(EURUSD, hours=("Sun 17:30-Thu 12:15", "Thu 12:45-Fri 16:50"))
LIMITS = make_limits(
    no_entry_before_weekend_hours=2.5,
    max_clock_skew_milliseconds=1_000,
    max_signal_age_seconds=120,
    max_spread_ratio=3.0,
)
OWN_LIMITS = msgspec.structs.replace(
    LIMITS,
    max_spread_points=9.0,
    max_quote_age_milliseconds=1,
    symbols={"EURUSD": SymbolLimits(max_spread_points=24.0, max_quote_age_milliseconds=60_000)},
)
MILLISECOND_NS = 1_000_000
WEEK_SECONDS = 7 * 86_400
NAN, INF = math.nan, math.inf


def at_ns(text: str) -> int:
    """Return an instant, nanoseconds UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def facts_at(now_ns: int, **changes: Any) -> RiskFacts:  # noqa: ANN401 - any field of the facts
    """Return facts of an instant against which nothing stands but perhaps the hour."""
    calm = make_facts(
        now_ns=now_ns, told_at_ns=now_ns, signal_at_ns=now_ns, quote=make_quote(at_ns=now_ns)
    )
    return msgspec.structs.replace(calm, **changes)


TUESDAY_NS = at_ns("2017-10-03T09:30:00")
EVENT = NewsEvent(0, 1, "EUR", Impact.HIGH, "Decision")
EDGES = (-1, 0, 1)
POINT = 1.0 / EURUSD.scale
STATES = {
    "trading": tuple(TradingState),
    "halted": ("", "by hand"),
    "loss_latched": (True, False),
    "day_start_equity": (NAN, INF, 0.0, 10_000.0, 10_526.0, 10_527.0),
    "peak_equity": (NAN, INF, 0.0, 12_500.0, 12_501.0),
    "losses_in_a_row": (0, 99, 100),
    "entries_in_window": (0, 99, 100),
    "unresolved": ((), ("EURUSD",), ("GBPUSD",)),
    "foreign_tickets": ((), (7,)),
    "unreconciled": ("", "they differ"),
}
FACTS = {
    "told_at_ns": (None, *(TUESDAY_NS + s * 10**9 + e for s in EDGES for e in EDGES)),
    "signal_at_ns": tuple(TUESDAY_NS - s * 10**9 + e for s in (0, 120) for e in EDGES),
    "model_name": ("", "EURUSD.H1.barrier"),
    "account": (
        None,
        *map(make_account, (NAN, INF, -INF, -1.0, 0.0, 5e-324, 1e308, 10_000.0)),
    ),
    "positions": (None, ()),
    "orders": (None, ()),
    "news": (None, (), (EVENT,)),
    "quote": (
        None,
        *(make_quote(1.1, 1.1 + points * POINT, TUESDAY_NS) for points in (-1, 0, 24, 25, 30, 31)),
        *(make_quote(price, price, TUESDAY_NS) for price in (NAN, INF, -1.0, 0.0)),
        *(make_quote(at_ns=TUESDAY_NS - 60_000 * MILLISECOND_NS + edge) for edge in EDGES),
        make_quote(at_ns=TUESDAY_NS + 1),
        msgspec.structs.replace(make_quote(at_ns=TUESDAY_NS), symbol="GBPUSD"),
    ),
}


def choose(fields: Mapping[str, tuple[object, ...]]) -> st.SearchStrategy[dict[str, object]]:
    """Draw a value for at most two of the fields."""
    pairs = [(name, value) for name, values in fields.items() for value in values]
    return st.lists(st.sampled_from(pairs), max_size=2).map(dict)


@given(choose(FACTS), choose(STATES), st.sampled_from([LIMITS, OWN_LIMITS]))
def test_a_calm_moment_is_one_in_which_no_rule_refuses(
    facts: dict[str, object], state: dict[str, object], limits: Limits
) -> None:
    moment = facts_at(TUESDAY_NS, **{"state": make_state(**state), **facts})
    if is_calm(EURUSD, moment, limits):
        assert judge_closely(EURUSD, moment, limits) == ()
    assert judge_circumstances(EURUSD, moment, limits) == judge_closely(EURUSD, moment, limits)


@pytest.mark.parametrize("field", [*FACTS, *STATES])
def test_each_field_can_end_the_calm(field: str) -> None:
    """Else the law above would hold of a field that is not looked at at all."""
    values = FACTS.get(field) or STATES[field]
    limits = msgspec.structs.replace(LIMITS, allowed_models=("EURUSD.H1.barrier",))
    moments = [
        facts_at(TUESDAY_NS, **{field: value})
        if field in FACTS
        else facts_at(TUESDAY_NS, state=make_state(**{field: value}))
        for value in values
    ]
    assert {is_calm(EURUSD, moment, limits) for moment in moments} == {True, False}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["2017-03-10T00:00:00", "2017-10-02T00:00:00", "2017-11-03T00:00:00"]),
            st.integers(0, WEEK_SECONDS // 60),
            st.sampled_from([-1, 0, 1, 30 * NANOSECONDS_PER_SECOND]),
        ),
        max_size=20,
    ),
    st.sampled_from([EURUSD, SHORT_WEEK]),
)
def test_what_was_kept_of_one_hour_says_nothing_of_another(
    moments: list[tuple[str, int, int]], instrument: Instrument
) -> None:
    """The same limits go through weeks back and forth; in two of them the clocks are changed."""
    limits = msgspec.structs.replace(LIMITS)
    for week, minutes, nanoseconds in moments:
        now_ns = at_ns(week) + minutes * 60 * NANOSECONDS_PER_SECOND + nanoseconds
        facts = facts_at(now_ns)
        assert judge_circumstances(instrument, facts, limits) == judge_closely(
            instrument, facts, limits
        )


@pytest.mark.parametrize(
    ("text", "calm"),
    [
        ("2017-03-10T19:59:00", False),  # winter: the week closes at 22:00 UTC, 2.5 h before ...
        ("2017-03-10T18:59:00", True),
        ("2017-03-17T18:59:00", False),  # ... and in summer at 21:00
        ("2017-03-17T17:59:00", True),
        ("2017-03-12T22:01:00", True),  # the clocks were changed on this Sunday
        ("2017-03-05T21:01:00", False),
        ("2017-03-12T21:01:00", True),
    ],
)
def test_the_change_of_clocks_ends_what_was_kept(
    text: str,
    calm: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    limits = msgspec.structs.replace(LIMITS)
    for earlier in ("2017-03-07T12:00:00", "2017-03-14T12:00:00"):
        assert is_calm(EURUSD, facts_at(at_ns(earlier)), limits)
    assert is_calm(EURUSD, facts_at(at_ns(text)), limits) is calm


def test_another_instrument_of_the_same_name_ends_what_was_kept() -> None:
    limits = msgspec.structs.replace(LIMITS)
    moment = facts_at(TUESDAY_NS)
    assert is_calm(EURUSD, moment, limits)
    for changes in ({"typical_spread_points": 0.0}, {"hours": ("Sun 17:00-Mon 17:00",)}):
        assert not is_calm(dataclasses.replace(EURUSD, **changes), moment, limits)
    assert is_calm(EURUSD, moment, limits)


def test_limits_that_replace_others_do_not_inherit_what_was_kept() -> None:
    moment = facts_at(TUESDAY_NS)
    assert is_calm(EURUSD, moment, LIMITS)
    for changes in (
        {"max_spread_points": 9.0},
        {"max_spread_ratio": 0.1},
        {"allowed_symbols": ("GBPUSD",)},
        {"allowed_models": ("GBPUSD.H1.barrier",)},
        {"no_entry_before_weekend_hours": 100.0},
        {"symbols": {"EURUSD": SymbolLimits(max_spread_points=9.0)}},
    ):
        assert not is_calm(EURUSD, moment, msgspec.structs.replace(LIMITS, **changes))


@pytest.mark.parametrize("equity", [0.0, -1.0])
def test_an_account_without_money_is_not_calm_before_the_book_knows_of_any(equity: float) -> None:
    state = make_state(day_start_equity=0.0, peak_equity=0.0)
    moment = facts_at(TUESDAY_NS, state=state, account=make_account(equity))
    assert not is_calm(EURUSD, moment, LIMITS)
    assert is_calm(EURUSD, facts_at(TUESDAY_NS, state=state), LIMITS)
