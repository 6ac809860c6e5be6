"""The trade server's judgement of requests that it only checks, or that name no symbol."""

from __future__ import annotations

import pytest

from online.domain.market import NANOSECONDS_PER_SECOND, Bar, PriceSide, Timeframe
from online.simulator import constants as mt5
from online.simulator.bars import two_sided
from online.simulator.rules import AccountRules, TradingRules
from online.simulator.trade_tuples import TradeRequest
from tests.unit.online.simulator.world import BUY, EURUSD, SELL, World

pytestmark = pytest.mark.lean
HOUR_SECONDS = 3_600


def deal(volume: float, type_: int, symbol: str = "EURUSD") -> TradeRequest:
    return TradeRequest(
        mt5.TRADE_ACTION_DEAL,
        symbol=symbol,
        volume=volume,
        type=type_,
        type_filling=mt5.ORDER_FILLING_IOC,
    )


def resting(price: float) -> TradeRequest:
    return TradeRequest(
        mt5.TRADE_ACTION_PENDING,
        symbol="EURUSD",
        volume=0.1,
        type=mt5.ORDER_TYPE_BUY_LIMIT,
        price=price,
        type_filling=mt5.ORDER_FILLING_RETURN,
    )


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (deal(0.1, BUY), 0),
        (deal(0.1, BUY, symbol="XAUUSD"), mt5.TRADE_RETCODE_INVALID),
        (deal(0.1, BUY)._replace(action=99), mt5.TRADE_RETCODE_INVALID),
        (deal(0.1, BUY, symbol="GBPUSD"), mt5.TRADE_RETCODE_PRICE_OFF),
        (deal(0.0, BUY), mt5.TRADE_RETCODE_INVALID_VOLUME),
        (resting(1.09), 0),
        (resting(1.2), mt5.TRADE_RETCODE_INVALID_PRICE),
        (TradeRequest(mt5.TRADE_ACTION_SLTP, symbol="EURUSD", position=7), 0),
    ],
)
def test_a_check_refuses_what_the_order_would_be_refused_for_and_trades_nothing(
    request_: TradeRequest, code: int
) -> None:
    world = World()
    server = world.terminal.server
    assert server.check(request_, world.terminal.now_ns) == code
    assert world.positions() == ()
    assert server.pending.resting == {}
    if code:
        assert server.execute(request_, world.terminal.now_ns).retcode == code


@pytest.mark.parametrize(("volume", "type_"), [(0.1, BUY), (0.05, SELL), (0.2, SELL), (0.3, SELL)])
def test_the_margin_that_an_order_needs_is_the_one_by_which_it_changes_the_accounts(
    volume: float, type_: int
) -> None:
    world = World(account=AccountRules(hedging=False))
    world.done(volume=0.2, type=BUY)
    ledger, server = world.terminal.server.ledger, world.terminal.server
    before, needed = ledger.margin, server.margin_needed(deal(volume, type_))
    world.done(volume=volume, type=type_)
    spread = 0.0002 / 1.1  # what turns a position opens the rest at the other price
    assert needed == pytest.approx(ledger.margin - before, abs=spread * before)
    assert server.margin_needed(resting(1.09)) == 0.0


def test_what_names_a_position_needs_no_symbol_and_what_names_nothing_is_refused() -> None:
    world = World()
    ticket = world.done().order
    exits = {"action": mt5.TRADE_ACTION_SLTP, "symbol": "", "sl": 1.05}
    assert world.order(**exits, position=ticket).retcode == mt5.TRADE_RETCODE_DONE
    assert [held.sl for held in world.positions()] == [1.05]
    for stranger in (0, ticket + 1):
        told = world.order(**exits, position=stranger).retcode
        assert told == mt5.TRADE_RETCODE_INVALID


def test_a_request_that_names_an_order_needs_no_symbol() -> None:
    world = World()
    ticket = world.pend(mt5.ORDER_TYPE_BUY_LIMIT, 1.09).order
    gone = world.order(action=mt5.TRADE_ACTION_REMOVE, symbol="", order=ticket)
    assert gone.retcode == mt5.TRADE_RETCODE_DONE
    assert world.terminal.server.pending.resting == {}


def test_a_bar_in_which_an_order_expires_charges_no_night() -> None:
    rules = TradingRules(swap_long_points=-10.0)
    world = World(trading=rules)
    world.done()
    now = world.terminal.now_ns // NANOSECONDS_PER_SECOND
    placed = world.pend(
        mt5.ORDER_TYPE_BUY_LIMIT,
        1.0,
        type_time=mt5.ORDER_TIME_SPECIFIED,
        expiration=now + HOUR_SECONDS // 2,
    )
    assert placed.retcode == mt5.TRADE_RETCODE_DONE
    opened = world.terminal.now_ns + NANOSECONDS_PER_SECOND
    closed = opened + HOUR_SECONDS * NANOSECONDS_PER_SECOND
    made = Bar(closed, 1.1, 1.1, 1.1, 1.1)
    bar = two_sided(made, Timeframe.H1, PriceSide.BID, 20.0, EURUSD.scale)
    world.terminal.begin_bar("EURUSD", bar)
    world.terminal.finish_bar("EURUSD", bar)
    assert [held.swap for held in world.positions()] == [0.0]
