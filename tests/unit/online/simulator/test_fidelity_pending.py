"""Fidelity of pending orders, stops and targets: cases 25 to 31."""

from __future__ import annotations

import pytest

from online.simulator import constants as mt5
from online.simulator.rules import AccountRules, TradingRules
from online.simulator.server_time import ServerTime
from online.simulator.trade_tuples import OrderSendResult, TradeOrder
from tests.unit.online.simulator.world import BUY, MONDAY, SELL, World

BUY_LIMIT, SELL_LIMIT = mt5.ORDER_TYPE_BUY_LIMIT, mt5.ORDER_TYPE_SELL_LIMIT
BUY_STOP, SELL_STOP = mt5.ORDER_TYPE_BUY_STOP, mt5.ORDER_TYPE_SELL_STOP
DONE = mt5.TRADE_RETCODE_DONE


def finished(world: World, ticket: int) -> TradeOrder:
    (order,) = world.mt5.history_orders_get(ticket=ticket) or ()
    return order


def change(world: World, ticket: int, **fields: object) -> OrderSendResult:
    return world.order(action=mt5.TRADE_ACTION_MODIFY, order=ticket, **fields)


def exits(world: World, ticket: int, stop: float, target: float) -> OrderSendResult:
    return world.order(action=mt5.TRADE_ACTION_SLTP, position=ticket, sl=stop, tp=target)


@pytest.mark.parametrize(
    ("type_", "price", "short_of_it", "reaching_it"),
    [
        (BUY_LIMIT, 1.0950, (1.0940, 1.0951), (1.0940, 1.0950)),
        (BUY_STOP, 1.1050, (1.1040, 1.1049), (1.1040, 1.1050)),
        (SELL_LIMIT, 1.1050, (1.1049, 1.1060), (1.1050, 1.1060)),
        (SELL_STOP, 1.0950, (1.0951, 1.0960), (1.0950, 1.0960)),
    ],
)
def test_buy_orders_trigger_on_the_ask_and_sell_orders_on_the_bid(
    type_: int, price: float, short_of_it: tuple[float, float], reaching_it: tuple[float, float]
) -> None:
    """Fidelity case 25."""
    world = World()
    placed = world.pend(type_, price, magic=9, sl=0.0)
    assert (placed.retcode, placed.deal) == (DONE, 0)
    world.quote(*short_of_it)
    assert world.positions() == ()
    (resting,) = world.mt5.orders_get() or ()
    assert (resting.ticket, resting.state) == (placed.order, mt5.ORDER_STATE_PLACED)
    world.quote(*reaching_it)
    (held,) = world.positions()
    assert (held.price_open, held.magic, held.ticket) == (price, 9, placed.order)
    assert world.mt5.orders_get() == ()
    assert finished(world, placed.order).state == mt5.ORDER_STATE_FILLED


def test_stop_that_is_gapped_over_fills_at_the_market() -> None:
    """Fidelity case 26."""
    world = World()
    world.pend(BUY_STOP, 1.1050)
    world.pend(SELL_STOP, 1.0950, symbol="EURUSD")
    world.quote(1.1199, 1.1200)
    assert world.positions()[0].price_open == 1.12


def test_stop_loss_that_is_gapped_over_fills_at_the_market() -> None:
    """Fidelity case 26."""
    world = World()
    world.done(sl=1.09)
    world.quote(1.08, 1.0802)
    ended = world.terminal.deals_after(0)[-1]
    assert (ended.price, ended.reason) == (1.08, "stop")


@pytest.mark.parametrize("ask", [1.095, 1.0949, 1.08])
def test_limit_is_never_filled_worse_than_its_price(ask: float) -> None:
    """Fidelity case 27."""
    world = World()
    world.pend(BUY_LIMIT, 1.0950)
    world.quote(1.07, ask)
    assert world.positions()[0].price_open == ask <= 1.0950


