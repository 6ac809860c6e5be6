"""Risk over the API: the kill ladder latched over restarts, and limits changed while it runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from online.adapters.sqlite_journal import iterate
from online.domain.errors import InvalidSettings, Unavailable
from online.domain.limits import Limits
from online.domain.order import Intent, OrderReply
from online.domain.record import HaltRecord, LimitsRecord, OperationRecord
from online.domain.trading_state import TradingState
from online.ports import Observation
from tests.fakes import BAR_NS, HOUR_NS, make_limits
from tests.scorers import (
    BEARER,
    Caller,
    Store,
    assert_problem,
    calling,
    make_bar,
    make_settings,
    reasons,
    tell,
)

pytestmark = pytest.mark.integration


class StatedLimits:
    """Limits that are stated by the test; a fault is raised instead of them."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.fault: InvalidSettings | None = None
        self.number = 0

    def read(self) -> Limits:
        if self.fault is not None:
            raise self.fault
        return self.limits

    def stamp(self) -> tuple[object, ...]:
        return (self.number,)


async def post(caller: Caller, path: str, **body: Any) -> httpx.Response:  # noqa: ANN401 - JSON
    """Ask for a rung of the ladder."""
    return await caller.http.post(path, content=json.dumps(body), headers=BEARER)


async def next_bar(caller: Caller, hours: int) -> int:
    """Open the bar so many hours on; return its opening, which closes the one before."""
    at_ns = BAR_NS + hours * HOUR_NS
    await caller.move(upcoming=make_bar(at_ns))
    return at_ns


