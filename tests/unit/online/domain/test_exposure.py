"""Exposure and repetition: everything held, under way and asked for, at its worst."""

from __future__ import annotations

import math
from typing import Any

import pytest

from online.domain.account import Account, RestingOrder
from online.domain.conversion import conversion_symbols, highest_rate, read_rates
from online.domain.exposure import OrderUnderWay, all_under_way, measure_worst_case
from online.domain.limits import Limits
from online.domain.market import Instrument, Quote, Side
from online.domain.reasons import Veto
from online.domain.risk import judge_close, judge_entry, judge_order
from online.domain.risk_facts import RiskFacts, SentEntry
from online.domain.sizing import size_entry
from online.domain.trading_state import TradingState
from online.instruments import load_instruments
from tests.fakes import (
    BAR_NS,
    INSTRUMENTS,
    make_account,
    make_facts,
    make_intent,
    make_limits,
    make_position,
    make_state,
)

pytestmark = pytest.mark.lean
GBPJPY = Instrument("GBPJPY", "GBP", "JPY", 3, 100_000.0, typical_spread_points=20.0)
EURGBP = Instrument("EURGBP", "EUR", "GBP", 5, 100_000.0, typical_spread_points=10.0)
WORLD = {**INSTRUMENTS, "GBPJPY": GBPJPY, "EURGBP": EURGBP}
DOLLAR_YEN = Quote("USDJPY", 150.0, 150.02, BAR_NS)


def codes(vetoes: tuple[Veto, ...]) -> set[str]:
    """Return the reason codes of vetoes."""
    return {veto.reason.value for veto in vetoes}


def judge(facts: RiskFacts, limits: Limits | None = None, **intent: Any) -> set[str]:  # noqa: ANN401
    """Judge a small long entry in EURUSD of 11,001 dollars."""
    return codes(judge_entry(make_intent(**intent), facts, WORLD, limits or make_limits()))


def under_way(**changes: Any) -> OrderUnderWay:  # noqa: ANN401 - any field of the order
    """Return a long order of 11,000 dollars whose fate is unknown."""
    told = {"magic": 77, "symbol": "EURUSD", "side": Side.BUY, "volume_lots": 0.1, "price": 1.1}
    return OrderUnderWay(**{**told, **changes})


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max_symbol_notional", "SYMBOL_EXPOSURE_ABOVE_LIMIT"),
        ("max_currency_notional", "CURRENCY_EXPOSURE_ABOVE_LIMIT"),
        ("max_gross_notional", "GROSS_EXPOSURE_ABOVE_LIMIT"),
    ],
)
def test_an_order_of_unknown_fate_counts_as_filled(limit: str, expected: str) -> None:
    facts = make_facts(state=make_state(under_way=(under_way(),)))
    assert judge(facts, make_limits(**{limit: 22_000.9})) == {expected}
    assert judge(facts, make_limits(**{limit: 22_001.0})) == set()


def test_an_order_of_unknown_fate_that_shows_as_a_position_is_not_counted_twice() -> None:
    state = make_state(under_way=(under_way(volume_lots=0.3),))
    held = make_position(magic=77, volume_lots=0.1)  # a part of it has filled
    facts = make_facts(state=state, positions=(held,))
    assert judge(facts, make_limits(max_gross_notional=44_001.0)) == set()
    assert judge(facts, make_limits(max_gross_notional=44_000.9)) != set()


def test_an_order_that_rests_without_our_number_is_counted() -> None:
    resting = RestingOrder(5, 0, "EURUSD", Side.BUY, "limit", 0.1, 1.1, 0.0, 0.0, "by hand")
    limits = make_limits(max_gross_notional=22_000.9)
    assert judge(make_facts(orders=(resting,)), limits) == {"GROSS_EXPOSURE_ABOVE_LIMIT"}
    held = make_position(magic=0)
    facts = make_facts(orders=(resting,), positions=(held,))
    limits = make_limits(max_gross_notional=33_000.9)
    assert judge(facts, limits) == {"GROSS_EXPOSURE_ABOVE_LIMIT"}


def test_two_orders_without_a_number_are_never_taken_for_one() -> None:
    resting = RestingOrder(5, 0, "EURUSD", Side.BUY, "limit", 0.1, 1.1, 0.0, 0.0, "by hand")
    assert len(all_under_way((under_way(magic=0),), (resting,))) == 2


