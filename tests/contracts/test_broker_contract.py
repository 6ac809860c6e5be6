"""What every broker must do, whatever stands behind the port."""

from __future__ import annotations

import pytest

from online.adapters.simulated_broker import SimulatedBroker
from online.domain.market import Instrument, Quote, Side
from online.domain.order import Intent, OrderStatus, Purpose, make_magic
from online.ports import Broker
from online.simulator.terminal import SimulatedTerminal
from online.trade import run_to_completion

EURUSD = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0)


@pytest.fixture(params=["simulated"])
def broker(request: pytest.FixtureRequest) -> Broker:
    """Return a broker that quotes EURUSD 1.1 to 1.1002 and holds nothing."""
    assert request.param == "simulated"
    terminal = SimulatedTerminal([EURUSD])
    terminal.on_quote(Quote("EURUSD", 1.1, 1.1002, 1))
    return SimulatedBroker(terminal)


def entry(number: int = 1, volume_lots: float = 0.1) -> Intent:
    return Intent(
        intent_id=f"entry-{number}",
        magic=make_magic(1, number),
        comment=f"sx-{number}",
        purpose=Purpose.ENTRY,
        symbol="EURUSD",
        side=Side.BUY,
        volume_lots=volume_lots,
        stop=1.09,
        target=1.12,
        position=0,
        expires_at_ns=1,
        quoted=1.1002,
    )


def close(number: int, magic: int, position: int) -> Intent:
    return Intent(
        intent_id=f"close-{number}",
        magic=magic,
        comment=f"sx-{number}",
        purpose=Purpose.CLOSE,
        symbol="EURUSD",
        side=Side.SELL,
        volume_lots=0.1,
        stop=0.0,
        target=0.0,
        position=position,
        expires_at_ns=0,
        quoted=1.1,
    )


def test_flat_account_is_observed_with_its_quote(broker: Broker) -> None:
    seen = run_to_completion(broker.observe("EURUSD", 0))
    assert seen.quote == Quote("EURUSD", 1.1, 1.1002, 1)
    assert seen.positions == ()
    assert seen.deals == ()
    assert seen.account is not None
    assert seen.account.balance == seen.account.equity


def test_filled_entry_is_a_position_with_broker_side_exits(broker: Broker) -> None:
    reply = run_to_completion(broker.send(entry()))
    assert reply.status is OrderStatus.FILLED
    seen = run_to_completion(broker.observe("EURUSD", 0))
    assert seen.positions is not None
    (held,) = seen.positions
    assert (held.magic, held.stop, held.target) == (entry().magic, 1.09, 1.12)
    (deal,) = seen.deals
    assert (deal.order, deal.ticket, deal.entry) == (reply.order, reply.deal, True)
    assert run_to_completion(broker.observe("EURUSD", deal.ticket)).deals == ()


def test_refused_entry_leaves_nothing(broker: Broker) -> None:
    reply = run_to_completion(broker.send(entry(volume_lots=0.001)))
    assert reply.status is OrderStatus.REJECTED
    assert reply.retcode == 10014
    assert run_to_completion(broker.find(entry())) is None
    assert run_to_completion(broker.observe("EURUSD", 0)).positions == ()


def test_fate_of_an_order_is_found_by_its_magic(broker: Broker) -> None:
    assert run_to_completion(broker.find(entry())) is None
    sent = run_to_completion(broker.send(entry()))
    found = run_to_completion(broker.find(entry()))
    assert found is not None
    assert (found.status, found.order, found.deal, found.price, found.volume_lots) == (
        OrderStatus.FILLED,
        sent.order,
        sent.deal,
        sent.price,
        sent.volume_lots,
    )


def test_entry_is_no_evidence_of_its_close(broker: Broker) -> None:
    sent = run_to_completion(broker.send(entry()))
    closing = close(2, entry().magic, sent.position)
    assert run_to_completion(broker.find(closing)) is None
    closed = run_to_completion(broker.send(closing))
    found = run_to_completion(broker.find(closing))
    assert found is not None
    assert found.deal == closed.deal
    assert run_to_completion(broker.observe("EURUSD", 0)).positions == ()


def test_close_of_a_closed_position_opens_nothing(broker: Broker) -> None:
    sent = run_to_completion(broker.send(entry()))
    run_to_completion(broker.send(close(2, entry().magic, sent.position)))
    again = run_to_completion(broker.send(close(3, entry().magic, sent.position)))
    assert again.status is OrderStatus.REJECTED
    assert run_to_completion(broker.observe("EURUSD", 0)).positions == ()
