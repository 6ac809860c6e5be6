"""Fidelity of positions, account, sessions and permissions: cases 32 to 44."""

from __future__ import annotations

import pytest

from online.domain.daylight import DaylightSaving
from online.simulator import constants as mt5
from online.simulator.rules import AccountRules, TradingRules
from online.simulator.server_time import ServerTime
from online.simulator.sessions import WEEKDAYS, Sessions
from online.simulator.trade_tuples import TradeDeal
from tests.unit.online.simulator.world import BUY, MONDAY, SELL, World

DAY = 86_400
HEDGING = AccountRules(hedging=True)
DONE = mt5.TRADE_RETCODE_DONE


def deals(world: World) -> tuple[TradeDeal, ...]:
    """Return every deal of the history, the deposit included."""
    found = world.mt5.history_deals_get(0, 2_000_000_000)
    assert found is not None
    return found


def test_netting_adds_averages_reduces_and_closes() -> None:
    """Fidelity case 32."""
    world = World()
    first = world.done(sl=1.08, tp=1.15)
    world.quote(1.11, 1.1102)
    world.done(volume=0.3, sl=1.09, tp=1.14)
    (held,) = world.positions()
    assert (held.volume, held.ticket) == (0.4, first.order)
    assert held.price_open == pytest.approx((0.1 * 1.1002 + 0.3 * 1.1102) / 0.4, abs=1e-12)
    assert (held.sl, held.tp) == (1.09, 1.14)
    world.done(type=SELL, volume=0.1)
    (held,) = world.positions()
    assert (held.volume, held.sl, held.tp) == (0.3, 1.09, 1.14)
    world.done(type=SELL, volume=0.3)
    assert world.positions() == ()
    entries = [deal.entry for deal in deals(world)[1:]]
    assert entries == [mt5.DEAL_ENTRY_IN] * 2 + [mt5.DEAL_ENTRY_OUT] * 2


def test_netting_reverses_with_a_new_ticket_and_the_old_identifier() -> None:
    """Fidelity case 32."""
    world = World()
    first = world.done(magic=1)
    turned = world.done(type=SELL, volume=0.3, magic=2)
    (held,) = world.positions()
    assert (held.ticket, held.identifier) == (turned.order, first.order)
    assert (held.type, held.volume, held.price_open) == (mt5.POSITION_TYPE_SELL, 0.2, 1.1)
    deal = deals(world)[-1]
    assert (deal.entry, deal.volume, deal.profit) == (mt5.DEAL_ENTRY_INOUT, 0.3, -2.0)
    assert deal.position_id == first.order
    world.done(type=BUY, volume=0.2, position=turned.order)
    assert world.positions() == ()


def test_hedging_account_opens_a_second_position() -> None:
    """Fidelity case 33."""
    world = World(account=HEDGING)
    first = world.done()
    second = world.done(type=SELL)
    assert [p.ticket for p in world.positions()] == [first.order, second.order]
    world.done(type=SELL, position=first.order, volume=0.04)
    world.done(type=BUY, position=second.order)
    (held,) = world.positions()
    assert (held.ticket, held.volume) == (first.order, 0.06)


def test_opposite_positions_close_each_other() -> None:
    """Fidelity case 33."""
    world = World(account=HEDGING)
    long, short = world.done(volume=0.3), world.done(type=SELL, volume=0.1)
    world.quote(1.2, 1.2002)
    closed = world.done(
        action=mt5.TRADE_ACTION_CLOSE_BY, position=long.order, position_by=short.order
    )
    (held,) = world.positions()
    assert (held.ticket, held.volume) == (long.order, 0.2)
    first, second = deals(world)[-2:]
    assert {first.entry, second.entry} == {mt5.DEAL_ENTRY_OUT_BY}
    assert first.order == second.order == closed.order
    assert (first.profit, second.profit) == (-2.0, 0.0)
    again = {"action": mt5.TRADE_ACTION_CLOSE_BY, "position": long.order, "position_by": 99}
    assert world.order(**again).retcode == mt5.TRADE_RETCODE_POSITION_CLOSED


