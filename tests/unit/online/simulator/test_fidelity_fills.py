"""Fidelity of fills at the market: cases 14 to 24."""

from __future__ import annotations

import pytest

from online.simulator import constants as mt5
from online.simulator.latency import Latency, RandomSlippage
from online.simulator.rules import TradingRules
from tests.unit.online.simulator.world import BUY, SELL, World

INSTANT = TradingRules(
    execution=mt5.SYMBOL_TRADE_EXECUTION_INSTANT, filling_modes=mt5.SYMBOL_FILLING_FOK
)
FOK = mt5.ORDER_FILLING_FOK


def instant_order(world: World, price: float, deviation: int = 0) -> tuple[int, float]:
    result = world.order(price=price, deviation=deviation, type_filling=FOK)
    return result.retcode, result.price


def test_buy_at_the_ask_and_sell_at_the_bid_with_the_recorded_spread() -> None:
    """Fidelity case 14."""
    world = World()
    world.quote(1.2, 1.2007)
    bought = world.done()
    assert (bought.price, bought.bid, bought.ask) == (1.2007, 1.2, 1.2007)
    assert world.positions()[0].profit == -7.0
    assert world.done(type=SELL, position=bought.order).price == 1.2


def test_order_fills_at_the_tick_of_its_arrival() -> None:
    """Fidelity case 15."""
    rows = [(0, 1.1, 1.1001), (0.1, 1.2, 1.2001), (0.2, 1.3, 1.3001), (0.3, 1.4, 1.4001)]
    world = World(tape={"EURUSD": rows}, latency=Latency(constant_milliseconds=250))
    assert world.client.tape is not None
    world.client.tape.play(1)
    assert world.done().price == 1.3001
    assert world.terminal.now_ns % 10**9 == 250_000_000


def test_latency_is_drawn_from_its_seed() -> None:
    first, same, other = (Latency(5.0, 20.0, seed) for seed in (1, 1, 2))
    drawn = [first.draw_ns() for _ in range(50)]
    assert drawn == [same.draw_ns() for _ in range(50)]
    assert drawn != [other.draw_ns() for _ in range(50)]
    assert min(drawn) >= 5_000_000


def test_slippage_makes_fills_worse_by_whole_points_and_repeats_with_its_seed() -> None:
    prices = []
    for _ in range(2):
        world = World(slippage=RandomSlippage(3.0, seed=7))
        prices.append([world.done(volume=0.01).price for _ in range(20)])
        sold = [world.done(volume=0.01, type=SELL).price for _ in range(20)]
        assert max(sold) <= 1.1
        assert min(sold) < 1.1
    assert prices[0] == prices[1]
    assert min(prices[0]) >= 1.1002
    assert max(prices[0]) > 1.1002


def test_instant_execution_fills_inside_the_deviation_and_requotes_outside() -> None:
    """Fidelity case 16."""
    world = World(trading=INSTANT)
    assert instant_order(world, 1.1002) == (mt5.TRADE_RETCODE_DONE, 1.1002)
    assert instant_order(world, 1.1, deviation=20) == (mt5.TRADE_RETCODE_DONE, 1.1002)
    assert instant_order(world, 1.1, deviation=19) == (mt5.TRADE_RETCODE_REQUOTE, 0.0)


def test_market_execution_ignores_price_and_deviation() -> None:
    """Fidelity case 17."""
    assert World().done(price=0.5, deviation=0).price == 1.1002


def test_immediate_or_cancel_fills_what_is_there() -> None:
    """Fidelity case 18."""
    world = World(trading=TradingRules(depth_lots=0.07))
    result = world.order()
    assert (result.retcode, result.volume) == (mt5.TRADE_RETCODE_DONE_PARTIAL, 0.07)
    assert world.positions()[0].volume == 0.07
    (order,) = world.mt5.history_orders_get(ticket=result.order) or ()
    assert (order.state, order.volume_current) == (mt5.ORDER_STATE_PARTIAL, 0.03)
    assert world.order().retcode == mt5.TRADE_RETCODE_REJECT
    world.quote(1.1, 1.1002)
    assert world.order(volume=0.05).retcode == mt5.TRADE_RETCODE_DONE


def test_fill_or_kill_without_enough_volume_leaves_no_deal() -> None:
    """Fidelity case 19."""
    world = World(trading=TradingRules(depth_lots=0.07))
    result = world.order(type_filling=FOK)
    assert (result.retcode, result.deal, result.volume) == (mt5.TRADE_RETCODE_REJECT, 0, 0.0)
    assert world.positions() == ()
    assert len(world.terminal.deals_after(0)) == 0