def test_an_order_on_the_other_side_is_no_relief_before_it_has_filled() -> None:
    """Either may fill without the other: the greater of the two is the worst, not their sum."""
    sold = under_way(symbol="EURGBP", side=Side.SELL, price=0.85)
    rates = (Quote("GBPUSD", 1.3, 1.3001, BAR_NS),)
    world = load_instruments()
    read = read_rates(rates, world, 1000, BAR_NS)
    worst = measure_worst_case(make_intent(), make_account(), (), (sold,), world, read)
    assert worst is not None
    assert dict(worst.currencies)["EUR"] == pytest.approx(0.1 * 100_000 * 0.85 * 1.3001)


def test_what_is_held_on_the_other_side_nets_a_currency() -> None:
    rates = (Quote("GBPUSD", 1.3, 1.3001, BAR_NS),)
    held = make_position(symbol="EURGBP", side=Side.SELL, opened_price=0.85)
    facts = make_facts(positions=(held,), rates=rates)
    limits = make_limits(max_currency_notional=11_100.0)
    world = load_instruments()
    assert judge_entry(make_intent(), facts, world, limits) == ()


@pytest.mark.parametrize(
    ("account", "expected"),
    [
        (Account("USD", 10_000.0, 10_000.0, 0.0, 100.0), set()),
        (Account("USD", 10_000.0, 10_000.0, 4_890.0, 100.0), {"MARGIN_LEVEL_TOO_LOW"}),
        (Account("USD", 10_000.0, 10_000.0, 4_889.9, 100.0), set()),
        (Account("USD", 10_000.0, 10_000.0, None, 100.0), {"MARGIN_UNKNOWN"}),
        (Account("USD", 10_000.0, 10_000.0, 0.0, None), {"MARGIN_UNKNOWN"}),
        (Account("USD", 10_000.0, 10_000.0, 0.0, 0.0), {"MARGIN_UNKNOWN"}),
        (Account("USD", 10_000.0, 10_000.0, -1_000.0, 100.0), {"MARGIN_UNKNOWN"}),
    ],
)
def test_the_margin_level_after_the_order_must_stay_above_its_least(
    account: Account, expected: set[str]
) -> None:
    limits = make_limits(min_margin_level_percent=200.0)
    assert judge(make_facts(account=account), limits) == expected


def test_an_instrument_may_need_more_margin_than_the_leverage_says() -> None:
    dear = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0, margin_fraction=0.5)
    limits = make_limits(min_margin_level_percent=200.0)
    found = judge_entry(make_intent(), make_facts(), {"EURUSD": dear}, limits)
    assert codes(found) == {"MARGIN_LEVEL_TOO_LOW"}


def test_a_price_outside_the_collar_is_vetoed() -> None:
    limits = make_limits(price_collar_points=10.0)
    assert judge(make_facts(), limits, quoted=1.1002) == set()
    assert judge(make_facts(), limits, quoted=1.10021) == {"PRICE_COLLAR"}


def test_a_market_that_jumped_since_the_last_price_is_vetoed() -> None:
    limits = make_limits(price_collar_units=2.0)
    near, far = make_state(reference_price=1.0976), make_state(reference_price=1.0975)
    assert judge(make_facts(state=near), limits) == set()
    assert judge(make_facts(state=far), limits) == {"PRICE_COLLAR"}


@pytest.mark.parametrize("unit", [None, 0.0, -0.001, math.nan, math.inf])
def test_without_a_unit_nothing_is_entered(unit: float | None) -> None:
    assert judge(make_facts(unit=unit)) == {"NO_REFERENCE_PRICE"}


@pytest.mark.parametrize("price", [0.0, -1.1, math.nan, math.inf])
def test_without_a_last_price_nothing_is_entered(price: float) -> None:
    assert judge(make_facts(state=make_state(reference_price=price))) == {"NO_REFERENCE_PRICE"}


def test_an_entry_against_a_position_or_order_of_our_own_is_vetoed() -> None:
    short = make_position(side=Side.SELL)
    assert judge(make_facts(positions=(short,))) == {"OWN_ORDER_CROSSED"}
    sold = make_state(under_way=(under_way(side=Side.SELL),))
    assert judge(make_facts(state=sold)) == {"OWN_ORDER_CROSSED"}
    elsewhere = make_state(under_way=(under_way(side=Side.SELL, symbol="USDJPY", price=150.0),))
    assert judge(make_facts(state=elsewhere)) == set()


