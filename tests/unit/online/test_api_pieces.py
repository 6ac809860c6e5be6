"""Pieces of the API that a running scorer reaches only in trouble."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httpx
import msgspec
import pytest
from starlette.types import Receive, Scope, Send

from online.api.endpoint import Call
from online.api.front import Front
from online.api.order_routes import OrderHandlers
from online.api.problem import HttpError, make_problem, status_of
from online.domain.errors import (
    InvalidSettings,
    JournalCorrupt,
    JournalUnavailable,
    ModelRefused,
    NotFound,
    OrderInDoubt,
    SextantError,
)
from online.resolve import Statement

pytestmark = pytest.mark.lean


async def fails(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's form
    raise ZeroDivisionError


async def answers(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's form
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def ask(method: str, path: str) -> httpx.Response:
    """Ask a front whose hot route fails."""

    async def story() -> httpx.Response:
        transport = httpx.ASGITransport(Front(answers, {"/hot": fails}))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            return await client.request(method, path, headers={"X-Correlation-ID": "mine"})

    return asyncio.run(story())


def test_a_failure_of_a_hot_route_is_a_problem_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = ask("POST", "/hot")
    assert answer.status_code == 500
    assert answer.json()["code"] == "INTERNAL_ERROR"
    assert answer.json()["correlation_id"] == answer.headers["x-correlation-id"] == "mine"
    assert "ZeroDivisionError" in caplog.text


def test_everything_that_is_not_hot_goes_through_the_application() -> None:
    assert ask("GET", "/hot").status_code == 204
    assert ask("POST", "/cold").status_code == 204


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (HttpError(418, "a teapot", code="TEAPOT", remedy="Brew tea."), 418),
        (NotFound("gone"), 404),
        (InvalidSettings("wrong"), 422),
        (ModelRefused("no"), 409),
        (JournalUnavailable("full"), 503),
        (OrderInDoubt("sent", "entry-1", "decision-1"), 503),
        (JournalCorrupt("changed"), 503),
        (SextantError("odd"), 500),
    ],
)
def test_every_error_has_its_status(error: SextantError, status: int) -> None:
    assert status_of(error) == status
    problem = msgspec.json.decode(make_problem(error, "/path", "id").encode())
    assert problem["status"] == status
    assert problem["instance"] == "/path"
    assert problem["type"].startswith("urn:sextant:problem:")
    in_doubt = isinstance(error, OrderInDoubt)
    assert ("intent_id" in problem, "decision_id" in problem) == (in_doubt, in_doubt)


def test_who_states_an_orders_fate_is_journaled_with_whence_the_call_came() -> None:
    heard: list[Statement] = []

    class Scorer:
        """Takes down what is stated."""

        @property
        def operating(self) -> Scorer:
            return self

        async def resolve_by_hand(self, statement: Statement) -> None:
            heard.append(statement)
            raise NotFound("no such order")

    body = b'{"intent_id": "a", "status": "not_sent", "by": "eve", "note": "nowhere"}'
    with pytest.raises(NotFound):
        asyncio.run(OrderHandlers(cast("Any", Scorer())).resolve(Call(body, {}, "10.0.0.9")))
    assert [statement.by for statement in heard] == ["eve (api 10.0.0.9)"]