def test_close_by_needs_opposite_positions_of_a_hedging_account() -> None:
    world = World(account=HEDGING)
    first, second = world.done(), world.done()
    request = {
        "action": mt5.TRADE_ACTION_CLOSE_BY,
        "position": first.order,
        "position_by": second.order,
    }
    assert world.order(**request).retcode == mt5.TRADE_RETCODE_INVALID
    assert len(world.positions()) == 2


def test_closing_too_much_or_twice_is_refused() -> None:
    """Fidelity case 34."""
    world = World()
    sent = world.done()
    close = {"type": SELL, "position": sent.order}
    assert world.order(volume=0.2, **close).retcode == mt5.TRADE_RETCODE_INVALID_CLOSE_VOLUME
    world.done(**close)
    assert world.order(**close).retcode == mt5.TRADE_RETCODE_POSITION_CLOSED
    assert world.positions() == ()


def test_close_in_the_direction_of_the_position_is_refused() -> None:
    world = World()
    sent = world.done()
    assert world.order(position=sent.order).retcode == mt5.TRADE_RETCODE_INVALID


def test_swap_is_charged_every_night_and_three_times_on_its_day() -> None:
    """Fidelity case 35."""
    rules = TradingRules(swap_long_points=-5.0, swap_short_points=2.0)
    zone = ServerTime(2, DaylightSaving.AMERICA)
    world = World(account=AccountRules(zone=zone), trading=rules)
    world.done()
    swaps = []
    for day in range(7):
        world.quote(1.1, 1.1002, day * DAY + 12 * 3_600 - 1)
        before = world.positions()[0].swap
        world.quote(1.1, 1.1002, day * DAY + 12 * 3_600)
        swaps.append(round(world.positions()[0].swap - before, 2))
    assert swaps == [-0.5, -0.5, -1.5, -0.5, -0.5, 0.0, 0.0]
    account = world.mt5.account_info()
    assert account is not None
    assert account.equity == 10_000.0 - 2.0 - 3.5
    world.done(type=SELL, volume=0.05)
    assert deals(world)[-1].swap == -1.75
    assert world.positions()[0].swap == -1.75
    account = world.mt5.account_info()
    assert account is not None
    assert account.balance == 10_000.0 - 1.0 - 1.75


def test_night_that_passes_without_a_quote_is_charged_too() -> None:
    """Fidelity case 35."""
    world = World(trading=TradingRules(swap_long_points=-5.0))
    world.done()
    world.terminal.pass_time(world.terminal.now_ns + 3 * DAY * 10**9)
    assert world.positions()[0].swap == -2.5


def test_nights_and_expiries_within_a_run_of_quiet_ticks_are_not_skipped() -> None:
    """Fidelity cases 30 and 35."""
    rows = [(3_600.0 * hour, 1.1, 1.1002) for hour in range(60)]
    world = World(trading=TradingRules(swap_long_points=-5.0), tape={"EURUSD": rows})
    assert world.client.tape is not None
    world.client.tape.play(1)
    world.done()
    placed = world.pend(
        mt5.ORDER_TYPE_BUY_LIMIT,
        1.05,
        type_time=mt5.ORDER_TIME_SPECIFIED,
        expiration=MONDAY + 5 * 3_600,
    )
    world.client.tape.play(59)
    assert world.positions()[0].swap == -1.0
    (ended,) = world.mt5.history_orders_get(ticket=placed.order) or ()
    assert (ended.state, ended.time_done) == (mt5.ORDER_STATE_EXPIRED, MONDAY + 5 * 3_600)


def test_commission_is_on_every_deal() -> None:
    """Fidelity case 36."""
    world = World(account=AccountRules(commission_per_lot=7.0))
    sent = world.done(volume=0.3)
    world.done(type=SELL, volume=0.1, position=sent.order)
    assert [deal.commission for deal in deals(world)] == [0.0, -2.1, -0.7]