def test_a_symbol_entered_too_often_on_one_side_is_vetoed() -> None:
    limits = make_limits(max_repeats_per_window=3)
    assert judge(make_facts(state=make_state(buys_in_window=2)), limits) == set()
    assert judge(make_facts(state=make_state(buys_in_window=3)), limits) == {"REPEATED_EXECUTION"}
    assert judge(make_facts(state=make_state(sells_in_window=3)), limits) == set()


def test_the_same_order_again_is_a_duplicate() -> None:
    def after(side: Side, volume: float) -> set[str]:
        return judge(make_facts(state=make_state(recent=(SentEntry(BAR_NS, side, volume),))))

    assert after(Side.BUY, 0.1) == {"DUPLICATE_ORDER"}
    assert after(Side.BUY, 0.2) == set()
    assert after(Side.SELL, 0.1) == set()


def test_closes_have_a_rate_of_their_own() -> None:
    limits = make_limits(max_closes_per_window=2)
    assert judge_close(make_state(entries_in_window=100, closes_in_window=1), limits) == ()
    assert codes(judge_close(make_state(closes_in_window=2), limits)) == {"CLOSE_RATE_LIMIT"}


def test_reducing_lets_closes_through_and_halted_does_not() -> None:
    limits = make_limits()
    assert judge_close(make_state(trading=TradingState.REDUCING), limits) == ()
    assert codes(judge_close(make_state(trading=TradingState.HALTED), limits)) == {"HALTED"}


def test_an_unknown_symbol_is_not_allowed() -> None:
    found = judge_order(make_intent(symbol="NOSUCH"), make_facts(), WORLD, make_limits())
    assert codes(found) == {"SYMBOL_NOT_ALLOWED"}


# Conversion


def test_a_cross_is_valued_through_the_dollar() -> None:
    rates = read_rates((DOLLAR_YEN,), WORLD, 1000, BAR_NS)
    assert highest_rate(rates, "JPY", "USD") == pytest.approx(1.0 / 150.0)
    pounds = {**rates, ("GBP", "USD"): (1.25, 1.26)}
    assert highest_rate(pounds, "JPY", "GBP") == pytest.approx(1.0 / 150.0 / 1.25)
    assert highest_rate(pounds, "GBP", "JPY") == pytest.approx(1.26 * 150.02)
    assert highest_rate(pounds, "CHF", "GBP") is None
    assert highest_rate({}, "USD", "USD") == 1.0


def test_the_pairs_that_value_a_cross_are_known_beforehand() -> None:
    world = load_instruments()
    yen = [world["GBPJPY"]]
    assert conversion_symbols(yen, "USD", world) == ("USDJPY",)
    assert conversion_symbols(yen, "GBP", world) == ()
    assert conversion_symbols(yen, "EUR", world) == ("EURJPY",)
    assert conversion_symbols(yen, "CHF", world) == ("USDCHF", "USDJPY")
    assert conversion_symbols([world["EURUSD"]], "USD", world) == ()


@pytest.mark.parametrize(
    ("rate", "sound"),
    [
        (DOLLAR_YEN, True),
        (Quote("USDJPY", 150.0, 150.02, BAR_NS - 60_000_000_001), False),
        (Quote("USDJPY", 150.0, 150.02, BAR_NS + 1), False),
        (Quote("USDJPY", 150.02, 150.0, BAR_NS), False),
        (Quote("USDJPY", 0.0, 150.0, BAR_NS), False),
        (Quote("EURUSD", 1.1, 1.1001, BAR_NS), False),
    ],
)
def test_a_rate_that_is_stale_or_missing_values_nothing(
    rate: Quote,
    sound: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    intent = make_intent(symbol="GBPJPY", quoted=190.01, stop=189.0, target=192.0)
    quote = Quote("GBPJPY", 190.0, 190.01, BAR_NS)
    state = make_state(reference_price=190.0)
    facts = make_facts(quote=quote, rates=(rate,), unit=0.5, state=state)
    found = codes(judge_entry(intent, facts, WORLD, make_limits(max_rate_age_milliseconds=60_000)))
    assert found == (set() if sound else {"NO_CONVERSION_RATE"})


def test_a_crosss_volume_loses_the_budget_by_the_live_rate() -> None:
    rates = read_rates((DOLLAR_YEN,), WORLD, 1000, BAR_NS)
    limits = make_limits(max_volume_lots=9.0)
    sizing = size_entry(make_account(), 190.0, 189.0, GBPJPY, limits, rates)
    assert sizing is not None
    assert sizing.volume_lots == 0.15  # 100,000 yen a lot are 667 dollars; the budget is 100
    assert size_entry(make_account(), 190.0, 189.0, GBPJPY, limits, {}) is None
