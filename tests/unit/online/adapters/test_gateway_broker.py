"""The scorer's end of the gateway's link, where the gateway cannot even be called."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from online.adapters.gateway_address import GatewayAddress
from online.adapters.gateway_broker import GatewayBroker
from online.domain.errors import Unavailable
from online.domain.order import OrderStatus
from online.gateway.certificates import issue
from online.gateway.tls import TlsFiles
from tests.gateway_world import entry

pytestmark = pytest.mark.lean


def test_a_gateways_name_that_cannot_be_is_told_and_nothing_is_sent(tmp_path: Path) -> None:
    issue(tmp_path, ["127.0.0.1"])
    files = (tmp_path / name for name in ("authority.pem", "scorer.pem", "scorer.key"))
    address = GatewayAddress("gateway..local", 8220, TlsFiles(*files), 0.1, 1.0, 1.0)

    async def story() -> None:
        broker = GatewayBroker(address)
        with pytest.raises(Unavailable, match="label") as told:
            await broker.observe("EURUSD", 0)
        assert told.value.code == "NO_GATEWAY"
        assert (await broker.send(entry(1))).status is OrderStatus.NOT_SENT
        await broker.close()

    asyncio.run(story())
