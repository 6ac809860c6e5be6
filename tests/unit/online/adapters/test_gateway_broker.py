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


def address_of(folder: Path, host: str) -> GatewayAddress:
    """Return where a gateway would be; a certificate is made for it."""
    issue(folder, ["127.0.0.1"])
    files = (folder / name for name in ("authority.pem", "scorer.pem", "scorer.key"))
    return GatewayAddress(host, 8220, TlsFiles(*files), 0.3, 1.0, 1.0)


def test_a_fault_that_nobody_foresaw_ends_no_trying_to_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    address = address_of(tmp_path, "127.0.0.1")
    tries: list[int] = []

    async def story() -> None:
        async def connect(*_: object, **__: object) -> None:
            tries.append(len(tries))
            raise RuntimeError("unable to perform operation") if len(tries) == 1 else OSError

        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", connect)
        broker = GatewayBroker(address)
        with pytest.raises(Unavailable) as told:
            await broker.observe("EURUSD", 0)
        assert told.value.code == "NO_GATEWAY"
        await broker.close()

    asyncio.run(story())
    assert len(tries) > 1
    assert "unable to perform operation" in caplog.text


def test_a_gateways_name_that_cannot_be_is_told_and_nothing_is_sent(tmp_path: Path) -> None:
    address = address_of(tmp_path, "gateway..local")

    async def story() -> None:
        broker = GatewayBroker(address)
        with pytest.raises(Unavailable, match="label") as told:
            await broker.observe("EURUSD", 0)
        assert told.value.code == "NO_GATEWAY"
        assert (await broker.send(entry(1))).status is OrderStatus.NOT_SENT
        await broker.close()

    asyncio.run(story())
