"""Every order has at most one deal and a known fate, whatever dies and whenever."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from online.adapters.gateway_broker import GatewayBroker
from online.domain.errors import Unavailable
from online.domain.order import OrderReply, OrderStatus
from online.gateway.messages import Role, WorkerStatus
from tests.gateway_world import (
    Terminal,
    World,
    closing,
    entry,
    eventually,
    fate_of,
    is_running,
    running_world,
)

pytestmark = pytest.mark.integration
ACCIDENTS = {"after_sending": {0}, "before_result": {1, 2}, "inside after": {1}}
"""How many of a crowd have reached the terminal when the gateway dies."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, terminal: Terminal) -> Iterator[World]:
    """Return a gateway whose calls may take two seconds; it is killed, and goes on.

    It beats seldom: a busy machine's silence must not cut a link whose order is on its way.
    """
    folder = tmp_path_factory.mktemp("gateway")
    with running_world(folder, terminal, timeout=2.0, heartbeat=1.0) as running:
        yield running


async def worker(world: World, role: str) -> WorkerStatus:
    operator = world.broker(Role.OPERATOR)
    try:
        return next(w for w in (await operator.status()).workers if w.role == role)
    finally:
        await operator.close()


def test_hung_worker_is_ended_and_replaced_and_its_order_found(
    world: World, terminal: Terminal
) -> None:
    intent, next_intent = entry(220), entry(221)

    async def story(broker: GatewayBroker) -> tuple[OrderReply, OrderReply, OrderReply]:
        before = (await worker(world, "orders")).pid
        terminal.order("fault", kind="hang_after")
        sent = await broker.send(intent)
        found = await fate_of(broker, intent)
        after = await worker(world, "orders")
        assert after.pid != before
        assert not is_running(before)
        return sent, found, await broker.send(next_intent)

    sent, found, following = asyncio.run(world.run(story))
    assert sent.status is OrderStatus.UNKNOWN
    assert "did not answer in time" in sent.comment
    assert found.status is OrderStatus.FILLED
    assert following.status is OrderStatus.FILLED
    assert terminal.deals_of(intent.magic) == 1


def test_worker_that_outlives_a_killed_gateway_is_ended_by_the_next(
    world: World, terminal: Terminal
) -> None:
    intent = entry(230)

    async def leave_hanging(broker: GatewayBroker) -> int:
        pid = (await worker(world, "orders")).pid
        terminal.order("fault", kind="hang_before")
        sending = asyncio.create_task(broker.send(intent))
        operator = world.broker(Role.OPERATOR)

        async def is_hanging() -> bool:
            accepted = (await operator.status()).unresolved == 1
            return accepted and not terminal.order("waits")

        await eventually(is_hanging)  # a fault that nobody met yet would be the next test's
        await operator.close()
        world.stop()
        with pytest.raises(Unavailable):
            await sending
        return pid

    async def find(broker: GatewayBroker) -> OrderReply:
        return await fate_of(broker, intent)

    older = asyncio.run(world.run(leave_hanging))
    assert is_running(older), "nobody has ended it yet"
    world.start()
    found = asyncio.run(world.run(find))
    assert not is_running(older)
    assert found.status is OrderStatus.NOT_SENT
    assert terminal.deals_of(intent.magic) == 0


@pytest.mark.parametrize("kind", ["reply_lost", "desynchronised"])
def test_reply_lost_after_the_fill_is_found_once(
    world: World, terminal: Terminal, kind: str
) -> None:
    intent = entry(240 + len(kind))

    async def story(broker: GatewayBroker) -> tuple[OrderReply, OrderReply, OrderReply]:
        terminal.order("fault", kind=kind)
        return await broker.send(intent), await fate_of(broker, intent), await broker.send(intent)

    sent, found, repeated = asyncio.run(world.run(story))
    assert terminal.deals_of(intent.magic) == 1, f"{sent.comment}; {found.comment}"
    assert sent.status is OrderStatus.UNKNOWN
    assert found.status is OrderStatus.FILLED
    assert repeated == found