def test_stop_limit_becomes_a_limit_before_it_fills() -> None:
    """Fidelity case 28."""
    world = World()
    placed = world.pend(mt5.ORDER_TYPE_BUY_STOP_LIMIT, 1.1050, stoplimit=1.1030)
    world.quote(1.1028, 1.1029)
    assert world.positions() == ()
    world.quote(1.1050, 1.1051)
    (resting,) = world.mt5.orders_get() or ()
    assert (resting.ticket, resting.type, resting.price_open) == (placed.order, BUY_LIMIT, 1.1030)
    world.quote(1.1030, 1.1031)
    assert world.positions() == ()
    world.quote(1.1029, 1.1030)
    assert world.positions()[0].price_open == 1.1030


def test_stop_limit_whose_limit_is_on_the_wrong_side_is_refused() -> None:
    world = World()
    wrong = world.pend(mt5.ORDER_TYPE_BUY_STOP_LIMIT, 1.1050, stoplimit=1.1060)
    assert wrong.retcode == mt5.TRADE_RETCODE_INVALID_PRICE


@pytest.mark.parametrize(
    ("type_", "short_of_it", "reaching_it", "reason", "price"),
    [
        (BUY, (1.0901, 1.0999), (1.0900, 1.0999), mt5.DEAL_REASON_SL, 1.09),
        (BUY, (1.1199, 1.1210), (1.1200, 1.1210), mt5.DEAL_REASON_TP, 1.12),
        (SELL, (1.1100, 1.1199), (1.1100, 1.1200), mt5.DEAL_REASON_SL, 1.12),
        (SELL, (1.0890, 1.0901), (1.0890, 1.0900), mt5.DEAL_REASON_TP, 1.09),
    ],
)
def test_exits_of_a_long_trigger_on_the_bid_and_of_a_short_on_the_ask(
    type_: int,
    short_of_it: tuple[float, float],
    reaching_it: tuple[float, float],
    reason: int,
    price: float,
) -> None:
    """Fidelity case 29."""
    world = World()
    low, high = 1.09, 1.12
    stop, target = (low, high) if type_ == BUY else (high, low)
    sent = world.done(type=type_, sl=stop, tp=target, magic=4)
    world.quote(*short_of_it)
    assert len(world.positions()) == 1
    world.quote(*reaching_it)
    assert world.positions() == ()
    ended = (world.mt5.history_deals_get(position=sent.order) or ())[-1]
    assert (ended.reason, ended.price, ended.magic) == (reason, price, 4)
    assert ended.entry == mt5.DEAL_ENTRY_OUT
    assert finished(world, ended.order).reason == reason


def test_order_ends_when_its_time_is_out() -> None:
    """Fidelity case 30."""
    world = World(account=AccountRules(zone=ServerTime(2)))
    until = {"type_time": mt5.ORDER_TIME_SPECIFIED, "expiration": MONDAY + 7_200 + 60}
    placed = world.pend(BUY_LIMIT, 1.09, **until)
    today = world.pend(BUY_LIMIT, 1.08, type_time=mt5.ORDER_TIME_DAY)
    world.quote(1.1, 1.1002, 59)
    assert world.mt5.orders_total() == 2
    world.quote(1.0898, 1.09, 60)
    assert world.positions() == ()
    ended = finished(world, placed.order)
    assert ended.state == mt5.ORDER_STATE_EXPIRED
    assert ended.time_done == ended.time_expiration == MONDAY + 7_200 + 60
    world.quote(1.1, 1.1002, 12 * 3_600 - 1)
    assert world.mt5.orders_total() == 1
    world.quote(1.1, 1.1002, 12 * 3_600)
    assert finished(world, today.order).state == mt5.ORDER_STATE_EXPIRED


@pytest.mark.parametrize(
    "lifetime",
    [
        {"type_time": mt5.ORDER_TIME_SPECIFIED, "expiration": MONDAY - 5},
        {"type_time": mt5.ORDER_TIME_SPECIFIED},
        {"type_time": 7},
    ],
)
def test_expiry_in_the_past_is_refused(lifetime: dict[str, object]) -> None:
    """Fidelity case 30."""
    refused = World().pend(BUY_LIMIT, 1.09, **lifetime)
    assert refused.retcode == mt5.TRADE_RETCODE_INVALID_EXPIRATION


