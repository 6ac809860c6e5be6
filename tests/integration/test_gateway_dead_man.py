"""What the gateway does when its scorer stays away."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from online.adapters.gateway_broker import GatewayBroker
from online.domain.errors import Unavailable
from online.domain.order import OrderReply, OrderStatus
from online.domain.trading_state import TradingState
from online.gateway.inbox_copy import read_orders
from online.gateway.messages import Role, Status
from tests.gateway_world import entry, eventually, running_terminal, running_world

pytestmark = [pytest.mark.integration, pytest.mark.lean]
LADDER = """[
    {after_seconds = 0.3, action = "reduce"},
    {after_seconds = 0.6, action = "halt"},
    {after_seconds = 0.9, action = "flatten"},
]"""


def test_ladder_reduces_halts_and_flattens_what_is_ours_until_resumed(tmp_path: Path) -> None:
    with running_terminal() as terminal, running_world(tmp_path, terminal, ladder=LADDER) as world:

        async def trade(broker: GatewayBroker) -> OrderReply:
            return await broker.send(entry(1))

        async def is_flat() -> bool:
            return len(terminal.order("deals")) == 2

        async def ask() -> Status:
            operator = world.broker(Role.OPERATOR)
            try:
                return await operator.status()
            finally:
                await operator.close()

        async def try_again(broker: GatewayBroker) -> tuple[OrderReply, OrderReply]:
            halted = await broker.send(entry(2))
            operator = world.broker(Role.OPERATOR)
            try:
                await operator.resume("a test")
            finally:
                await operator.close()
            return halted, await broker.send(entry(3))

        async def story() -> tuple[OrderReply, Status, OrderReply, OrderReply]:
            opened = await world.run(trade)
            await eventually(is_flat)
            status = await ask()
            return opened, status, *await world.run(try_again)

        opened, status, halted, resumed = asyncio.run(story())
        assert opened.status is OrderStatus.FILLED
        assert (status.state, status.scorer_linked) == (TradingState.HALTED, False)
        assert "halt" in status.reason
        assert halted.status is OrderStatus.NOT_SENT
        assert "no scorer" in halted.comment
        assert resumed.status is OrderStatus.FILLED
        assert [deal[1] for deal in terminal.order("deals")][:2] == ["sx-1", "sx-flatten-1"]
        (kept,) = read_orders(tmp_path / "state" / "inbox.db", own=True)
        assert (kept.cause, kept.stage) == ("no scorer for 0.9 s (flatten)", "filled")
        assert [call.request["comment"] for call in kept.calls] == ["sx-flatten-1"]


def test_an_operator_flattens_though_no_scorer_is_there_until_resumed(tmp_path: Path) -> None:
    with running_terminal() as terminal, running_world(tmp_path, terminal) as world:

        async def trade(broker: GatewayBroker) -> OrderReply:
            return await broker.send(entry(1))

        async def is_flat() -> bool:
            return len(terminal.order("deals")) == 2

        async def climb(broker: GatewayBroker) -> tuple[OrderReply, str]:
            try:
                await broker.climb("nobody", "a scorer may not", flatten=True)
            except Unavailable as error:
                return await broker.send(entry(2)), error.code
            raise AssertionError("a scorer was obeyed")

        async def story() -> tuple[Status, OrderReply, str, Status]:
            await world.run(trade)
            operator = world.broker(Role.OPERATOR)
            try:
                flattened = await operator.climb("ann", "leave now", flatten=True)
                await eventually(is_flat)
                halted, code = await world.run(climb)
                return flattened, halted, code, await operator.resume("ann")
            finally:
                await operator.close()

        flattened, halted, code, resumed = asyncio.run(story())
        assert flattened.state is TradingState.HALTED
        assert flattened.reason == "flatten: leave now (ann)"
        assert (halted.status, code) == (OrderStatus.NOT_SENT, "NOT_ALLOWED")
        assert "leave now" in halted.comment
        assert resumed.state is TradingState.ACTIVE
