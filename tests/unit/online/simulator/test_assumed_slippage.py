"""The slippage that a symbol's rules say: charged on every fill at the market, and on no other."""

from __future__ import annotations

import pytest

from online.domain.errors import InvalidSettings
from online.domain.market import Quote
from online.simulator import constants as mt5
from online.simulator.bars import BidAskBar
from online.simulator.latency import RandomSlippage
from online.simulator.rules import AccountRules, TradingRules
from tests.unit.online.simulator.world import BUY, SELL, World

SLIPPING = TradingRules(slippage_points=4)


def quote(world: World, bid: float) -> None:
    at_ns = world.terminal.now_ns + 1_000_000_000
    world.terminal.on_quote(Quote("EURUSD", bid, round(bid + 0.0002, 5), at_ns))


def last_fill(world: World) -> tuple[str, float]:
    deal = world.terminal.deals_after(0)[-1]
    return deal.reason, deal.price


def test_an_entry_and_a_close_at_the_market_are_worse_by_the_slippage() -> None:
    world = World(trading=SLIPPING)
    bought = world.done(type=BUY)
    assert bought.price == 1.10024
    assert world.done(type=SELL, position=bought.order).price == 1.09996
    assert world.positions() == ()


@pytest.mark.parametrize(
    ("type_", "stop", "met_at", "filled"),
    [
        (BUY, 1.09, 1.09, 1.08996),  # at its price
        (BUY, 1.09, 1.085, 1.08496),  # jumped over
        (SELL, 1.11, 1.1098, 1.11004),
    ],
)
def test_a_stop_fills_worse_than_what_set_it_off(
    type_: int, stop: float, met_at: float, filled: float
) -> None:
    world = World(trading=SLIPPING)
    world.done(type=type_, sl=stop)
    quote(world, met_at)
    assert last_fill(world) == ("stop", filled)


def test_a_target_fills_at_its_price() -> None:
    world = World(trading=SLIPPING)
    world.done(type=BUY, tp=1.11)
    quote(world, 1.12)
    assert last_fill(world) == ("target", 1.11)


def test_a_stop_within_a_bar_slips_and_a_target_does_not() -> None:
    for levels, reason, filled in (({"sl": 1.09}, "stop", 1.08996), ({"tp": 1.11}, "target", 1.11)):
        world = World(trading=SLIPPING)
        world.done(type=BUY, **levels)
        at_ns = world.terminal.now_ns
        prices = (1.1, 1.12, 1.08, 1.1)
        made = BidAskBar(at_ns, at_ns + 3_600 * 10**9, *prices, *prices)
        world.terminal.finish_bar("EURUSD", made)
        assert last_fill(world) == (reason, filled)


@pytest.mark.parametrize(
    ("type_", "price", "met_at", "filled"),
    [
        (mt5.ORDER_TYPE_BUY_STOP, 1.105, 1.1048, 1.10504),
        (mt5.ORDER_TYPE_SELL_STOP, 1.095, 1.095, 1.09496),
        (mt5.ORDER_TYPE_BUY_LIMIT, 1.095, 1.0948, 1.095),
        (mt5.ORDER_TYPE_SELL_LIMIT, 1.105, 1.105, 1.105),
    ],
)
def test_a_triggered_stop_order_slips_and_a_limit_does_not(
    type_: int, price: float, met_at: float, filled: float
) -> None:
    world = World(trading=SLIPPING)
    world.done(
        action=mt5.TRADE_ACTION_PENDING,
        type=type_,
        price=price,
        type_filling=mt5.ORDER_FILLING_RETURN,
    )
    quote(world, met_at)
    assert world.terminal.deals_after(0)[-1].price == filled


def test_a_stop_out_slips() -> None:
    world = World(account=AccountRules(leverage=500.0), trading=SLIPPING, balance=1_000.0)
    world.done(type=BUY, volume=1.0)
    quote(world, 1.091)
    assert last_fill(world) == ("stop_out", 1.09096)


def test_instant_execution_opens_at_the_price_that_was_agreed() -> None:
    world = World(
        trading=TradingRules(
            execution=mt5.SYMBOL_TRADE_EXECUTION_INSTANT,
            filling_modes=mt5.SYMBOL_FILLING_FOK,
            slippage_points=4,
        )
    )
    bought = world.done(price=1.1002, type_filling=mt5.ORDER_FILLING_FOK)
    assert bought.price == 1.1002


def test_what_is_drawn_comes_on_top() -> None:
    prices = [
        [World(trading=rules, slippage=RandomSlippage(3.0, seed)).done().price for seed in range(9)]
        for rules in (TradingRules(), SLIPPING)
    ]
    assert len(set(prices[0])) > 2
    for drawn, both in zip(*prices, strict=True):
        assert round((both - drawn) * 100_000) == 4


@pytest.mark.parametrize("wrong", [-1, 1.5, float("nan"), True])
def test_rules_with_a_slippage_that_cannot_be_are_refused(wrong: float) -> None:
    with pytest.raises(InvalidSettings, match="whole number"):
        TradingRules(slippage_points=wrong)  # type: ignore[arg-type]  # that is what is refused
