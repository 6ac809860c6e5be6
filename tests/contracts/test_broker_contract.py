"""What every broker must do, whatever stands behind the port."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from online.adapters.simulated_broker import SimulatedBroker
from online.domain.market import Instrument, Quote, Side
from online.domain.order import Intent, OrderStatus, Purpose, make_magic
from online.ports import Broker
from online.simulator.terminal import SimulatedTerminal
from tests.gateway_world import running_terminal, running_world

T = TypeVar("T")
EURUSD = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0)


class Runner:
    """Drives a broker's answers, whether they wait or not."""

    loop = asyncio.new_event_loop()

    def __call__(self, story: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(story)


run = Runner()


@pytest.fixture(params=["simulated", pytest.param("gateway", marks=pytest.mark.integration)])
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """Return a broker that quotes EURUSD 1.1 to 1.1002 and holds nothing."""
    if request.param == "simulated":
        terminal = SimulatedTerminal([EURUSD])
        terminal.on_quote(Quote("EURUSD", 1.1, 1.1002, 1))
        yield SimulatedBroker(terminal)
        return
    with running_terminal() as process, running_world(tmp_path, process, absence=60.0) as world:
        run(world.ready())
        gateway = world.broker()
        yield gateway
        run(gateway.close())


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
    seen = run(broker.observe("EURUSD", 0))
    assert seen.quote is not None
    assert (seen.quote.symbol, seen.quote.bid, seen.quote.ask) == ("EURUSD", 1.1, 1.1002)
    assert seen.positions == ()
    assert seen.deals == ()
    assert seen.account is not None
    assert seen.account.balance == seen.account.equity


def test_filled_entry_is_a_position_with_broker_side_exits(broker: Broker) -> None:
    reply = run(broker.send(entry()))
    assert reply.status is OrderStatus.FILLED
    seen = run(broker.observe("EURUSD", 0))
    assert seen.positions is not None
    (held,) = seen.positions
    assert (held.magic, held.stop, held.target) == (entry().magic, 1.09, 1.12)
    (deal,) = seen.deals
    assert (deal.order, deal.ticket, deal.entry) == (reply.order, reply.deal, True)
    assert run(broker.observe("EURUSD", deal.ticket)).deals == ()


def test_refused_entry_leaves_nothing(broker: Broker) -> None:
    small = entry(volume_lots=0.001)
    reply = run(broker.send(small))
    assert reply.status is OrderStatus.REJECTED
    assert reply.retcode == 10014
    found = run(broker.find(small))
    assert found is None or found.status is OrderStatus.REJECTED
    assert run(broker.observe("EURUSD", 0)).positions == ()


def test_fate_of_an_order_is_found_by_its_magic(broker: Broker) -> None:
    assert run(broker.find(entry())) is None
    sent = run(broker.send(entry()))
    found = run(broker.find(entry()))
    assert found is not None
    assert (found.status, found.order, found.deal, found.price, found.volume_lots) == (
        OrderStatus.FILLED,
        sent.order,
        sent.deal,
        sent.price,
        sent.volume_lots,
    )


def test_entry_is_no_evidence_of_its_close(broker: Broker) -> None:
    sent = run(broker.send(entry()))
    closing = close(2, entry().magic, sent.position)
    assert run(broker.find(closing)) is None
    closed = run(broker.send(closing))
    found = run(broker.find(closing))
    assert found is not None
    assert found.deal == closed.deal
    assert run(broker.observe("EURUSD", 0)).positions == ()


def test_close_of_a_closed_position_opens_nothing(broker: Broker) -> None:
    sent = run(broker.send(entry()))
    run(broker.send(close(2, entry().magic, sent.position)))
    again = run(broker.send(close(3, entry().magic, sent.position)))
    assert again.status is OrderStatus.REJECTED
    assert run(broker.observe("EURUSD", 0)).positions == ()
