"""Pre-trade risk: every rule at its edge, and closed for everything missing, NaN or stale."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from online.domain.account import Account
from online.domain.circumstances import judge_circumstances, judge_quote
from online.domain.order import Purpose
from online.domain.reasons import MEANING, Reason, Veto
from online.domain.risk import judge_entry, judge_order
from online.domain.trading_state import TradingState
from tests.fakes import (
    BAR_NS,
    EURUSD,
    INSTRUMENTS,
    USDJPY,
    make_account,
    make_facts,
    make_intent,
    make_limits,
    make_position,
    make_quote,
    make_state,
)

pytestmark = pytest.mark.lean
NAN, INF = math.nan, math.inf
MILLISECOND_NS = 1_000_000


def codes(vetoes: tuple[Veto, ...]) -> set[str]:
    """Return the reason codes of vetoes."""
    return {veto.reason.value for veto in vetoes}


def test_a_sound_quote_state_and_order_pass() -> None:
    quote, limits = make_quote(), make_limits()
    assert judge_quote(quote, EURUSD, limits, BAR_NS) == ()
    assert judge_circumstances(EURUSD, make_facts(), limits) == ()
    assert judge_order(make_intent(), make_facts(), INSTRUMENTS, limits) == ()


def test_every_reason_has_a_meaning() -> None:
    assert set(MEANING) == set(Reason)
    assert all(meaning.endswith(".") for meaning in MEANING.values())


# Quotes


def test_no_quote_is_vetoed() -> None:
    assert codes(judge_quote(None, EURUSD, make_limits(), BAR_NS)) == {"NO_QUOTE"}


def test_a_quote_of_another_symbol_is_no_quote() -> None:
    assert codes(judge_quote(make_quote(), USDJPY, make_limits(), BAR_NS)) == {"NO_QUOTE"}


@pytest.mark.parametrize(
    ("bid", "ask"),
    [(NAN, 1.1), (1.1, NAN), (INF, INF), (1.1, INF), (0.0, 1.1), (-1.1, 1.1), (1.2, 1.1)],
)
def test_a_quote_that_is_no_market_is_vetoed(bid: float, ask: float) -> None:
    assert codes(judge_quote(make_quote(bid, ask), EURUSD, make_limits(), BAR_NS)) == {
        "CROSSED_QUOTE"
    }


def test_a_quote_without_a_spread_is_a_market() -> None:
    assert judge_quote(make_quote(1.1, 1.1), EURUSD, make_limits(), BAR_NS) == ()


@pytest.mark.parametrize(
    ("age_milliseconds", "expected"),
    [(-1, {"STALE_QUOTE"}), (0, set()), (500, set()), (501, {"STALE_QUOTE"})],
)
def test_a_quote_is_stale_beyond_its_limit_and_from_the_future(
    age_milliseconds: int, expected: set[str]
) -> None:
    limits = make_limits(max_quote_age_milliseconds=500)
    now_ns = BAR_NS + age_milliseconds * MILLISECOND_NS
    assert codes(judge_quote(make_quote(), EURUSD, limits, now_ns)) == expected


@pytest.mark.parametrize(("cap", "expected"), [(10.0, set()), (9.9, {"SPREAD_TOO_WIDE"})])
def test_a_spread_above_its_cap_is_vetoed(cap: float, expected: set[str]) -> None:
    limits = make_limits(max_spread_points=cap)
    assert codes(judge_quote(make_quote(), EURUSD, limits, BAR_NS)) == expected


# State


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"halted": "by hand"}, "HALTED"),
        ({"trading": TradingState.HALTED}, "HALTED"),
        ({"trading": TradingState.REDUCING}, "REDUCING"),
        ({"losses_in_a_row": 100}, "CONSECUTIVE_LOSSES"),
        ({"loss_latched": True}, "DAILY_LOSS_LIMIT"),
        ({"day_start_equity": 10_527.0}, "DAILY_LOSS_LIMIT"),
        ({"day_start_equity": NAN}, "DAILY_LOSS_LIMIT"),
        ({"peak_equity": 12_501.0}, "DRAWDOWN_LIMIT"),
        ({"peak_equity": NAN}, "DRAWDOWN_LIMIT"),
        ({"entries_in_window": 100}, "ORDER_RATE_LIMIT"),
        ({"unresolved": ("EURUSD",)}, "UNRESOLVED_ORDER"),
        ({"foreign_tickets": (7,)}, "FOREIGN_POSITION"),
    ],
)
def test_a_state_beyond_a_limit_is_vetoed(change: dict[str, Any], expected: str) -> None:
    facts = make_facts(state=make_state(**change))
    assert codes(judge_circumstances(EURUSD, facts, make_limits())) == {expected}


@pytest.mark.parametrize(
    "change",
    [
        {"day_start_equity": 10_526.0},
        {"peak_equity": 12_500.0},
        {"entries_in_window": 99},
        {"unresolved": ("GBPUSD",)},
        {"day_start_equity": 0.0, "peak_equity": 0.0},
    ],
)
def test_a_state_at_a_limit_passes(change: dict[str, Any]) -> None:
    facts = make_facts(state=make_state(**change))
    assert judge_circumstances(EURUSD, facts, make_limits()) == ()


def test_a_day_that_lost_exactly_its_limit_passes() -> None:
    limits = make_limits(max_daily_loss_fraction=0.5)
    at = make_facts(state=make_state(day_start_equity=20_000.0))
    assert judge_circumstances(EURUSD, at, limits) == ()
    beyond = make_facts(state=make_state(day_start_equity=math.nextafter(20_000.0, INF)))
    assert codes(judge_circumstances(EURUSD, beyond, limits)) == {"DAILY_LOSS_LIMIT"}


@pytest.mark.parametrize(
    "account",
    [
        None,
        make_account(NAN),
        make_account(INF),
        make_account(-INF),
        make_account(0.0),
        make_account(-1.0),
        Account("USD", NAN, 10_000.0),
    ],
)
def test_an_account_that_is_missing_or_no_money_is_vetoed(account: Account | None) -> None:
    found = codes(judge_circumstances(EURUSD, make_facts(account=account), make_limits()))
    assert found == {"ACCOUNT_UNAVAILABLE"}


def test_untold_positions_are_not_taken_for_none() -> None:
    found = codes(judge_circumstances(EURUSD, make_facts(positions=None), make_limits()))
    assert found == {"ACCOUNT_UNAVAILABLE"}


def test_a_symbol_that_is_not_allowed_is_vetoed() -> None:
    limits = make_limits(allowed_symbols=("USDJPY",))
    found = codes(judge_circumstances(EURUSD, make_facts(), limits))
    assert found == {"SYMBOL_NOT_ALLOWED"}


# Orders


@pytest.mark.parametrize(
    ("change", "limits", "expected"),
    [
        ({"volume_lots": 0.0}, {}, "VOLUME_TOO_SMALL"),
        ({"volume_lots": -0.1}, {}, "NO_CONVERSION_RATE"),
        ({"volume_lots": NAN}, {}, "NO_CONVERSION_RATE"),
        ({"quoted": NAN}, {}, "NO_CONVERSION_RATE"),
        ({"quoted": INF}, {}, "NO_CONVERSION_RATE"),
        ({"volume_lots": 0.51}, {"max_volume_lots": 0.5}, "VOLUME_ABOVE_LIMIT"),
        ({}, {"max_volume_lots": math.nextafter(0.1, 0.0)}, "VOLUME_ABOVE_LIMIT"),
        ({}, {"max_notional": 11_000.9}, "NOTIONAL_ABOVE_LIMIT"),
        ({}, {"max_gross_notional": 11_000.9}, "GROSS_EXPOSURE_ABOVE_LIMIT"),
        ({"stop": 0.0}, {}, "STOP_MISSING"),
        ({"stop": NAN}, {}, "STOP_MISSING"),
        ({"target": 0.0, "expires_at_ns": 0}, {}, "STOP_MISSING"),
        ({"target": 0.0, "stop": 1.1}, {}, "STOP_TOO_CLOSE"),
        ({"target": INF}, {}, "STOP_MISSING"),
        ({"target": NAN}, {}, "STOP_MISSING"),
        ({"stop": 1.1}, {}, "STOP_TOO_CLOSE"),
        ({"stop": 1.2}, {}, "STOP_TOO_CLOSE"),
        ({"target": 1.1}, {}, "STOP_TOO_CLOSE"),
        ({"side": "sell"}, {}, "STOP_TOO_CLOSE"),
    ],
)
def test_an_order_beyond_a_limit_or_without_exits_is_vetoed(
    change: dict[str, Any], limits: dict[str, Any], expected: str
) -> None:
    intent = msgspec.convert({**msgspec.to_builtins(make_intent()), **change}, type(make_intent()))
    found = judge_entry(intent, make_facts(), INSTRUMENTS, make_limits(**limits))
    assert codes(found) == {expected}


@pytest.mark.parametrize(
    "limits",
    [{"max_volume_lots": 0.1}, {"max_notional": 11_001.0}, {"max_gross_notional": 11_001.0}],
)
def test_an_order_at_a_limit_passes(limits: dict[str, Any]) -> None:
    intent, told = make_intent(), make_limits(**limits)
    assert judge_entry(intent, make_facts(), INSTRUMENTS, told) == ()


def test_gross_exposure_counts_what_is_held() -> None:
    limits = make_limits(max_gross_notional=30_000.0)
    intent, one, two = make_intent(), make_position(), make_position(ticket=10)
    assert judge_entry(intent, make_facts(positions=(one,)), INSTRUMENTS, limits) == ()
    found = judge_entry(intent, make_facts(positions=(one, two)), INSTRUMENTS, limits)
    assert codes(found) == {"GROSS_EXPOSURE_ABOVE_LIMIT"}


@pytest.mark.parametrize(
    "change", [{"opened_price": NAN}, {"volume_lots": NAN}, {"symbol": "NOSUCH"}]
)
def test_a_held_position_without_a_value_is_vetoed(change: dict[str, Any]) -> None:
    held = (make_position(**change),)
    found = judge_entry(make_intent(), make_facts(positions=held), INSTRUMENTS, make_limits())
    assert codes(found) == {"NO_CONVERSION_RATE"}


def test_an_order_that_cannot_be_valued_in_the_accounts_currency_is_vetoed() -> None:
    intent = make_intent(symbol="CADCHF")
    found = judge_entry(intent, make_facts(), INSTRUMENTS, make_limits())
    assert codes(found) == {"NO_CONVERSION_RATE"}


def test_a_close_is_never_kept_from_reducing_risk() -> None:
    close = make_intent(purpose=Purpose.CLOSE, volume_lots=50.0, stop=0.0, target=0.0)
    limits = make_limits(max_volume_lots=0.01, max_notional=1.0)
    assert judge_order(close, make_facts(), INSTRUMENTS, limits) == ()
