"""What the scorer's API refuses, how it says so, and what it tells of itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import prometheus_client.values
import pytest

from tests.scorers import (
    BEARER,
    Caller,
    Store,
    assert_problem,
    bar_body,
    calling,
    decisions,
    make_settings,
    reasons,
    tell,
)

pytestmark = pytest.mark.integration


BAD_BODIES: list[tuple[bytes, int, str]] = [
    (b"", 400, "MALFORMED_JSON"),
    (b"{", 400, "MALFORMED_JSON"),
    (b"\xff\xfe", 400, "MALFORMED_JSON"),
    (b"NaN", 400, "MALFORMED_JSON"),
    (b'{"symbol": NaN}', 400, "MALFORMED_JSON"),
    (b"[" * 5000, 400, "INVALID_FIELD"),
    (b"[]", 400, "INVALID_FIELD"),
    (b"{}", 400, "INVALID_FIELD"),
    (bar_body(volume=1), 400, "INVALID_FIELD"),
    (bar_body(bar_closed_at=1e400), 400, "MALFORMED_JSON"),
    (bar_body(bar_closed_at="2017-10-03T03:00:00"), 400, "INVALID_FIELD"),
    (bar_body(bar_closed_at="yesterday"), 400, "INVALID_FIELD"),
    (bar_body(symbol=3), 400, "INVALID_FIELD"),
    (bar_body(symbol="GBPUSD"), 404, "UNKNOWN_SYMBOL"),
    (bar_body(symbol="NOSUCH"), 404, "UNKNOWN_SYMBOL"),
    (bar_body(timeframe="H7"), 404, "UNKNOWN_TIMEFRAME"),
    (bar_body(timeframe="M1"), 404, "UNKNOWN_TIMEFRAME"),
    (bar_body(bar_closed_at="0001-01-01T00:00:00+23:00"), 422, "BAR_OUT_OF_RANGE"),
    (bar_body(bar_closed_at="9999-12-31T23:59:59-23:00"), 422, "BAR_OUT_OF_RANGE"),
    (b'{"symbol": "' + b"x" * 70_000 + b'"}', 413, "BODY_TOO_LARGE"),
]


def test_every_bad_body_is_a_problem_with_its_own_code_and_nothing_is_recorded(
    folder: Path, store: Store
) -> None:
    async def story(caller: Caller) -> None:
        for path in ("/v1/decide", "/v1/trade"):
            for body, status, code in BAD_BODIES:
                answer = await caller.http.post(path, content=body, headers=BEARER)
                assert_problem(answer, status, code)

    tell(folder, store, story)
    assert decisions(folder) == []


def test_a_body_without_a_declared_length_is_cut_off_at_the_limit(
    folder: Path, store: Store
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b" " * 8192

    async def story(caller: Caller) -> None:
        answer = await caller.http.post("/v1/decide", content=endless(), headers=BEARER)
        assert_problem(answer, 413, "BODY_TOO_LARGE")

    tell(folder, store, story)


PROTECTED = (
    *("/v1/decide", "/v1/trade", "/v1/model/reload", "/v1/simulator/bar"),
    *("/v1/risk/halt", "/v1/risk/resume", "/v1/orders/close-all"),
)


def test_the_protected_routes_need_the_very_token(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        for path in PROTECTED:
            without = await caller.http.post(path, content=b"{}")
            assert_problem(without, 401, "TOKEN_MISSING")
            assert without.headers["www-authenticate"].startswith("Bearer")
            for header in ("Bearer wrong", "Bearer " + "t" * 31, "Bearer " + "t" * 33):
                wrong = {"Authorization": header}
                answer = await caller.http.post(path, content=b"{}", headers=wrong)
                assert_problem(answer, 403, "TOKEN_WRONG")
            basic = {"Authorization": "Basic " + "t" * 32}
            answer = await caller.http.post(path, content=b"{}", headers=basic)
            assert_problem(answer, 401, "TOKEN_MISSING")

    tell(folder, store, story)
    assert decisions(folder) == []


def test_without_a_configured_token_the_protected_routes_are_closed(
    folder: Path, store: Store
) -> None:
    async def story() -> None:
        settings = make_settings(folder, store.socket, token_file=None)
        async with calling(settings) as caller:
            for path in PROTECTED:
                answer = await caller.http.post(path, content=b"{}", headers=BEARER)
                assert_problem(answer, 403, "NO_TOKEN_CONFIGURED")
            assert (await caller.http.get("/v1/risk")).status_code == 200

    asyncio.run(story())


def test_who_has_no_token_can_write_nothing_into_the_journal(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        paths = (await caller.http.get("/openapi.json")).json()["paths"]
        routes = [(method, path) for path, methods in paths.items() for method in methods]
        assert ("post", "/v1/decide") in routes
        head = caller.app.state.scorer.parts.journal.inner._head
        for method, path in routes:
            named = path.replace("{decision_id}", "x").replace("{intent_id}", "x")
            answer = await caller.http.request(method.upper(), named, content=bar_body())
            assert answer.status_code != 200 or method == "get", path
        assert caller.app.state.scorer.parts.journal.inner._head == head

    tell(folder, store, story)


def test_unknown_paths_methods_and_decisions_are_problems(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        assert_problem(await caller.http.get("/nowhere"), 404, "NOT_FOUND")
        refused = await caller.http.get("/v1/decide")
        assert_problem(refused, 405, "METHOD_NOT_ALLOWED")
        assert refused.headers["allow"] == "POST"
        unknown = await caller.http.get("/v1/decisions/EURUSD-H1-20171003T0300Z-99")
        assert_problem(unknown, 404, "UNKNOWN_DECISION")

    tell(folder, store, story)


def test_a_correlation_id_is_taken_over_or_made(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        mine = {"X-Correlation-ID": "run-7/bar-3"}
        answer = await caller.http.post("/v1/decide", content=b"{", headers=BEARER | mine)
        assert answer.json()["correlation_id"] == "run-7/bar-3"
        for unusable in ("x" * 129, "two words"):
            made = await caller.http.get("/healthz", headers={"X-Correlation-ID": unusable})
            assert made.headers["x-correlation-id"] not in {unusable, ""}

    tell(folder, store, story)


def test_the_documentation_shows_every_route_with_its_schemas(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        page = await caller.http.get("/docs")
        assert page.status_code == 200
        assert "https://" not in page.text  # what it shows it brings along
        document = (await caller.http.get("/openapi.json")).json()
        assert set(document["paths"]) >= {*PROTECTED, "/v1/positions", "/readyz"}
        trade = document["paths"]["/v1/trade"]["post"]
        assert trade["security"] == [{"bearer": []}]
        reference = trade["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        assert reference.rpartition("/")[2] in document["components"]["schemas"]
        assert {"200", "400", "401", "403", "404", "413", "422", "503"} <= set(trade["responses"])

    tell(folder, store, story)


def test_the_metrics_count_decisions_vetoes_orders_and_stages(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Feast, once imported by another test, makes Prometheus count by process and not by registry.
    monkeypatch.setattr(prometheus_client.values, "ValueClass", prometheus_client.values.MutexValue)

    async def story(caller: Caller) -> None:
        first = await caller.trade()
        assert first.json()["action"] == "sell", first.text
        second = await caller.trade()
        assert reasons(second) == {"POSITION_OPEN"}, second.text
        await caller.http.post("/v1/decide", content=b"{", headers=BEARER)
        lines = (await caller.http.get("/metrics")).text.splitlines()
        for line in (
            'sextant_decisions_total{action="sell"} 1.0',
            'sextant_vetoes_total{reason="POSITION_OPEN"} 1.0',
            'sextant_orders_total{status="filled"} 1.0',
            'sextant_http_problems_total{code="MALFORMED_JSON"} 1.0',
            'sextant_stage_seconds_count{stage="judge"} 2.0',
            'sextant_stage_seconds_count{stage="total"} 2.0',
        ):
            assert line in lines, [t for t in lines if t.startswith(line.partition("{")[0])]

    tell(folder, store, story)
