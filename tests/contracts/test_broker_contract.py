"""What every broker must do, whatever stands behind the port."""

from __future__ import annotations

import pytest

from online.domain.order import OrderStatus
from tests.brokers import Standing, run


def test_flat_account_is_observed_with_its_quote(desk: Standing) -> None:
    seen = desk.observe()
    assert seen.quote is not None
    assert (seen.quote.symbol, seen.quote.bid, seen.quote.ask) == ("EURUSD", 1.1, 1.1002)
    assert seen.positions == ()
    assert seen.deals == ()
    assert seen.account is not None
    assert seen.account.balance == seen.account.equity


def test_filled_entry_is_a_position_with_broker_side_exits(desk: Standing) -> None:
    reply = desk.send(desk.entry(1))
    assert reply.status is OrderStatus.FILLED
    seen = desk.observe()
    assert seen.positions is not None
    (held,) = seen.positions
    assert (held.magic, held.stop, held.target) == (desk.entry(1).magic, 1.09, 1.12)
    (deal,) = seen.deals
    assert (deal.order, deal.ticket, deal.entry) == (reply.order, reply.deal, True)
    assert run(desk.broker.observe("EURUSD", deal.ticket)).deals == ()


def test_refused_entry_leaves_nothing(desk: Standing) -> None:
    small = desk.entry(1, volume_lots=0.001)
    reply = desk.send(small)
    assert reply.status is OrderStatus.REJECTED
    assert reply.retcode == 10014
    found = run(desk.broker.find(small))
    assert found is None or found.status is OrderStatus.REJECTED
    assert desk.observe().positions == ()


def test_fate_of_an_order_is_found_by_its_magic(desk: Standing) -> None:
    assert run(desk.broker.find(desk.entry(1))) is None
    sent = desk.send(desk.entry(1))
    found = run(desk.broker.find(desk.entry(1)))
    assert found is not None
    assert (found.status, found.order, found.deal, found.price, found.volume_lots) == (
        OrderStatus.FILLED,
        sent.order,
        sent.deal,
        sent.price,
        sent.volume_lots,
    )


def test_entry_is_no_evidence_of_its_close(desk: Standing) -> None:
    sent = desk.send(desk.entry(1))
    order = desk.closing(2, desk.entry(1), sent.position)
    assert run(desk.broker.find(order)) is None
    closed = desk.send(order)
    found = run(desk.broker.find(order))
    assert found is not None
    assert found.deal == closed.deal
    assert desk.observe().positions == ()


def test_close_of_a_closed_position_opens_nothing(desk: Standing) -> None:
    sent = desk.send(desk.entry(1))
    desk.send(desk.closing(2, desk.entry(1), sent.position))
    again = desk.send(desk.closing(3, desk.entry(1), sent.position))
    assert again.status is OrderStatus.REJECTED
    assert desk.observe().positions == ()


def test_a_statement_tells_the_whole_account_and_its_balance_is_the_sum_of_its_deals(
    desk: Standing,
) -> None:
    flat = run(desk.broker.statement(0))
    assert (flat.positions, flat.orders) == ((), ())
    assert flat.money_total == pytest.approx(flat.account.balance, abs=1e-6)
    sent = desk.send(desk.entry(1))
    desk.send(desk.closing(2, desk.entry(1), sent.position))
    desk.send(desk.entry(3))
    told, seen = run(desk.broker.statement(0)), desk.observe()
    assert told.positions == seen.positions
    assert told.deals[-3:] == seen.deals
    assert told.money_total == pytest.approx(told.account.balance, abs=1e-6)
    assert told.account.balance < flat.account.balance  # the spread was paid
    newest = told.deals[-1].at_ns
    assert run(desk.broker.statement(newest + 1)).deals == ()
    assert run(desk.broker.statement(newest)).deals[-1] == told.deals[-1]


def test_account_has_a_name_that_stays(desk: Standing) -> None:
    told = run(desk.broker.identify())
    assert told.name
    assert not told.real  # a simulation and a fake hold no money
    assert run(desk.broker.identify()) == told
