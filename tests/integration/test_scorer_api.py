"""The scorer over its API, in process, on a real Valkey, SQLite, ONNX and simulated terminal."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from online.adapters.sqlite_journal import iterate, verify
from online.domain.record import (
    AccountRecord,
    DealRecord,
    DecisionRecord,
    LimitsRecord,
    ModelRecord,
    ReconciliationRecord,
    ResultRecord,
    encode_record,
)
from tests.certificates import Signers
from tests.fakes import BAR_NS, HOUR_NS, make_limits
from tests.scorers import (
    BEARER,
    VALUES,
    Caller,
    Store,
    add_model,
    assert_problem,
    bar_body,
    calling,
    decisions,
    make_bar,
    make_settings,
    reasons,
    tell,
)

pytestmark = pytest.mark.integration


def test_a_trade_fills_and_is_journaled_before_and_after_it_is_sent(
    folder: Path, store: Store
) -> None:
    async def story(caller: Caller) -> None:
        answer = (await caller.trade()).json()
        assert answer["action"] == "sell"
        assert answer["reply"]["status"] == "filled"
        assert answer["reply"]["price"] == 1.09996  # the bid, four points of slippage worse
        told = (await caller.http.get(f"/v1/decisions/{answer['decision_id']}")).json()
        assert [record["type"] for record in told] == ["decision", "result"]
        assert told[0]["features"] == pytest.approx(VALUES)
        positions = (await caller.http.get("/v1/positions")).json()
        assert positions["positions"][0]["stop"] == answer["intent"]["stop"]
        assert positions["unresolved"] == []

    tell(folder, store, story)
    kinds = [type(record) for record in iterate(folder / "journal.db")]
    compared = [ReconciliationRecord] * 2  # not since the start, and then it is
    first = (LimitsRecord, AccountRecord, ModelRecord)
    assert kinds == [*first, *compared, DecisionRecord, ResultRecord]


def test_a_decision_alone_sends_nothing_and_is_journaled(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        answer = (await caller.decide()).json()
        assert (answer["action"], answer["reply"]) == ("sell", None)
        positions = (await caller.http.get("/v1/positions")).json()
        assert positions["positions"] == []

    tell(folder, store, story)
    (record,) = decisions(folder)
    assert record.request.send is False
    assert record.intent is not None


def test_a_second_request_for_a_bar_never_sends_a_second_order(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        await caller.trade()
        again = await caller.trade()
        assert again.status_code == 200
        assert again.json()["intent"] is None

    tell(folder, store, story)
    assert sum(record.intent is not None for record in decisions(folder)) == 1


def test_forty_trades_at_once_send_one_order(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        answers = await asyncio.gather(*(caller.trade() for _ in range(40)))
        assert {answer.status_code for answer in answers} == {200}
        assert sum(answer.json()["reply"] is not None for answer in answers) == 1
        assert len((await caller.http.get("/v1/positions")).json()["positions"]) == 1

    tell(folder, store, story)
    assert sum(isinstance(r, ResultRecord) for r in iterate(folder / "journal.db")) == 1
    assert len({record.number for record in decisions(folder)}) == 40


def test_a_restarted_scorer_knows_its_orders_and_sends_none_twice(
    folder: Path, store: Store
) -> None:
    async def first(caller: Caller) -> None:
        assert (await caller.trade()).json()["reply"] is not None

    async def second(caller: Caller) -> None:  # the simulated account is new, the journal is not
        assert reasons(await caller.trade()) == {"DUPLICATE_INTENT"}

    tell(folder, store, first)
    tell(folder, store, second)
    assert [record.number for record in decisions(folder)] == [1, 2]
    accounts = [r for r in iterate(folder / "journal.db") if isinstance(r, AccountRecord)]
    assert [record.new for record in accounts] == [False, True]


@pytest.mark.parametrize(
    ("values", "stamps", "expected"),
    [
        (VALUES, (BAR_NS, BAR_NS - HOUR_NS), {"TORN_VECTOR"}),
        (VALUES, (BAR_NS - HOUR_NS, BAR_NS - HOUR_NS), {"TORN_VECTOR"}),
        (VALUES, (BAR_NS, None), {"TORN_VECTOR"}),
        ((20.0, None, 0.00125, -0.5), (BAR_NS, BAR_NS), {"MISSING_FEATURE"}),
        ((20.0, float("inf"), 0.00125, -0.5), (BAR_NS, BAR_NS), {"NON_FINITE_FEATURE"}),
        (VALUES, (BAR_NS - 9 * HOUR_NS, BAR_NS), {"TORN_VECTOR", "STALE_FEATURES"}),
        (VALUES, (BAR_NS, BAR_NS + HOUR_NS), {"TORN_VECTOR", "STALE_FEATURES"}),
    ],
)
def test_a_torn_partial_or_stale_vector_is_vetoed(
    folder: Path,
    store: Store,
    values: tuple[float | None, ...],
    stamps: tuple[int | None, ...],
    expected: set[str],
) -> None:
    store.push(values, stamps)

    async def story(caller: Caller) -> None:
        answer = await caller.trade()
        assert answer.status_code == 200
        assert answer.json()["action"] == "hold"
        assert reasons(answer) == expected

    tell(folder, store, story)


def test_a_vector_older_than_its_view_allows_is_stale(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        await caller.move(make_bar(), make_bar(BAR_NS + 50 * HOUR_NS))
        assert reasons(await caller.trade()) == {"STALE_FEATURES"}

    tell(folder, store, story)


def test_an_empty_store_is_a_veto_not_an_error(folder: Path, store: Store) -> None:
    store.server.client().flushall()

    async def story(caller: Caller) -> None:
        assert reasons(await caller.trade()) == {"MISSING_FEATURE"}

    tell(folder, store, story)


def test_one_unit_in_the_last_place_of_a_feature_is_seen(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        moved = float(np.nextafter(np.float32(VALUES[1]), np.float32(1)))
        await caller.decide()
        store.push((VALUES[0], moved, *VALUES[2:]))
        await caller.decide()

    tell(folder, store, story)
    first, second = decisions(folder)
    assert first.features is not None
    assert second.features is not None
    assert first.features[1] != second.features[1]
    assert np.float32(first.features[1]) == np.float32(VALUES[1])


def test_a_store_that_is_down_is_a_decision_with_a_veto(tmp_path: Path) -> None:
    add_model(tmp_path)

    async def story() -> None:
        async with calling(make_settings(tmp_path, tmp_path / "nobody.sock")) as caller:
            await caller.move(upcoming=make_bar())
            answer = await caller.trade()
            assert answer.status_code == 200
            assert reasons(answer) == {"FEATURES_UNAVAILABLE"}
            ready = await caller.http.get("/readyz")
            assert ready.status_code == 503
            assert ready.json()["parts"]["features"]["code"] == "UNAVAILABLE"

    asyncio.run(story())


def test_without_a_quote_nothing_is_traded(folder: Path, store: Store) -> None:
    async def story() -> None:
        async with calling(make_settings(folder, store.socket)) as caller:
            # The clock still stands at its beginning, so the vector is from the future as well.
            assert "NO_QUOTE" in reasons(await caller.trade())

    asyncio.run(story())


def test_a_halt_stops_entries_until_resumed_and_survives_a_restart(
    folder: Path, store: Store
) -> None:
    async def halted(caller: Caller) -> None:
        body = json.dumps({"reason": "news at noon"}).encode()
        answer = await caller.http.post("/v1/risk/halt", content=body, headers=BEARER)
        assert (answer.json()["state"], answer.json()["reason"]) == ("halted", "news at noon")
        assert reasons(await caller.trade()) == {"HALTED"}

    async def resumed(caller: Caller) -> None:
        assert "sextant_halted 1.0" in (await caller.http.get("/metrics")).text
        assert reasons(await caller.trade()) == {"HALTED"}
        await caller.http.post("/v1/risk/resume", json={}, headers=BEARER)
        assert (await caller.trade()).json()["reply"]["status"] == "filled"

    tell(folder, store, halted)
    tell(folder, store, resumed)


def test_without_a_model_the_scorer_lives_says_so_and_decides_nothing(
    tmp_path: Path, store: Store
) -> None:
    async def story(caller: Caller) -> None:
        assert (await caller.http.get("/healthz")).json() == {"status": "alive"}
        ready = await caller.http.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["parts"]["model"]["code"] == "NO_MODEL"
        assert_problem(await caller.decide(), 503, "NO_MODEL")
        assert_problem(await caller.trade(), 503, "NO_MODEL")
        refused = await caller.http.post("/v1/model/reload", headers=BEARER)
        assert_problem(refused, 404, "NO_MODEL")
        add_model(tmp_path)
        loaded = await caller.http.post("/v1/model/reload", headers=BEARER)
        assert loaded.json()["bit_equal"] is True
        assert (await caller.http.get("/readyz")).status_code == 200
        assert (await caller.decide()).status_code == 200

    tell(tmp_path, store, story)


def test_a_refused_model_leaves_the_old_one_trading(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        before = (await caller.decide()).json()["model_sha256"]
        weights = folder / "bundles" / "EURUSD.H1.barrier" / "paper" / "linear.onnx"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
        refused = await caller.http.post("/v1/model/reload", headers=BEARER)
        assert_problem(refused, 409, "MODEL_REFUSED")
        after = await caller.decide()
        assert after.json()["model_sha256"] == before
        assert (await caller.http.get("/readyz")).status_code == 200

    tell(folder, store, story)


def test_a_journal_that_cannot_be_written_is_unavailable_and_nothing_is_sent(
    folder: Path, store: Store
) -> None:
    async def story(caller: Caller) -> None:
        parts = caller.app.state.scorer.parts
        connection = parts.journal.inner._connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages}")
        while (answer := await caller.decide()).status_code == 200:
            pass
        assert_problem(answer, 503, "JOURNAL_UNAVAILABLE")
        assert_problem(await caller.trade(), 503, "JOURNAL_UNAVAILABLE")
        ready = (await caller.http.get("/readyz")).json()
        assert ready["parts"]["journal"]["code"] == "JOURNAL_UNAVAILABLE"
        assert (await caller.http.get("/v1/positions")).json()["positions"] == []
        connection.execute("PRAGMA max_page_count=1000000")
        assert (await caller.trade()).json()["reply"]["status"] == "filled"
        assert (await caller.http.get("/readyz")).status_code == 200

    tell(folder, store, story)
    assert verify(folder / "journal.db") > 0


def test_a_halt_that_cannot_be_journaled_is_in_force_all_the_same(
    folder: Path, store: Store
) -> None:
    async def story(caller: Caller) -> None:
        connection = caller.app.state.scorer.parts.journal.inner._connection
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages}")
        for path, body in (("/v1/decide", bar_body()), ("/v1/risk/resume", b"{}")):
            while (await caller.http.post(path, content=body, headers=BEARER)).status_code == 200:
                pass  # until not even a small record fits
        halt = b'{"reason": "the disk is full"}'
        answer = await caller.http.post("/v1/risk/halt", content=halt, headers=BEARER)
        assert_problem(answer, 503, "JOURNAL_UNAVAILABLE")
        connection.execute("PRAGMA max_page_count=1000000")
        assert "HALTED" in reasons(await caller.trade())

    tell(folder, store, story)


def test_in_live_mode_a_model_without_a_certificate_is_not_even_loaded(
    folder: Path, store: Store
) -> None:
    trusted = Signers().publish(folder / "trust")
    models = {"kind": "folder", "root": folder / "bundles", "trust": trusted}

    async def story() -> None:
        changes = {"mode": "live", "clock": {"kind": "system"}, "models": models}
        async with calling(make_settings(folder, store.socket, **changes)) as caller:
            assert_problem(await caller.trade(), 503, "NO_MODEL")
            assert_problem(await caller.move(), 404, "NOT_FOUND")

    asyncio.run(story())


def test_a_step_back_in_time_or_of_an_unknown_symbol_is_refused(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        backwards = await caller.move(upcoming=make_bar(BAR_NS - HOUR_NS))
        assert backwards.status_code == 422
        body = msgspec.json.encode({"symbol": "NOSUCH", "upcoming": make_bar()})
        unknown = await caller.http.post("/v1/simulator/bar", content=body, headers=BEARER)
        assert_problem(unknown, 404, "UNKNOWN_SYMBOL")
        before = (await caller.http.get("/v1/positions")).json()["quote"]
        torn = await caller.move(make_bar(BAR_NS, 1.2), make_bar(BAR_NS))
        assert torn.status_code == 422
        upside_down = {**msgspec.to_builtins(make_bar()), "bid_high": 1.0}
        body = msgspec.json.encode({"symbol": "EURUSD", "finished": upside_down})
        impossible = await caller.http.post("/v1/simulator/bar", content=body, headers=BEARER)
        assert_problem(impossible, 422, "INVALID_MARKET_DATA")
        assert (await caller.http.get("/v1/positions")).json()["quote"] == before

    tell(folder, store, story)


def test_stops_end_a_position_and_the_fill_is_journaled_once(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        await caller.trade()
        crash = msgspec.structs.replace(make_bar(), ask_high=1.2, bid_high=1.1999)
        later = BAR_NS + HOUR_NS
        await caller.move(crash, make_bar(later))
        store.push(stamps_ns=(later, later))
        await asyncio.gather(*(caller.decide(later) for _ in range(8)))

    tell(folder, store, story)
    deals = [r for r in iterate(folder / "journal.db") if isinstance(r, DealRecord)]
    assert [deal.deal.reason for deal in deals] == ["expert", "stop"]


def test_a_position_is_closed_when_its_time_is_out(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        await caller.trade()
        later = BAR_NS + 6 * HOUR_NS
        await caller.move(make_bar(), make_bar(later))
        answer = (await caller.trade(later)).json()
        assert answer["action"] == "close"
        assert answer["reply"]["status"] == "filled"
        assert (await caller.http.get("/v1/positions")).json()["positions"] == []

    tell(folder, store, story)


def test_limits_that_allow_less_are_in_force(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        assert reasons(await caller.trade()) == {"SPREAD_TOO_WIDE"}

    limits = msgspec.to_builtins(make_limits(max_spread_points=9.0))
    tell(folder, store, story, limits=limits)


def test_two_runs_over_the_same_facts_journal_the_same_bytes(tmp_path: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        await caller.trade()
        await caller.trade()

    found = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        add_model(folder)
        store.push()
        tell(folder, store, story)
        found.append([encode_record(record) for record in iterate(folder / "journal.db")])
    assert found[0] == found[1]