@pytest.mark.parametrize(
    ("filling", "modes", "execution", "code"),
    [
        (mt5.ORDER_FILLING_IOC, 1, mt5.SYMBOL_TRADE_EXECUTION_MARKET, 10030),
        (mt5.ORDER_FILLING_FOK, 2, mt5.SYMBOL_TRADE_EXECUTION_MARKET, 10030),
        (mt5.ORDER_FILLING_RETURN, 3, mt5.SYMBOL_TRADE_EXECUTION_MARKET, 10030),
        (mt5.ORDER_FILLING_BOC, 7, mt5.SYMBOL_TRADE_EXECUTION_MARKET, 10030),
        (9, 3, mt5.SYMBOL_TRADE_EXECUTION_MARKET, 10030),
        (mt5.ORDER_FILLING_RETURN, 1, mt5.SYMBOL_TRADE_EXECUTION_EXCHANGE, 10009),
        (mt5.ORDER_FILLING_FOK, 1, mt5.SYMBOL_TRADE_EXECUTION_MARKET, 10009),
    ],
)
def test_filling_that_the_symbol_bars_is_refused(
    filling: int, modes: int, execution: int, code: int
) -> None:
    """Fidelity case 20: the mask and the enumeration have different numbers."""
    world = World(trading=TradingRules(filling_modes=modes, execution=execution))
    assert world.order(type_filling=filling).retcode == code


@pytest.mark.parametrize("volume", [0.0, 0.009, 0.015, 500.01, -0.1, float("nan"), float("inf")])
def test_volume_below_above_or_between_steps_is_refused(volume: float) -> None:
    """Fidelity case 21."""
    assert World().order(volume=volume).retcode == mt5.TRADE_RETCODE_INVALID_VOLUME


def test_volume_limit_counts_positions_and_resting_orders_of_the_direction() -> None:
    """Fidelity case 22."""
    world = World(trading=TradingRules(volume_limit_lots=0.3))
    world.done()
    world.pend(mt5.ORDER_TYPE_BUY_LIMIT, 1.09)
    assert world.order(volume=0.2).retcode == mt5.TRADE_RETCODE_LIMIT_VOLUME
    over = world.pend(mt5.ORDER_TYPE_BUY_STOP, 1.12, volume=0.2)
    assert over.retcode == mt5.TRADE_RETCODE_LIMIT_VOLUME
    world.done(type=SELL, volume=0.4)
    assert world.positions()[0].type == mt5.POSITION_TYPE_SELL
    assert world.order(volume=0.3).retcode == mt5.TRADE_RETCODE_DONE


@pytest.mark.parametrize("price", [0.0, 0.5, 1.2, -1.0, float("nan")])
def test_zero_or_far_price_in_instant_execution_is_invalid(price: float) -> None:
    """Fidelity case 23."""
    world = World(trading=INSTANT)
    assert instant_order(world, price, deviation=50) == (mt5.TRADE_RETCODE_INVALID_PRICE, 0.0)


@pytest.mark.parametrize(
    ("type_", "levels", "code"),
    [
        (BUY, {"sl": 1.0999}, 10009),
        (BUY, {"sl": 1.09991}, 10016),
        (BUY, {"tp": 1.1001}, 10009),
        (BUY, {"tp": 1.10009}, 10016),
        (SELL, {"sl": 1.1003}, 10009),
        (SELL, {"sl": 1.10029}, 10016),
        (SELL, {"tp": 1.1001}, 10009),
        (SELL, {"tp": 1.10011}, 10016),
        (BUY, {"sl": 1.0900001}, 10016),
        (BUY, {"sl": float("nan")}, 10016),
        (BUY, {"tp": -1.0}, 10016),
    ],
)
def test_stops_closer_than_the_level_of_the_closing_side_are_refused(
    type_: int, levels: dict[str, float], code: int
) -> None:
    """Fidelity case 24."""
    world = World()
    assert world.order(type=type_, **levels).retcode == code
    assert len(world.positions()) == (code == mt5.TRADE_RETCODE_DONE)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"symbol": "NOTHING"}, mt5.TRADE_RETCODE_INVALID),
        ({"symbol": "USDJPY"}, mt5.TRADE_RETCODE_PRICE_OFF),
        ({"action": 3}, mt5.TRADE_RETCODE_INVALID),
        ({"type": mt5.ORDER_TYPE_BUY_LIMIT}, mt5.TRADE_RETCODE_INVALID_ORDER),
    ],
)
def test_request_that_makes_no_sense_is_refused(fields: dict[str, object], code: int) -> None:
    assert World().order(**fields).retcode == code