def test_terminal_that_changes_comment_magic_or_code_still_tells_the_fate(
    world: World, terminal: Terminal
) -> None:
    async def story(broker: GatewayBroker) -> None:
        for number, kinds in enumerate(
            (("timed_out",), ("processing_error",), ("reply_lost", "comment_edited")), start=260
        ):
            for kind in kinds:
                terminal.order("fault", kind=kind)
            assert (await broker.send(entry(number))).status is OrderStatus.UNKNOWN
            assert (await fate_of(broker, entry(number))).status is OrderStatus.FILLED
        terminal.order("fault", kind="magic_dropped")
        terminal.order("fault", kind="reply_lost")
        assert (await broker.send(entry(270))).status is OrderStatus.UNKNOWN
        assert (await fate_of(broker, entry(270))).status is OrderStatus.FILLED

    asyncio.run(world.run(story))


def test_broken_pipe_is_verified_and_then_said_not_to_be_sent(
    world: World, terminal: Terminal
) -> None:
    intent = entry(280)

    async def story(broker: GatewayBroker) -> tuple[OrderReply, OrderReply]:
        terminal.order("fault", kind="pipe_broken")
        return await broker.send(intent), await fate_of(broker, intent)

    sent, found = asyncio.run(world.run(story))
    assert sent.status is OrderStatus.UNKNOWN
    assert (found.status, found.comment[:6]) == (OrderStatus.NOT_SENT, "absent")
    assert terminal.deals_of(intent.magic) == 0


def test_close_whose_reply_is_lost_is_found_by_its_position(
    world: World, terminal: Terminal
) -> None:
    opened = entry(290)

    async def story(broker: GatewayBroker) -> tuple[OrderReply, OrderReply]:
        position = (await broker.send(opened)).position
        close = closing(291, opened, position)
        terminal.order("fault", kind="reply_lost")
        return await broker.send(close), await fate_of(broker, close)

    sent, found = asyncio.run(world.run(story))
    assert sent.status is OrderStatus.UNKNOWN
    assert (found.status, found.price) == (OrderStatus.FILLED, 1.1)


def test_dead_market_worker_is_replaced_without_touching_orders(
    world: World, terminal: Terminal
) -> None:
    async def story(broker: GatewayBroker) -> tuple[OrderReply, int]:
        before = await worker(world, "market")
        os.kill(before.pid, signal.SIGKILL)
        sent = await broker.send(entry(295, expires_at_ns=2))

        async def sees() -> bool:
            try:
                seen = await broker.observe("EURUSD", 0)
            except Unavailable:
                return False
            return seen.quote is not None and seen.positions is not None

        await eventually(sees)
        return sent, (await worker(world, "market")).replaced - before.replaced

    sent, replaced = asyncio.run(world.run(story))
    assert sent.status in {OrderStatus.FILLED, OrderStatus.NOT_SENT}
    assert terminal.deals_of(entry(295).magic) == (sent.status is OrderStatus.FILLED)
    assert replaced == 1


@pytest.mark.parametrize("step", ACCIDENTS)
def test_orders_accepted_together_each_have_a_fate_that_the_terminal_bears_out(
    world: World, terminal: Terminal, step: str
) -> None:
    first = 300 + 100 * [*ACCIDENTS].index(step)
    crowd = [entry(number, 0.01) for number in range(first, first + 20)]

    async def meet_the_accident(broker: GatewayBroker) -> list[OrderReply | BaseException]:
        if step == "inside after":
            assert world.process is not None
            terminal.order("kill", pid=world.process.pid, when="after")
        sending = (broker.send(intent) for intent in crowd)
        return await asyncio.gather(*sending, return_exceptions=True)

    async def find(broker: GatewayBroker) -> list[OrderReply]:
        return await asyncio.gather(*(fate_of(broker, intent) for intent in crowd))

    world.stop()
    world.start("" if step == "inside after" else step)
    told = asyncio.run(world.run(meet_the_accident))
    assert all(isinstance(each, Unavailable) for each in told), "the gateway died with the first"
    world.stop()
    world.start()
    fates = asyncio.run(world.run(find))
    deals = [terminal.deals_of(intent.magic) for intent in crowd]
    assert deals == [fate.status is OrderStatus.FILLED for fate in fates]
    assert sum(deals) in ACCIDENTS[step]
    assert {fate.status for fate in fates} <= {OrderStatus.FILLED, OrderStatus.NOT_SENT}