def test_nothing_is_changed_within_the_freeze_level() -> None:
    """Fidelity case 31."""
    world = World(trading=TradingRules(freeze_level_points=50))
    sent = world.done(sl=1.0990)
    placed = world.pend(BUY_LIMIT, 1.0990)
    world.quote(1.0995, 1.0996)
    frozen = mt5.TRADE_RETCODE_FROZEN
    assert exits(world, sent.order, 1.0980, 0.0).retcode == frozen
    assert world.order(type=SELL, position=sent.order).retcode == frozen
    world.quote(1.0991, 1.0995)
    assert change(world, placed.order, price=1.0980).retcode == frozen
    remove = {"action": mt5.TRADE_ACTION_REMOVE, "order": placed.order}
    assert world.order(**remove).retcode == frozen
    world.quote(1.1, 1.1002)
    assert exits(world, sent.order, 1.0980, 0.0).retcode == DONE
    assert change(world, placed.order, price=1.0980).retcode == DONE
    assert world.order(**remove).retcode == DONE
    assert finished(world, placed.order).state == mt5.ORDER_STATE_CANCELED


def test_change_that_changes_nothing_is_told_so() -> None:
    """Fidelity case 31."""
    world = World()
    sent = world.done(sl=1.09, tp=1.12)
    placed = world.pend(BUY_LIMIT, 1.08)
    assert exits(world, sent.order, 1.09, 1.12).retcode == mt5.TRADE_RETCODE_NO_CHANGES
    assert change(world, placed.order, price=1.08).retcode == mt5.TRADE_RETCODE_NO_CHANGES
    assert exits(world, sent.order, 1.0901, 1.12).retcode == DONE
    assert world.positions()[0].sl == 1.0901
    assert exits(world, sent.order, 1.1, 1.12).retcode == mt5.TRADE_RETCODE_INVALID_STOPS


@pytest.mark.parametrize(
    ("type_", "price", "levels"),
    [
        (BUY_LIMIT, 1.10011, {}),
        (BUY_STOP, 1.10029, {}),
        (SELL_LIMIT, 1.10009, {}),
        (SELL_STOP, 1.0999001, {}),
        (BUY_LIMIT, 0.0, {}),
        (BUY_LIMIT, float("nan"), {}),
    ],
)
def test_pending_price_on_the_wrong_side_or_too_near_is_refused(
    type_: int, price: float, levels: dict[str, float]
) -> None:
    assert World().pend(type_, price, **levels).retcode == mt5.TRADE_RETCODE_INVALID_PRICE


def test_exits_of_a_pending_order_are_judged_from_its_price() -> None:
    world = World()
    near = world.pend(BUY_LIMIT, 1.09, sl=1.08995)
    assert near.retcode == mt5.TRADE_RETCODE_INVALID_STOPS
    assert world.pend(BUY_LIMIT, 1.09, sl=1.085, tp=1.095).retcode == DONE
    world.quote(1.0898, 1.09)
    assert (world.positions()[0].sl, world.positions()[0].tp) == (1.085, 1.095)


def test_number_of_resting_orders_is_limited() -> None:
    world = World(account=AccountRules(limit_orders=2))
    assert [world.pend(BUY_LIMIT, price).retcode for price in (1.09, 1.08, 1.07)] == [
        DONE,
        DONE,
        mt5.TRADE_RETCODE_LIMIT_ORDERS,
    ]


def test_triggered_order_without_money_is_rejected() -> None:
    world = World()
    placed = world.pend(BUY_LIMIT, 1.09, volume=20.0)
    assert placed.retcode == DONE
    world.quote(1.0898, 1.09)
    assert world.positions() == ()
    assert finished(world, placed.order).state == mt5.ORDER_STATE_REJECTED


def test_remainder_of_a_resting_order_rests_on() -> None:
    world = World(trading=TradingRules(depth_lots=0.04))
    world.pend(BUY_LIMIT, 1.09)
    for total in (0.04, 0.08, 0.1):
        world.quote(1.0898, 1.09)
        assert world.positions()[0].volume == total
    assert world.mt5.orders_get() == ()
