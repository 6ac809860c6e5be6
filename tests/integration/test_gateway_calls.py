"""A gateway's replies and fates tell what was said to the terminal, and nothing that nobody saw."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from online.adapters.gateway_broker import GatewayBroker
from online.domain.called_reply import apart
from online.domain.order import OrderReply, OrderStatus
from online.domain.record import ResultRecord
from online.domain.terminal_call import TerminalCall
from pipelines.audit.comparison import compare_copy
from pipelines.audit.relay import Relay
from tests.gateway_world import Terminal, World, entry, fate_of, running_world
from tests.journals import halts, write_journal
from tests.terminal_calls import make_call, unanswered

pytestmark = pytest.mark.integration
REPLY = OrderReply(OrderStatus.UNKNOWN, 0, 0, 0, 0, 0.0, 0.0, "lost")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, terminal: Terminal) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("gateway")
    with running_world(folder, terminal, timeout=1.0, heartbeat=1.0) as running:
        yield running


def send_and_find(
    world: World, terminal: Terminal, number: int, fault: str = ""
) -> tuple[OrderReply, TerminalCall, OrderReply, tuple[TerminalCall, ...]]:
    """Return what came back for an entry with its one call, then its fate with its calls."""
    intent = entry(number)

    async def story(broker: GatewayBroker) -> tuple[OrderReply, OrderReply]:
        if fault:
            terminal.order("fault", kind=fault)
        return await broker.send(intent), await fate_of(broker, intent)

    sent, found = asyncio.run(world.run(story))
    alone, (call,) = apart(sent)
    assert call.request["magic"] == intent.magic
    assert terminal.deals_of(intent.magic) == 1
    return alone, call, *apart(found)


def test_a_reply_brings_the_terminals_answer_as_it_was(world: World, terminal: Terminal) -> None:
    sent, call, found, calls = send_and_find(world, terminal, 810)
    assert sent.status is OrderStatus.FILLED
    assert call.result is not None
    assert call.echo is not None
    assert (call.result["retcode"], call.result["deal"]) == (10009, sent.deal)
    assert call.echo["comment"] == entry(810).comment
    assert call.returned_at_ns is not None
    assert call.server_after is not None
    assert (found, calls) == (sent, (call,)), "the inbox kept it"


def test_a_worker_that_hung_leaves_its_request_and_no_answer(
    world: World, terminal: Terminal
) -> None:
    sent, call, found, calls = send_and_find(world, terminal, 820, "hang_after")
    assert (sent.status, found.status) == (OrderStatus.UNKNOWN, OrderStatus.FILLED)
    assert (call.result, call.returned_at_ns, call.last_error) == (None, None, None)
    assert "did not answer in time" in call.trouble
    assert calls == (call,), "the fill that was found is no answer that was seen"


def test_a_reply_that_the_pipe_lost_leaves_its_request_and_the_packages_error(
    world: World, terminal: Terminal
) -> None:
    sent, call, found, calls = send_and_find(world, terminal, 830, "reply_lost")
    assert (sent.status, found.status) == (OrderStatus.UNKNOWN, OrderStatus.FILLED)
    assert call.last_error is not None
    assert (call.result, call.last_error[0], call.trouble) == (None, -10002, "")
    assert call.returned_at_ns is not None
    assert calls == (call,)


def test_sql_users_find_each_call_of_an_order(tmp_path: Path, engine: Engine) -> None:
    calls = (make_call(), unanswered("the worker was ended"))
    told = ResultRecord("d-1", "i-1", 7, REPLY, calls)
    journal = write_journal(tmp_path / "journal.db", [*halts(2), told])
    Relay(journal, engine, 10).catch_up()
    assert compare_copy(journal, engine) == 3
    query = """
        SELECT number, intent_id, request ->> 'symbol', result ->> 'retcode',
            extract(epoch FROM returned_at - called_at)::float, server_before_ms, trouble
        FROM audit.terminal_calls ORDER BY number
    """
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(query))]
    assert make_call().server_before is not None
    clock = calls[0].server_before.told_ms if calls[0].server_before else 0
    assert rows == [
        (1, "i-1", "EURUSD", "10009", 0.008, clock, ""),
        (2, "i-1", "EURUSD", None, None, clock, "the worker was ended"),
    ]