def test_reducing_refuses_entries_and_only_resuming_lifts_it(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        answer = (await post(caller, "/v1/risk/reduce", reason="leave", by="ann")).json()
        assert (answer["state"], answer["reason"]) == ("reducing", "leave")
        assert reasons(await caller.trade()) == {"REDUCING"}
        assert (await post(caller, "/v1/risk/resume", by="ann")).json()["state"] == "active"
        assert (await caller.trade()).json()["reply"]["status"] == "filled"

    tell(folder, store, story)
    halts = [r for r in iterate(folder / "journal.db") if isinstance(r, HaltRecord)]
    assert [(r.trading, r.reason) for r in halts] == [
        (TradingState.REDUCING, "leave"),
        (TradingState.ACTIVE, ""),
    ]
    assert all(r.by.startswith("ann (api ") for r in halts)


def test_the_ladder_climbs_and_never_steps_down_by_itself(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        await post(caller, "/v1/risk/halt", reason="stop")
        refused = await post(caller, "/v1/risk/reduce", reason="a little")
        assert_problem(refused, 409, "STATE_IS_STRICTER")
        assert (await caller.http.get("/v1/risk")).json()["state"] == "halted"

    tell(folder, store, story)


def test_a_state_outlives_the_scorer(folder: Path, store: Store) -> None:
    async def reduce(caller: Caller) -> None:
        await post(caller, "/v1/risk/reduce", reason="leave")

    async def look(caller: Caller) -> None:
        risk = (await caller.http.get("/v1/risk")).json()
        assert (risk["state"], risk["reason"]) == ("reducing", "leave")
        assert reasons(await caller.trade()) == {"REDUCING"}

    tell(folder, store, reduce)
    tell(folder, store, look)


def test_flatten_halts_and_closes_everything(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        assert (await caller.trade()).json()["reply"]["status"] == "filled"
        answer = (await post(caller, "/v1/risk/flatten", reason="storm", by="bob")).json()
        assert answer["risk"]["state"] == "halted"
        assert [each["reply"]["status"] for each in answer["carried"]] == ["filled"]
        assert (await caller.http.get("/v1/positions")).json()["positions"] == []
        bar_ns = await next_bar(caller, 1)
        assert "HALTED" in reasons(await caller.trade(bar_ns))
        again = (await post(caller, "/v1/risk/flatten", reason="storm")).json()
        assert again["carried"] == []

    tell(folder, store, story)
    records = list(iterate(folder / "journal.db"))
    halt = next(r for r in records if isinstance(r, HaltRecord))
    closing = next(r for r in records if isinstance(r, OperationRecord))
    assert records.index(halt) < records.index(closing)
    assert halt.reason == "flatten: storm"
    assert closing.by.startswith("bob")


def test_a_flatten_whose_answer_was_lost_is_the_same_under_its_id(
    folder: Path, store: Store
) -> None:
    async def story(caller: Caller) -> None:
        assert (await caller.trade()).json()["reply"]["status"] == "filled"
        asked = {"reason": "storm", "client_id": "leave-1"}
        first = (await post(caller, "/v1/risk/flatten", **asked)).json()
        assert [each["reply"]["status"] for each in first["carried"]] == ["filled"]
        await post(caller, "/v1/risk/resume")
        bar_ns = await next_bar(caller, 1)
        store.push(stamps_ns=(bar_ns, bar_ns))
        assert (await caller.trade(bar_ns)).json()["reply"]["status"] == "filled"
        again = (await post(caller, "/v1/risk/flatten", **asked)).json()
        assert again["risk"]["state"] == "halted", "it lets nothing through, whoever resumed"
        assert again["carried"] == first["carried"]
        held = (await caller.http.get("/v1/positions")).json()["positions"]
        assert len(held) == 1, "what was opened since is another flatten's"
        other = {**asked, "client_id": "leave-2"}
        assert len((await post(caller, "/v1/risk/flatten", **other)).json()["carried"]) == 1
        wrong = await post(caller, "/v1/risk/flatten", reason="storm", client_id="a b")
        assert wrong.status_code == 400

    tell(folder, store, story)
    operations = [r for r in iterate(folder / "journal.db") if isinstance(r, OperationRecord)]
    assert [r.decision_id.rpartition(".")[0] for r in operations] == ["op-leave-1", "op-leave-2"]


def test_of_two_flattens_at_once_the_position_is_closed_by_one(folder: Path, store: Store) -> None:
    async def story(caller: Caller) -> None:
        assert (await caller.trade()).json()["reply"]["status"] == "filled"
        asked = (post(caller, "/v1/risk/flatten", reason=f"storm {n}") for n in range(2))
        answers = [answer.json() for answer in await asyncio.gather(*asked)]
        carried = [each["reply"]["status"] for answer in answers for each in answer["carried"]]
        assert carried == ["filled"]
        assert (await caller.http.get("/v1/positions")).json()["positions"] == []

    tell(folder, store, story)
    operations = [r for r in iterate(folder / "journal.db") if isinstance(r, OperationRecord)]
    assert len(operations) == 1


@pytest.mark.parametrize("path", ["/v1/risk/flatten", "/v1/orders/close-all"])
def test_a_terminal_that_goes_down_once_all_is_closed_is_no_error(
    folder: Path, store: Store, path: str
) -> None:
    async def story(caller: Caller) -> None:
        assert (await caller.trade()).json()["reply"]["status"] == "filled"
        parts = caller.app.state.scorer.parts
        broker = parts.broker.inner
        sending, observing = broker.send, broker.observe

        async def silent(*_: object, **__: object) -> Observation:
            raise Unavailable("the terminal is down")

        async def send_and_go_down(intent: Intent) -> OrderReply:
            reply: OrderReply = await sending(intent)
            broker.observe = silent
            return reply

        broker.send = send_and_go_down
        body = {"reason": "storm"} if "risk" in path else {"client_id": "a", "confirm": True}
        answer = await post(caller, path, **body)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        done = told.get("carried", told.get("operations"))
        assert [each["reply"]["status"] for each in done] == ["filled"]
        assert told["left_alone"] == []
        broker.observe = observing

    tell(folder, store, story)


@pytest.mark.parametrize("rung", ["reduce", "halt", "flatten"])
def test_a_rung_needs_the_token_and_a_reason(folder: Path, store: Store, rung: str) -> None:
    async def story(caller: Caller) -> None:
        bare = await caller.http.post(f"/v1/risk/{rung}", content=b'{"reason": "x"}')
        assert bare.status_code == 401
        assert_problem(await post(caller, f"/v1/risk/{rung}", reason=""), 400, "INVALID_FIELD")
        assert (await caller.http.get("/v1/risk")).json()["state"] == "active"

    tell(folder, store, story)


def test_changed_limits_are_in_force_and_journaled_with_who_and_what(
    folder: Path, store: Store
) -> None:
    source = StatedLimits(make_limits())

    async def story() -> None:
        async with calling(make_settings(folder, store.socket), source) as caller:
            await caller.move(upcoming=make_bar())
            source.limits = make_limits(max_volume_lots=0.05)
            answer = await post(caller, "/v1/limits/reload", by="ann")
            assert answer.json()["changes"] == [
                {"name": "max_volume_lots", "before": "1.0", "after": "0.05"}
            ]
            assert (await caller.trade()).json()["intent"]["volume_lots"] == 0.05
            assert (await post(caller, "/v1/limits/reload", by="ann")).json() == {"changes": []}

    asyncio.run(story())
    records = [r for r in iterate(folder / "journal.db") if isinstance(r, LimitsRecord)]
    assert [r.by.partition(" ")[0] for r in records] == ["start", "ann"]
    assert records[1].changes == {"max_volume_lots": (1.0, 0.05)}
    assert records[1].previous == make_limits()


def test_wrong_limits_are_refused_loudly_and_the_old_ones_stay(folder: Path, store: Store) -> None:
    source = StatedLimits(make_limits())

    async def story() -> None:
        async with calling(make_settings(folder, store.socket), source) as caller:
            await caller.move(upcoming=make_bar())
            source.fault = InvalidSettings("limit max_volume_lots must be above 0")
            assert_problem(await post(caller, "/v1/limits/reload"), 422, "INVALID_SETTINGS")
            risk = (await caller.http.get("/v1/risk")).json()
            assert risk["limits"]["max_volume_lots"] == 1.0
            assert "max_volume_lots" in risk["limits_refused"]
            ready = (await caller.http.get("/readyz")).json()
            assert ready["parts"]["limits"]["code"] == "INVALID_SETTINGS"
            assert "sextant_limits_refused 1.0" in (await caller.http.get("/metrics")).text
            assert (await caller.trade()).json()["reply"]["status"] == "filled"
            source.fault = None
            await post(caller, "/v1/limits/reload")
            assert (await caller.http.get("/v1/risk")).json()["limits_refused"] == ""

    asyncio.run(story())
    records = [r for r in iterate(folder / "journal.db") if isinstance(r, LimitsRecord)]
    assert len(records) == 1


@pytest.mark.parametrize("way", ["file", "signal"])
def test_limits_are_read_anew_when_their_file_changes_or_on_a_signal(
    folder: Path, store: Store, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = StatedLimits(make_limits())
    monkeypatch.setattr("online.api.safety.LOOK_EVERY_SECONDS", 0.01)

    async def story() -> None:
        async with calling(make_settings(folder, store.socket), source) as caller:
            source.limits = make_limits(max_volume_lots=0.05)
            if way == "file":
                source.number += 1
            else:
                os.kill(os.getpid(), signal.SIGHUP)
            async with asyncio.timeout(20):
                while True:
                    risk = (await caller.http.get("/v1/risk")).json()
                    if risk["limits"]["max_volume_lots"] == 0.05:
                        return
                    await asyncio.sleep(0.005)  # polling; the deadline above ends it

    asyncio.run(story())
    records = [r for r in iterate(folder / "journal.db") if isinstance(r, LimitsRecord)]
    assert [r.by for r in records] == ["start", way]


def test_limits_that_differ_from_the_last_run_are_told_at_the_start(
    folder: Path, store: Store
) -> None:
    async def nothing(caller: Caller) -> None:
        assert (await caller.http.get("/healthz")).is_success

    tell(folder, store, nothing)
    changed = {"limits": {**_builtins(), "max_volume_lots": 0.5}}
    tell(folder, store, nothing, **changed)
    records = [r for r in iterate(folder / "journal.db") if isinstance(r, LimitsRecord)]
    assert records[-1].changes == {"max_volume_lots": (1.0, 0.5)}


def _builtins() -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(make_limits())
    return told


def test_a_news_file_that_breaks_while_it_runs_vetoes_entries_and_is_told_by_readiness(
    folder: Path, store: Store
) -> None:
    news = folder / "news.csv"
    news.write_text("starts_at,ends_at,subject,impact,name\n")

    async def story(caller: Caller) -> None:
        news.write_text("half a fi")
        await caller.app.state.scorer.news_watch.look()
        assert "NEWS_UNAVAILABLE" in reasons(await caller.trade())
        ready = await caller.http.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["parts"]["news"]["code"] == "INVALID_NEWS_CALENDAR"

    tell(folder, store, story, news={"kind": "file", "path": news})