@pytest.mark.parametrize("type_", [BUY, SELL])
@pytest.mark.parametrize(
    ("symbol", "bid", "moved"), [("EURUSD", 1.1, 1.2), ("USDJPY", 150.0, 149.0)]
)
def test_margin_and_profit_are_what_was_calculated(
    type_: int, symbol: str, bid: float, moved: float
) -> None:
    """Fidelity case 37."""
    world = World()
    world.quote(bid, bid + 0.01, symbol=symbol)
    sent = world.done(type=type_, symbol=symbol)
    account = world.mt5.account_info()
    assert account is not None
    assert account.margin == world.mt5.order_calc_margin(type_, symbol, 0.1, sent.price)
    world.quote(moved, moved + 0.01, symbol=symbol)
    (held,) = world.positions()
    expected = world.mt5.order_calc_profit(type_, symbol, 0.1, sent.price, held.price_current)
    assert held.profit == expected
    world.done(type=1 - type_, symbol=symbol, position=sent.order)
    assert deals(world)[-1].profit == expected
    account = world.mt5.account_info()
    assert account is not None
    assert (account.margin, account.margin_free) == (0.0, account.balance)


def test_order_beyond_the_free_margin_is_refused() -> None:
    """Fidelity case 38."""
    world = World()
    assert world.order(volume=9.1).retcode == mt5.TRADE_RETCODE_NO_MONEY
    check = world.mt5.order_check(
        {"action": mt5.TRADE_ACTION_DEAL, "symbol": "EURUSD", "volume": 9.1, "type_filling": 1}
    )
    assert check is not None
    assert check.retcode == mt5.TRADE_RETCODE_NO_MONEY
    world.done(volume=9.0)
    assert world.order(volume=0.2).retcode == mt5.TRADE_RETCODE_NO_MONEY
    assert world.order(volume=9.0, type=SELL).retcode == DONE


def test_order_check_tells_the_account_after_the_order() -> None:
    world = World()
    request = {"action": 1, "symbol": "EURUSD", "volume": 0.5, "type_filling": 1}
    check = world.mt5.order_check(request)
    assert check is not None
    assert (check.retcode, check.comment) == (0, "Done")
    assert world.positions() == ()
    world.done(volume=0.5)
    account = world.mt5.account_info()
    assert account is not None
    assert check.margin == account.margin == 550.1


def test_server_closes_the_worst_position_at_the_stop_out_level() -> None:
    """Fidelity case 39."""
    world = World(account=HEDGING, balance=1_000.0)
    worse, better = world.done(volume=0.4), world.done(volume=0.1)
    price = 1.1002 - (1_000.0 - 0.5 * 550.1) / 50_000.0
    world.quote(round(price + 0.0001, 5), round(price + 0.0002, 5))
    assert len(world.positions()) == 2
    world.quote(round(price - 0.0001, 5), round(price, 5))
    (held,) = world.positions()
    assert held.ticket == better.order
    ended = deals(world)[-1]
    assert (ended.reason, ended.position_id) == (mt5.DEAL_REASON_SO, worse.order)
    assert world.terminal.deals_after(0)[-1].reason == "stop_out"


def test_stop_out_counts_a_position_of_another_symbol_opened_meanwhile() -> None:
    """Fidelity case 39."""
    rules = AccountRules(leverage=500.0, stop_out_percent=90.0)
    world = World(account=rules, balance=1_000.0)
    world.quote(1.1, 1.1)
    world.quote(150.0, 150.0, symbol="USDJPY")
    world.done(volume=1.0)
    world.quote(1.1, 1.1)
    world.done(symbol="USDJPY", volume=3.5)
    world.quote(1.097, 1.097)
    assert deals(world)[-1].reason == mt5.DEAL_REASON_SO


def test_balance_is_the_sum_of_all_deals() -> None:
    """Fidelity case 40."""
    world = World(account=AccountRules(commission_per_lot=3.5))
    for step in range(20):
        world.quote(1.1 + step / 1_000, 1.1003 + step / 1_000)
        world.done(type=step % 3 % 2, volume=0.1 + step / 100)
    world.terminal.deposit(-500.0)
    account = world.mt5.account_info()
    assert account is not None
    total = sum(d.profit + d.commission + d.swap + d.fee for d in deals(world))
    assert account.balance == pytest.approx(total, abs=1e-6)


