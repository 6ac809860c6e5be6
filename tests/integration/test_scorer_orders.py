"""Orders by the scorer's API: look, close, modify, trail and state a fate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from online.adapters.sqlite_journal import iterate
from online.domain.record import OperationRecord, TrailRecord
from tests.fakes import BAR_NS, HOUR_NS
from tests.scorers import (
    BEARER,
    Caller,
    Store,
    assert_problem,
    make_bar,
    tell,
)

pytestmark = pytest.mark.integration


async def post(caller: Caller, name: str, **body: Any) -> httpx.Response:  # noqa: ANN401 - JSON
    return await caller.http.post(f"/v1/orders/{name}", json=body, headers=BEARER)


async def opened(caller: Caller) -> dict[str, Any]:
    """Enter, and return the position: a short."""
    assert (await caller.trade()).json()["reply"]["status"] == "filled"
    (held,) = (await caller.http.get("/v1/positions")).json()["positions"]
    return dict(held)


def test_an_operator_closes_in_part_moves_the_stop_and_closes_the_rest(
    folder: Path, store: Store
) -> None:
    async def story(caller: Caller) -> None:
        held = await opened(caller)
        ticket, stop = held["ticket"], round(held["stop"] - 0.0002, 5)
        part = await post(caller, "close", client_id="a", position=ticket, volume_lots=0.1)
        assert part.status_code == 200, part.text
        assert (part.json()["stage"], part.json()["reply"]["volume_lots"]) == ("filled", 0.1)
        moved = await post(
            caller, "modify", client_id="b", position=ticket, stop=stop, target=held["target"],
            by="ann", note="the news",
        )  # fmt: skip
        assert moved.json()["stage"] == "done"
        (left,) = (await caller.http.get("/v1/positions")).json()["positions"]
        assert (left["stop"], left["volume_lots"]) == (stop, round(held["volume_lots"] - 0.1, 2))
        again = await post(caller, "close", client_id="a", position=ticket, volume_lots=0.1)
        assert again.json() == part.json()
        whole = await post(caller, "close-all", client_id="c", confirm=True)
        assert [each["reply"]["status"] for each in whole.json()["operations"]] == ["filled"]
        listed = (await caller.http.get("/v1/orders")).json()
        assert [order["stage"] for order in listed["newest"]] == [
            "filled",
            "done",
            "filled",
        ] * 1 + ["filled"]
        shown = (await caller.http.get("/v1/orders/op-b")).json()
        assert shown["intent"]["purpose"] == "modify"
        records = (await caller.http.get("/v1/decisions/op-b")).json()
        assert [record["type"] for record in records] == ["operation", "result"]
        assert records[0]["by"].startswith("ann (api ")
        metrics = (await caller.http.get("/metrics")).text
        assert 'sextant_operations_total{operation="modify",status="done"} 1.0' in metrics

    tell(folder, store, story)
    found = [r for r in iterate(folder / "journal.db") if isinstance(r, OperationRecord)]
    assert [record.decision_id for record in found][:2] == ["op-a", "op-b"]


def test_profit_is_told_by_the_journals_deals_beside_the_brokers_word(
    folder: Path, store: Store
) -> None:
    async def story(caller: Caller) -> None:
        held = await opened(caller)
        await caller.trade(BAR_NS + HOUR_NS)  # the fill is journaled by the next decision
        told = (await caller.http.get("/v1/pnl")).json()
        (symbol,) = told["symbols"]
        assert (symbol["net_lots"], symbol["symbol"]) == (-held["volume_lots"], "EURUSD")
        assert told["commission"] == pytest.approx(-3.5 * held["volume_lots"], abs=0.006)
        assert told["balance"] == pytest.approx(told["told_balance"])
        assert told["unrealised"] == pytest.approx(told["told_unrealised"])
        assert told["differences"] == []

    tell(folder, store, story)


def test_a_trailed_stop_follows_the_replayed_market(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        held = await opened(caller)
        body = {"position": held["ticket"], "unit": "atr", "distance": 1.0, "by": "ann"}
        answer = await post(caller, "trail", **body)
        assert answer.status_code == 200, answer.text
        (rule,) = answer.json()["trails"]
        assert rule["rule"]["distance"] == pytest.approx(0.00125)
        await caller.move(make_bar(), make_bar(BAR_NS + HOUR_NS, bid=1.0985))
        (moved,) = (await caller.http.get("/v1/positions")).json()["positions"]
        assert moved["stop"] < held["stop"]
        ended = await post(caller, "trail", position=held["ticket"], distance=None)
        assert ended.json()["trails"] == []

    tell(folder, store, story)
    rules = [r for r in iterate(folder / "journal.db") if isinstance(r, TrailRecord)]
    assert [(r.rule is None, r.unit is None) for r in rules] == [(False, False), (True, True)]


REFUSALS: list[tuple[str, dict[str, Any], int, str]] = [
    ("close", {"client_id": "a", "position": 99}, 404, "UNKNOWN_POSITION"),
    ("close", {"client_id": "no spaces", "position": 1}, 400, "INVALID_FIELD"),
    ("close", {"client_id": "a", "position": 0}, 400, "INVALID_FIELD"),
    ("close", {"client_id": "a", "position": 1, "volume_lots": -1.0}, 400, "INVALID_FIELD"),
    ("close", {"client_id": "a", "position": 1, "extra": 1}, 400, "INVALID_FIELD"),
    ("close", {"client_id": "a", "position": 1, "volume_lots": 500.0}, 409,
     "VOLUME_ABOVE_POSITION"),
    ("close", {"client_id": "a", "position": 1, "volume_lots": 0.001}, 422, "INVALID_VOLUME"),
    ("modify", {"client_id": "a", "position": 1, "stop": 0.0, "target": 0.0}, 422,
     "STOP_MISSING"),
    ("modify", {"client_id": "a", "position": 1, "stop": 1.0, "target": 0.0}, 409,
     "STOP_TOO_CLOSE"),
    ("cancel", {"client_id": "a", "order": 9}, 404, "UNKNOWN_ORDER"),
    ("close-all", {"client_id": "a", "confirm": False}, 400, "NOT_CONFIRMED"),
    ("trail", {"position": 1, "distance": -1.0}, 422, "INVALID_INPUT"),
    ("trail", {"position": 1, "distance": None}, 404, "NOT_TRAILED"),
    ("trail", {"position": 9, "distance": 0.01}, 404, "UNKNOWN_POSITION"),
    ("resolve", {"intent_id": "x", "status": "filled", "by": "a", "note": "b"}, 404,
     "UNKNOWN_ORDER"),
    ("resolve", {"intent_id": "x", "status": "nonsense", "by": "a", "note": "b"}, 400,
     "INVALID_FIELD"),
    ("resolve", {"intent_id": "x", "status": "filled", "by": "", "note": "b"}, 400,
     "INVALID_FIELD"),
]  # fmt: skip


def test_what_cannot_be_is_a_problem_with_its_code_and_is_not_journaled(
    folder: Path, store: Store
) -> None:
    async def story(caller: Caller) -> None:
        await opened(caller)
        for name, body, status, code in REFUSALS:
            assert_problem(await post(caller, name, **body), status, code)

    tell(folder, store, story)
    assert not any(isinstance(r, OperationRecord) for r in iterate(folder / "journal.db"))


def test_every_route_that_moves_money_needs_the_token(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        for name in ("close", "close-all", "modify", "cancel", "trail", "resolve"):
            answer = await caller.http.post(f"/v1/orders/{name}", content=b"{}")
            assert_problem(answer, 401, "TOKEN_MISSING")
        assert_problem(await caller.http.get("/v1/orders/none"), 404, "UNKNOWN_ORDER")
        document = (await caller.http.get("/openapi.json")).json()
        assert document["paths"]["/v1/orders/close"]["post"]["security"] == [{"bearer": []}]

    tell(folder, store, story)


def test_a_known_fate_is_not_stated_again(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        await opened(caller)
        (order,) = (await caller.http.get("/v1/orders")).json()["newest"]
        told = {"intent_id": order["intent_id"], "status": "rejected", "by": "ann", "note": "why"}
        assert_problem(await post(caller, "resolve", **told), 409, "FATE_KNOWN")

    tell(folder, store, story)
