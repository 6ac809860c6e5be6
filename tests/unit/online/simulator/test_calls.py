"""The package's other calls: symbols, depth, price history, helpers, refused arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from online.domain.errors import InvalidSettings
from online.simulator import constants as mt5
from online.simulator.faults import FaultKind, FaultPlan
from online.simulator.latency import Latency, RandomSlippage
from online.simulator.rules import AccountRules, TradingRules
from online.simulator.sessions import Sessions
from tests.unit.online.simulator.world import BUY, MONDAY, SELL, World

M1 = mt5.TIMEFRAME_M1


@pytest.fixture
def world() -> World:
    made = World()
    for minute in range(1, 5):
        made.quote((110 + minute) / 100, (11_002 + 100 * minute) / 10_000, 60 * minute)
    return made


def test_symbols_are_told_with_the_brokers_rules(world: World) -> None:
    info = world.mt5.symbol_info("EURUSD")
    assert world.mt5.symbols_total() == 3
    assert info is not None
    assert (info.digits, info.point, info.trade_stops_level, info.spread) == (5, 1e-5, 10, 20)
    assert (info.currency_base, info.currency_profit, info.trade_tick_value) == ("EUR", "USD", 1.0)
    assert (info.bid, info.ask, info.filling_mode) == (1.14, 1.1402, 3)


def test_symbol_is_taken_out_of_the_market_watch(world: World) -> None:
    assert world.mt5.symbol_select("EURUSD", False)  # noqa: FBT003  # the package's signature
    info = world.mt5.symbol_info("EURUSD")
    assert info is not None
    assert not info.select
    assert not world.mt5.symbol_select("NOTHING")
    assert world.error == mt5.RES_E_NOT_FOUND


def test_depth_of_market_needs_a_subscription() -> None:
    world = World(trading=TradingRules(depth_lots=3.0))
    assert world.mt5.market_book_get("EURUSD") is None
    assert world.mt5.market_book_add("EURUSD")
    assert [
        (line.type, line.price, line.volume_dbl)
        for line in world.mt5.market_book_get("EURUSD") or ()
    ] == [
        (mt5.BOOK_TYPE_SELL, 1.1002, 3.0),
        (mt5.BOOK_TYPE_BUY, 1.1, 3.0),
    ]
    assert world.mt5.market_book_release("EURUSD")
    assert world.mt5.market_book_get("EURUSD") is None


def test_rates_are_asked_for_by_date_and_by_range(world: World) -> None:
    last = world.mt5.copy_rates_from("EURUSD", M1, MONDAY + 150, 2)
    span = world.mt5.copy_rates_range("EURUSD", M1, MONDAY + 60, MONDAY + 120)
    assert last is not None
    assert span is not None
    assert last["time"].tolist() == span["time"].tolist() == [MONDAY + 60, MONDAY + 120]
    far = world.mt5.copy_rates_from_pos("EURUSD", M1, 50, 5)
    none = world.mt5.copy_rates_from_pos("USDJPY", M1, 0, 5)
    assert far is not None
    assert none is not None
    assert (len(far), len(none)) == (0, 0)


@pytest.mark.parametrize("n_bars", [1, 7, 30, 400])
def test_bars_of_a_long_history_are_the_same_from_either_end(n_bars: int) -> None:
    rows = [(second, 1.1 + second % 613 / 1e4, 1.2) for second in range(20_000)]
    world = World(tape={"EURUSD": rows})
    assert world.client.tape is not None
    world.client.tape.play(len(rows))
    whole = world.mt5.copy_rates_range("EURUSD", M1, MONDAY, MONDAY + 20_000)
    last = world.mt5.copy_rates_from_pos("EURUSD", M1, 3, n_bars)
    assert whole is not None
    assert last is not None
    assert last.tolist() == whole[:-3][-n_bars:].tolist()


def test_market_of_quotes_has_no_trades(world: World) -> None:
    ticks = world.mt5.copy_ticks_range("EURUSD", MONDAY, MONDAY + 100, mt5.COPY_TICKS_ALL)
    trades = world.mt5.copy_ticks_range("EURUSD", MONDAY, MONDAY + 100, mt5.COPY_TICKS_TRADE)
    assert ticks is not None
    assert trades is not None
    assert (len(ticks), len(trades)) == (2, 0)
    assert ticks["flags"].tolist() == [6, 6]


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.symbol_info("x" * 30),
        lambda m: m.symbol_info_tick("x" * 30),
        lambda m: m.copy_rates_from("EURUSD", 7, MONDAY, 1),
        lambda m: m.copy_rates_from("EURUSD", M1, "today", 1),
        lambda m: m.copy_rates_from_pos("EURUSD", M1, -1, 1),
        lambda m: m.copy_rates_from_pos("EURUSD", M1, 0, 0),
        lambda m: m.copy_rates_range("EURUSD", M1, None, MONDAY),
        lambda m: m.copy_ticks_from("EURUSD", None, 1, mt5.COPY_TICKS_ALL),
        lambda m: m.copy_ticks_range("EURUSD", MONDAY, None, mt5.COPY_TICKS_ALL),
        lambda m: m.order_calc_margin(5, "EURUSD", 0.1, 1.1),
        lambda m: m.order_calc_profit(5, "EURUSD", 0.1, 1.1, 1.2),
        lambda m: m.order_check([1]),
        lambda m: m.positions_get(ticket="5"),
        lambda m: m.orders_get(symbol=5),
        lambda m: m.history_orders_get(),
        lambda m: m.history_deals_total(None, None),
    ],
)
def test_arguments_that_cannot_be_read_are_refused(
    world: World, call: Callable[[Any], object]
) -> None:
    assert call(world.mt5) is None
    assert world.error == mt5.RES_E_INVALID_PARAMS


def test_history_is_asked_for_by_date_group_order_and_position(world: World) -> None:
    sent = world.done()
    now = MONDAY + 240
    assert world.mt5.history_orders_total(now, now) == 1
    assert world.mt5.history_deals_total(now, now) == 1
    assert world.mt5.history_deals_total(0, now - 1) == 1  # the deposit
    assert world.mt5.history_deals_get(now, now, group="GBP*") == ()
    assert len(world.mt5.history_orders_get(position=sent.order) or ()) == 1
    world.pend(mt5.ORDER_TYPE_BUY_LIMIT, 1.09)
    assert len(world.mt5.orders_get(symbol="EURUSD") or ()) == 1
    assert world.mt5.orders_get(symbol="GBPUSD") == ()


def test_constants_are_attributes_of_the_package(world: World) -> None:
    assert world.mt5.TRADE_ACTION_DEAL == 1
    with pytest.raises(AttributeError, match="NOTHING"):
        _ = world.mt5.NOTHING


def test_helpers_of_the_package_trade_as_it_does() -> None:
    world = World(trading=TradingRules(filling_modes=mt5.SYMBOL_FILLING_FOK))
    bought = world.mt5.Buy("EURUSD", 0.1)
    sold = world.mt5.Sell("EURUSD", 0.04)
    assert bought is not None
    assert sold is not None
    assert (bought.price, sold.price) == (1.1002, 1.1)
    assert world.positions()[0].volume == 0.06
    assert world.mt5.Close("EURUSD") is True
    assert world.positions() == ()
    assert world.mt5.Buy("NOTHING", 0.1) is None


def test_login_checks_the_account(world: World) -> None:
    assert world.mt5.login(world.client.login)
    assert not world.mt5.login(5)
    assert world.error == mt5.RES_E_AUTH_FAILED
    world.mt5.shutdown()
    assert not world.mt5.login(world.client.login)
    assert world.error == mt5.RES_E_INTERNAL_FAIL_CONNECT


def test_netting_account_needs_no_ticket_to_change_exits(world: World) -> None:
    world.done()
    assert world.order(action=mt5.TRADE_ACTION_SLTP, sl=1.05).retcode == mt5.TRADE_RETCODE_DONE
    assert world.positions()[0].sl == 1.05
    nothing = world.order(action=mt5.TRADE_ACTION_SLTP, symbol="USDJPY", sl=1.05)
    assert nothing.retcode == mt5.TRADE_RETCODE_PRICE_OFF


def test_order_that_is_not_there_is_neither_changed_nor_cancelled(world: World) -> None:
    for action in (mt5.TRADE_ACTION_MODIFY, mt5.TRADE_ACTION_REMOVE):
        assert world.order(action=action, order=99).retcode == mt5.TRADE_RETCODE_INVALID


def test_request_without_symbol_means_that_of_its_order(world: World) -> None:
    placed = world.pend(mt5.ORDER_TYPE_BUY_LIMIT, 1.09)
    remove = {"action": mt5.TRADE_ACTION_REMOVE, "order": placed.order, "symbol": ""}
    assert world.order(**remove).retcode == mt5.TRADE_RETCODE_DONE
    assert world.mt5.orders_get() == ()


def test_tape_plays_several_symbols_in_order_of_time() -> None:
    rows = {
        "EURUSD": [(0, 1.1, 1.1), (2, 1.2, 1.2), (2, 1.3, 1.3)],
        "USDJPY": [(1, 150.0, 150.0), (2, 151.0, 151.0), (3, 152.0, 152.0)],
    }
    world = World(tape=rows)
    tape = world.client.tape
    assert tape is not None
    seen = []
    while not tape.finished:
        tape.play(1)
        prices = [market.bid for market in world.terminal.markets.values()][:2]
        seen.append((world.terminal.now_ns // 10**9 - MONDAY, *prices))
    assert seen == [
        (0, 1.1, 0.0),
        (1, 1.1, 150.0),
        (2, 1.2, 150.0),
        (2, 1.3, 150.0),
        (2, 1.3, 151.0),
        (3, 1.3, 152.0),
    ]
    tape.play(1)
    tape.play_until((MONDAY + 10) * 10**9)
    assert world.terminal.now_ns == (MONDAY + 10) * 10**9


@pytest.mark.parametrize(
    "make",
    [
        lambda: TradingRules(depth_lots=0.0),
        lambda: AccountRules(leverage=0.0),
        lambda: AccountRules(stop_out_percent=120.0),
        lambda: Sessions(((),) * 6),
        lambda: Sessions((((5, 4),), *((),) * 6)),
        lambda: Latency(-1.0),
        lambda: RandomSlippage(0.0),
        lambda: FaultPlan(chances={("order_send", FaultKind.SLOW): 2.0}),
    ],
)
def test_settings_that_cannot_be_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(InvalidSettings):
        make()


def test_remainder_of_an_unfilled_side_is_not_touched_by_the_other() -> None:
    world = World(trading=TradingRules(depth_lots=0.1))
    world.done(type=BUY)
    assert world.order(type=BUY).retcode == mt5.TRADE_RETCODE_REJECT
    assert world.order(type=SELL).retcode == mt5.TRADE_RETCODE_DONE