@pytest.mark.parametrize(
    ("hours_after_monday_10", "code"),
    [
        (0, DONE),
        (4 * 24 + 11.9, DONE),
        (4 * 24 + 12, 10018),
        (6 * 24 + 11, 10018),
        (6 * 24 + 13, DONE),
    ],
)
def test_order_in_the_weekend_finds_the_market_closed(
    hours_after_monday_10: float, code: int
) -> None:
    """Fidelity case 41: the server's week ends on Friday at 22:00 UTC."""
    world = World(account=AccountRules(zone=ServerTime(2)), trading=TradingRules(sessions=WEEKDAYS))
    world.quote(1.1, 1.1002, hours_after_monday_10 * 3_600 + 1)
    assert world.order().retcode == code


def test_order_between_sessions_finds_the_market_closed() -> None:
    """Fidelity case 41."""
    hours = ((8 * 3_600, 10 * 3_600), (11 * 3_600, 20 * 3_600))
    world = World(trading=TradingRules(sessions=Sessions(((), *((hours,) * 5), ()))))
    assert world.order().retcode == mt5.TRADE_RETCODE_MARKET_CLOSED
    pending = world.pend(mt5.ORDER_TYPE_BUY_LIMIT, 1.09)
    assert pending.retcode == mt5.TRADE_RETCODE_MARKET_CLOSED
    world.quote(1.1, 1.1002, 3_600)
    assert world.order().retcode == DONE


@pytest.mark.parametrize(
    ("mode", "type_", "code"),
    [
        (mt5.SYMBOL_TRADE_MODE_DISABLED, BUY, mt5.TRADE_RETCODE_TRADE_DISABLED),
        (mt5.SYMBOL_TRADE_MODE_LONGONLY, SELL, mt5.TRADE_RETCODE_LONG_ONLY),
        (mt5.SYMBOL_TRADE_MODE_LONGONLY, BUY, DONE),
        (mt5.SYMBOL_TRADE_MODE_SHORTONLY, BUY, mt5.TRADE_RETCODE_SHORT_ONLY),
        (mt5.SYMBOL_TRADE_MODE_SHORTONLY, SELL, DONE),
        (mt5.SYMBOL_TRADE_MODE_CLOSEONLY, BUY, mt5.TRADE_RETCODE_CLOSE_ONLY),
    ],
)
def test_symbol_that_is_restricted_refuses_entries(mode: int, type_: int, code: int) -> None:
    """Fidelity case 42."""
    assert World(trading=TradingRules(trade_mode=mode)).order(type=type_).retcode == code


def test_long_only_symbol_lets_a_long_be_closed_but_not_reversed() -> None:
    """Fidelity case 42."""
    world = World(trading=TradingRules(trade_mode=mt5.SYMBOL_TRADE_MODE_LONGONLY))
    world.done()
    assert world.order(type=SELL, volume=0.2).retcode == mt5.TRADE_RETCODE_LONG_ONLY
    assert world.order(type=SELL).retcode == DONE


def test_button_for_automated_trading_refuses_orders_while_it_is_off() -> None:
    """Fidelity case 43."""
    world = World()
    world.client.trade_allowed = False
    info = world.mt5.terminal_info()
    assert info is not None
    assert not info.trade_allowed
    assert world.order().retcode == mt5.TRADE_RETCODE_CLIENT_DISABLES_AT
    world.client.trade_allowed = True
    assert world.order().retcode == DONE


def test_switched_off_python_api_answers_nothing() -> None:
    """Fidelity case 43."""
    world = World()
    world.client.api_allowed = False
    info = world.mt5.terminal_info()
    assert info is not None
    assert info.tradeapi_disabled
    assert world.send() is None
    assert world.error == mt5.RES_E_AUTO_TRADING_DISABLED
    assert world.positions() == ()


def test_requests_above_the_servers_rate_are_refused() -> None:
    """Fidelity case 44."""
    world = World(account=AccountRules(requests_per_second=3))
    codes = [world.order(volume=0.01).retcode for _ in range(5)]
    assert codes == [DONE] * 3 + [mt5.TRADE_RETCODE_TOO_MANY_REQUESTS] * 2
    world.quote(1.1, 1.1002)
    assert world.order(volume=0.01).retcode == DONE
