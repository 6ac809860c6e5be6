from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from online.domain.errors import InvalidInput
from online.domain.market import Side
from online.gateway.request import (
    OrderRules,
    SymbolRules,
    beyond_collar,
    build_request,
    check_intent,
    choose_filling,
    floor_to_step,
    to_tick_size,
)
from online.simulator import constants as mt5
from online.simulator.info_tuples import SymbolInfo
from tests.gateway_world import closing, entry

pytestmark = pytest.mark.lean

EURUSD = SymbolInfo(
    name="EURUSD.m",
    digits=5,
    point=0.00001,
    trade_tick_size=0.00001,
    volume_step=0.01,
    filling_mode=mt5.SYMBOL_FILLING_IOC,
    trade_exemode=mt5.SYMBOL_TRADE_EXECUTION_MARKET,
)
FLOATS = {"volume", "price", "sl", "tp"}
INTEGERS = {"action", "type", "deviation", "magic", "position", "type_time", "type_filling"}


def test_every_field_has_the_exact_type_the_package_takes() -> None:
    request = build_request(entry(1, volume_lots=1), EURUSD, 1.1, OrderRules())
    assert {name for name, value in request.items() if type(value) is float} == FLOATS
    assert {name for name, value in request.items() if type(value) is int} == INTEGERS
    assert request["symbol"] == "EURUSD.m"


def test_close_names_its_position_and_carries_no_exits() -> None:
    request = build_request(closing(2, entry(1), 77), EURUSD, 1.1, OrderRules())
    assert (request["position"], request["sl"], request["tp"]) == (77, 0.0, 0.0)


@pytest.mark.parametrize(
    ("mask", "execution", "filling"),
    [
        (3, mt5.SYMBOL_TRADE_EXECUTION_MARKET, mt5.ORDER_FILLING_IOC),
        (2, mt5.SYMBOL_TRADE_EXECUTION_INSTANT, mt5.ORDER_FILLING_IOC),
        (1, mt5.SYMBOL_TRADE_EXECUTION_MARKET, mt5.ORDER_FILLING_FOK),
        (0, mt5.SYMBOL_TRADE_EXECUTION_INSTANT, mt5.ORDER_FILLING_RETURN),
        (0, mt5.SYMBOL_TRADE_EXECUTION_EXCHANGE, mt5.ORDER_FILLING_RETURN),
    ],
)
def test_filling_mask_becomes_the_filling_enum(mask: int, execution: int, filling: int) -> None:
    assert choose_filling(mask, execution) == filling


def test_market_execution_without_a_filling_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        choose_filling(0, mt5.SYMBOL_TRADE_EXECUTION_MARKET)
    assert refused.value.code == "NO_FILLING_MODE"


@given(st.integers(1, 50_000))
def test_volume_on_the_step_stays_as_it_is(steps: int) -> None:
    assert floor_to_step(steps / 100, 0.01) == steps / 100


@given(st.floats(0.01, 500.0))
def test_volume_is_never_raised(volume: float) -> None:
    floored = floor_to_step(volume, 0.01)
    assert floored <= volume
    assert volume - floored < 0.01


@given(st.floats(0.5, 2.0))
def test_price_is_on_the_tick(price: float) -> None:
    quarter = SymbolInfo(digits=5, trade_tick_size=0.00025)
    rounded = to_tick_size(price, quarter)
    assert abs(rounded - price) <= 0.000125 + 1e-12
    assert math.isclose(rounded / 0.00025, round(rounded / 0.00025), abs_tol=1e-6)


def test_collar_binds_entries_on_the_worse_side_alone() -> None:
    rules = OrderRules(collar_points=50.0)
    assert beyond_collar(entry(1), 1.1002 + 0.0006, 0.00001, rules) == pytest.approx(10.0)
    assert beyond_collar(entry(1), 1.0900, 0.00001, rules) == 0.0
    sell = entry(1, side=Side.SELL, stop=1.12, target=1.09)
    assert beyond_collar(sell, 1.1002 - 0.0006, 0.00001, rules) == pytest.approx(10.0)
    assert beyond_collar(closing(2, entry(1), 7), 0.5, 0.00001, rules) == 0.0


def test_a_symbol_has_points_of_its_own_and_shares_what_it_does_not_state() -> None:
    gold = SymbolRules(deviation_points=300, collar_points=900.0)
    rules = OrderRules(repriced_sends=1, symbols={"XAUUSD": gold, "EURUSD": SymbolRules(5)})
    assert rules.of("XAUUSD") == OrderRules(300, 900.0, 1)
    assert rules.of("EURUSD") == OrderRules(5, 50.0, 1)
    assert rules.of("GBPUSD") is rules
    request = build_request(entry(1), EURUSD, 1.1, rules.of("EURUSD"))
    assert request["deviation"] == 5


@pytest.mark.parametrize("wrong", [SymbolRules(-1), SymbolRules(collar_points=0.0)])
def test_a_symbols_own_points_that_are_none_are_refused_and_named(wrong: SymbolRules) -> None:
    with pytest.raises(InvalidInput, match="rules of XAUUSD"):
        OrderRules(symbols={"XAUUSD": wrong})


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"intent_id": ""}, "intent_id"),
        ({"magic": 1 << 63}, "magic"),
        ({"comment": "x" * 25}, "comment"),
        ({"comment": "é"}, "comment"),
        ({"comment": ""}, "comment"),
        ({"symbol": "X" * 30}, "symbol"),
        ({"volume_lots": math.inf}, "volume_lots"),
        ({"volume_lots": -0.1}, "volume_lots"),
        ({"target": math.nan}, "target"),
        ({"stop": 0.0}, "stop loss"),
        ({"position": -1}, "position"),
    ],
)
def test_intent_no_terminal_could_take_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        check_intent(entry(1, **changes))


def test_close_without_its_position_is_refused() -> None:
    with pytest.raises(InvalidInput, match="ticket"):
        check_intent(closing(2, entry(1), 0))


@given(
    st.one_of(
        st.floats(0.0, 200_000.0),
        st.integers(0, 2_000_000_000).map(lambda points: points / 100_000.0),
    ),
    st.sampled_from([5, 3, 2]),
)
def test_a_price_on_its_tick_is_told_as_decimals_would_round_it(price: float, digits: int) -> None:
    tick = Decimal(1).scaleb(-digits)
    expected = float(Decimal(str(price)).quantize(tick, ROUND_HALF_UP))
    symbol = SymbolInfo(trade_tick_size=10.0**-digits, digits=digits)
    assert to_tick_size(price, symbol) == expected
