"""Operations through the real gateway, over mutual TLS, while replies get lost and it dies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from online.adapters.clocks import SystemClock
from online.adapters.gateway_broker import GatewayBroker
from online.adapters.sqlite_journal import iterate, open_journal
from online.domain.errors import Conflict
from online.domain.operation import Cancel, Close, Modify
from online.domain.order import OrderKind, OrderReply, OrderStatus
from online.domain.record import OperationRecord, ResultRecord
from online.operate import Wish, operate
from online.sending import append, resolve_pending, send
from tests.fakes import INSTRUMENTS
from tests.gateway_world import (
    Terminal,
    World,
    entry,
    eventually,
    running_terminal,
    running_world,
)
from tests.journals import decision

pytestmark = [pytest.mark.integration, pytest.mark.lean]


class Trader:
    """A scorer's journal and book, and its broker behind the gateway."""

    strategy = 1
    instruments = INSTRUMENTS

    def __init__(self, path: Path, broker: GatewayBroker) -> None:
        self.journal, self.book = open_journal(path)
        self.broker = broker
        self.clock = SystemClock()

    async def enter(self, **changes: Any) -> OrderReply:  # noqa: ANN401 - fields of Intent
        number = self.book.allocate()
        intent = entry(number, **changes)
        record = decision(number, self.clock.now_ns())
        await append(self, msgspec.structs.replace(record, intent=intent))
        return await send(intent, record.decision_id, self)

    async def want(self, name: str, operation: Close | Modify | Cancel) -> OrderReply:
        return await operate(Wish(name, operation, "ann", "a test"), self)

    async def settle(self) -> None:
        async def is_settled() -> bool:
            return not await resolve_pending(self)

        await eventually(is_settled)


Story = Callable[[Trader, World, Terminal], Awaitable[None]]


def tell(folder: Path, story: Story) -> None:
    """Let a trader live through a story; absence counts after a moment."""
    with (
        running_terminal() as terminal,
        running_world(folder, terminal, heartbeat=1.0) as world,
    ):

        async def whole() -> None:
            await world.ready()
            broker = world.broker()
            trader = Trader(folder / "journal.db", broker)
            try:
                await story(trader, world, terminal)
            finally:
                await broker.close()
                trader.journal.close()

        asyncio.run(whole())


def fates(folder: Path, name: str) -> list[OrderStatus]:
    """Return what the journal was told of an operation, in order."""
    told = [r for r in iterate(folder / "journal.db") if isinstance(r, ResultRecord)]
    return [r.reply.status for r in told if r.intent_id == f"op-{name}"]


def test_replies_lost_after_a_modify_and_a_partial_close_are_found_and_nothing_is_sent_twice(
    tmp_path: Path,
) -> None:
    async def story(trader: Trader, world: World, terminal: Terminal) -> None:
        del world
        ticket = (await trader.enter()).position
        terminal.order("fault", kind="reply_lost")
        assert (await trader.want("a", Modify(ticket, 1.095, 1.13))).status is OrderStatus.UNKNOWN
        with pytest.raises(Conflict):
            await trader.want("b", Modify(ticket, 1.094, 1.13))
        await trader.settle()
        terminal.order("fault", kind="reply_lost")
        part = await trader.want("c", Close(ticket, 0.04))
        assert part.status is OrderStatus.UNKNOWN
        await trader.settle()
        assert (await trader.want("c", Close(ticket, 0.04))).volume_lots == 0.04
        (held,) = (await trader.broker.observe("EURUSD", 0)).positions or ()
        assert (held.volume_lots, held.stop, held.target) == (0.06, 1.095, 1.13)
        assert [deal[1:3] for deal in terminal.order("deals")] == [["sx-1", 0.1], ["sx-4", 0.04]]

    tell(tmp_path, story)
    assert fates(tmp_path, "a") == [OrderStatus.UNKNOWN, OrderStatus.DONE]
    assert fates(tmp_path, "c") == [OrderStatus.UNKNOWN, OrderStatus.FILLED]
    assert fates(tmp_path, "b") == []
    operations = [r for r in iterate(tmp_path / "journal.db") if isinstance(r, OperationRecord)]
    assert [record.by for record in operations] == ["ann", "ann"]


def test_what_the_terminal_never_heard_of_is_known_not_to_have_been_sent(tmp_path: Path) -> None:
    async def story(trader: Trader, world: World, terminal: Terminal) -> None:
        del world
        ticket = (await trader.enter()).position
        for name, operation in (("a", Modify(ticket, 1.095, 1.13)), ("b", Close(ticket, 0.04))):
            terminal.order("fault", kind="pipe_broken")
            await trader.want(name, operation)
            await trader.settle()
        (held,) = (await trader.broker.observe("EURUSD", 0)).positions or ()
        assert (held.volume_lots, held.stop) == (0.1, 1.09)

    tell(tmp_path, story)
    for name in ("a", "b"):
        assert fates(tmp_path, name)[-1] is OrderStatus.NOT_SENT


def test_gateway_that_dies_with_an_operation_in_hand_finds_its_fate_when_it_is_back(
    tmp_path: Path,
) -> None:
    async def story(trader: Trader, world: World, terminal: Terminal) -> None:
        ticket = (await trader.enter()).position
        resting = await trader.enter(kind=OrderKind.LIMIT, price=1.095, quoted=1.095)
        assert resting.status is OrderStatus.ACCEPTED
        for name, operation in (
            ("a", Modify(ticket, 1.095, 1.13)),
            ("b", Close(ticket, 0.04)),
            ("c", Cancel(resting.order)),
        ):
            assert world.process is not None
            terminal.order("kill", pid=world.process.pid, when="after")
            assert (await trader.want(name, operation)).status is OrderStatus.UNKNOWN
            world.stop()
            world.start()
            await world.ready()
            await trader.settle()
        seen = await trader.broker.observe("EURUSD", 0)
        (held,) = seen.positions or ()
        assert (held.volume_lots, held.stop, seen.orders) == (0.06, 1.095, ())
        assert trader.book.orders.resting == ()
        assert len(terminal.order("deals")) == 2

    tell(tmp_path, story)
    assert fates(tmp_path, "a")[-1] is OrderStatus.DONE
    assert fates(tmp_path, "b")[-1] is OrderStatus.FILLED
    assert fates(tmp_path, "c")[-1] is OrderStatus.DONE
