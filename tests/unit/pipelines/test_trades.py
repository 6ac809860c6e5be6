"""Trades of a simulated terminal's deals: positions closed in parts, grown, turned around."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from online.domain.account import Deal
from online.domain.market import Side
from online.domain.operation import Close
from online.domain.order import OrderReply, OrderStatus
from online.simulator.terminal import SimulatedTerminal
from online.trade import run_to_completion
from pipelines.performance import measure
from pipelines.trades import trades_of
from tests.fakes import EURUSD
from tests.floors import TestFloor

PAYING = replace(EURUSD, commission_per_lot=6.0)


def floor_of(*, hedging: bool) -> TestFloor:
    """Return a floor whose account pays a commission."""
    floor = TestFloor(hedging=hedging)
    floor.terminal = SimulatedTerminal([PAYING], hedging=hedging)
    floor.broker.inner._terminal = floor.terminal
    floor.quote(1.1, 1.1002)
    return floor


def deals_of(floor: TestFloor) -> tuple[Deal, ...]:
    return run_to_completion(floor.broker.statement(0)).deals


def earned(floor: TestFloor) -> float:
    """Return what the balance has gained."""
    told = run_to_completion(floor.broker.statement(0))
    assert told.account is not None
    return told.account.balance - 10_000.0


def close(floor: TestFloor, name: str, lots: float = 0.0) -> None:
    reply = floor.operate(name, Close(floor.held.ticket, lots))
    assert reply.status is OrderStatus.FILLED, reply


def test_a_position_closed_in_parts_is_one_trade_once_all_of_it_is_closed() -> None:
    floor = floor_of(hedging=True)
    opened = floor.enter(volume_lots=0.6)
    floor.quote(1.101, 1.1012)
    close(floor, "first", 0.1)
    floor.quote(1.103, 1.1032)
    close(floor, "second", 0.2)
    assert trades_of(deals_of(floor)) == (), "half of it is open"
    floor.quote(1.104, 1.1042)
    close(floor, "rest")
    (trade,) = trades_of(deals_of(floor))
    assert (trade.position, trade.side, trade.reason) == (opened.position, "buy", "time-out")
    assert trade.volume_lots == pytest.approx(0.6)
    assert trade.opened_price == 1.1002
    mean = (0.1 * 1.101 + 0.2 * 1.103 + 0.3 * 1.104) / 0.6
    assert trade.closed_price == pytest.approx(mean, abs=1e-12)
    assert trade.closed_at_ns == deals_of(floor)[-1].at_ns
    assert trade.pnl_net == pytest.approx(earned(floor), abs=1e-6)
    assert trade.commission == pytest.approx(sum(deal.commission for deal in deals_of(floor)))
    assert trade.commission < 0.0


def test_trades_of_a_journal_add_up_to_its_change_of_balance() -> None:
    floor = floor_of(hedging=True)
    for number in range(3):
        floor.enter(volume_lots=0.3)
        floor.quote(1.1 + 0.001 * number, 1.1002 + 0.001 * number)
        close(floor, f"part-{number}", 0.1)
        close(floor, f"rest-{number}")
    found = measure(floor.journal.records(), 10_000.0, deals_of(floor))
    assert len(found.trades) == 3
    assert sum(trade.pnl_net for trade in found.trades) == pytest.approx(earned(floor), abs=1e-6)


def test_a_netting_account_that_adds_has_the_mean_of_its_prices() -> None:
    floor = floor_of(hedging=False)
    floor.enter(volume_lots=0.1)
    floor.quote(1.102, 1.1022)
    floor.enter(volume_lots=0.3)
    floor.quote(1.104, 1.1042)
    close(floor, "all")
    (trade,) = trades_of(deals_of(floor))
    assert trade.volume_lots == pytest.approx(0.4)
    assert trade.opened_price == pytest.approx((1.1002 + 3 * 1.1022) / 4)
    assert trade.pnl_net == pytest.approx(earned(floor), abs=1e-6)


def test_a_netting_account_that_turns_around_ends_one_trade_and_begins_another() -> None:
    floor = floor_of(hedging=False)
    floor.enter(volume_lots=0.1)
    floor.quote(1.102, 1.1022)
    down = {"side": Side.SELL, "stop": 1.2, "target": 1.0, "quoted": 1.102}
    turned: OrderReply = floor.enter(volume_lots=0.3, **down)
    assert turned.status is OrderStatus.FILLED
    floor.quote(1.1, 1.1002)
    close(floor, "all")
    long, short = trades_of(deals_of(floor))
    assert (long.side, long.closed_price, short.opened_price) == ("buy", 1.102, 1.102)
    assert long.volume_lots == pytest.approx(0.1)
    assert short.side == "sell"
    assert short.volume_lots == pytest.approx(0.2)
    assert long.pnl_net + short.pnl_net == pytest.approx(earned(floor), abs=1e-6)
    assert long.commission == pytest.approx(2 * -0.6)
    assert short.commission == pytest.approx(2 * -1.2)


def test_what_was_opened_before_the_first_deal_is_no_trade() -> None:
    floor = floor_of(hedging=True)
    floor.enter()
    close(floor, "all")
    opening, closing = deals_of(floor)
    assert trades_of([closing]) == ()
    stranger = msgspec.structs.replace(closing, position=99, ticket=98)
    assert [trade.position for trade in trades_of([stranger, opening, closing])] == [
        opening.position
    ]
