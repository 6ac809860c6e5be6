"""What a broken connection to the gateway costs, and what the gateway refuses on a good one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from online.adapters.gateway_broker import GatewayBroker
from online.domain.errors import InvalidInput, Unavailable
from online.domain.order import OrderReply, OrderStatus
from tests.gateway_proxy import Proxy, through_proxy
from tests.gateway_world import (
    Terminal,
    World,
    closing,
    entry,
    eventually,
    fate_of,
)

pytestmark = pytest.mark.integration


def test_link_cut_before_the_order_goes_out_sends_nothing(world: World, terminal: Terminal) -> None:
    intent = entry(910)

    async def story(broker: GatewayBroker, proxy: Proxy) -> tuple[OrderReply | None, OrderReply]:
        proxy.to_gateway = False
        sending = asyncio.create_task(broker.send(intent))
        await asyncio.sleep(0)  # the frame is written to a wire that leads nowhere
        proxy.cut()
        with pytest.raises(Unavailable):
            await sending
        proxy.to_gateway = True
        fate = await fate_of(broker, intent)
        return fate, await broker.send(intent)

    found, repeated = asyncio.run(through_proxy(world, story))
    assert found.status is OrderStatus.NOT_SENT
    assert repeated == found, "what was once declared not sent must never be sent"
    assert terminal.deals_of(intent.magic) == 0


@pytest.mark.parametrize("half_open", [False, True])
def test_link_cut_after_the_order_went_out_leaves_one_deal(
    world: World, terminal: Terminal, *, half_open: bool
) -> None:
    intent = entry(920 + half_open)

    async def story(broker: GatewayBroker, proxy: Proxy) -> OrderReply:
        proxy.to_scorer = False  # the gateway's words are lost; with `half_open` nobody is told
        sending = asyncio.create_task(broker.send(intent))

        async def is_filled() -> bool:
            return terminal.deals_of(intent.magic) == 1

        await eventually(is_filled)
        if not half_open:
            proxy.cut()
        with pytest.raises(Unavailable):
            await sending
        proxy.to_scorer = True
        return await fate_of(broker, intent)

    found = asyncio.run(through_proxy(world, story))
    assert found.status is OrderStatus.FILLED
    assert terminal.deals_of(intent.magic) == 1


@pytest.mark.parametrize("harm", ["twice", "swapped", "late"])
def test_bytes_doubled_swapped_or_late_end_the_link_and_double_nothing(
    world: World, terminal: Terminal, harm: str
) -> None:
    intent = entry(930 + len(harm))

    async def story(broker: GatewayBroker, proxy: Proxy) -> OrderReply:
        proxy.harm = harm
        with pytest.raises(Unavailable):
            await broker.send(intent)
        proxy.harm = ""
        proxy.released.set()  # what was late comes now
        return await fate_of(broker, intent)

    found = asyncio.run(through_proxy(world, story))
    assert terminal.deals_of(intent.magic) == (found.status is OrderStatus.FILLED)


def test_newer_scorer_fences_the_older(world: World, terminal: Terminal) -> None:
    intent = entry(940)

    async def story(older: GatewayBroker) -> tuple[OrderReply, OrderReply, str]:
        await older.observe("EURUSD", 0)
        newer = world.broker()
        try:
            await newer.observe("EURUSD", 0)
            late = await older.send(intent)
            with pytest.raises(Unavailable) as failed:
                await older.observe("EURUSD", 0)
            return late, await newer.send(entry(941)), failed.value.code
        finally:
            await newer.close()

    late, sent, code = asyncio.run(world.run(story))
    assert (late.status, code) == (OrderStatus.NOT_SENT, "FENCED")
    assert sent.status is OrderStatus.FILLED
    assert terminal.deals_of(intent.magic) == 0


def test_intent_id_of_another_order_is_not_sent(world: World, terminal: Terminal) -> None:
    async def story(broker: GatewayBroker) -> OrderReply:
        await broker.send(entry(950))
        return await broker.send(entry(951, intent_id="entry-950"))

    reply = asyncio.run(world.run(story))
    assert reply.status is OrderStatus.NOT_SENT
    assert "INTENT_DIFFERS" in reply.comment
    assert terminal.deals_of(entry(951).magic) == 0


def test_an_order_that_cannot_be_told_of_is_an_answer_not_an_outage(world: World) -> None:
    async def story(broker: GatewayBroker) -> str:
        await broker.send(entry(952))
        with pytest.raises(InvalidInput) as refused:
            await broker.find(entry(953, intent_id="entry-952"))
        return refused.value.code

    assert asyncio.run(world.run(story)) == "INTENT_DIFFERS"


def test_order_no_terminal_can_take_is_not_sent(world: World) -> None:
    async def story(broker: GatewayBroker) -> list[OrderReply]:
        bad: tuple[dict[str, Any], ...] = (
            {"volume_lots": float("nan")},
            {"comment": "x" * 25},
            {"comment": "größer"},
            {"stop": 0.0},
            {"magic": -1},
        )
        return [await broker.send(entry(960, **changes)) for changes in bad]

    replies = asyncio.run(world.run(story))
    assert {reply.status for reply in replies} == {OrderStatus.NOT_SENT}
    assert all("INVALID_INTENT" in reply.comment for reply in replies)


def test_price_beyond_the_collar_is_not_sent(world: World, terminal: Terminal) -> None:
    async def story(broker: GatewayBroker) -> OrderReply:
        return await broker.send(entry(970, quoted=1.0990))

    reply = asyncio.run(world.run(story))
    assert reply.status is OrderStatus.NOT_SENT
    assert "collar" in reply.comment
    assert terminal.deals_of(entry(970).magic) == 0


def test_entries_wait_while_automated_trading_is_off(world: World, terminal: Terminal) -> None:
    async def story(broker: GatewayBroker) -> tuple[OrderReply, OrderReply]:
        opened = await broker.send(entry(980))
        terminal.order("switch", trade_allowed=False)

        async def is_off() -> bool:
            return not (await broker.status()).trade_allowed

        await eventually(is_off)
        refused = await broker.send(entry(981))
        terminal.order("switch", trade_allowed=True)
        closed = await broker.send(closing(982, entry(980), opened.position))
        return refused, closed

    refused, closed = asyncio.run(world.run(story))
    assert refused.status is OrderStatus.NOT_SENT
    assert closed.status is OrderStatus.FILLED


def test_position_whose_magic_the_server_lost_is_still_ours(
    world: World, terminal: Terminal
) -> None:
    intent = entry(990)

    async def story(broker: GatewayBroker) -> tuple[set[int], set[int]]:
        terminal.order("fault", kind="magic_dropped")
        reply = await broker.send(intent)
        seen = await broker.observe("EURUSD", 0)
        held = {p.magic for p in seen.positions or () if p.ticket == reply.position}
        return held, {d.magic for d in seen.deals if d.position == reply.position}

    assert asyncio.run(world.run(story)) == ({intent.magic}, {intent.magic})
