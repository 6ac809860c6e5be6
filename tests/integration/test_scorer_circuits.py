"""An outside system that is down: answered at once, told everywhere, and tried again by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from online.adapters.sqlite_journal import iterate
from online.domain.circuit_record import CircuitRecord
from tests.gateway_world import eventually
from tests.scorers import (
    Caller,
    add_model,
    calling,
    make_bar,
    make_settings,
    open_store,
    reasons,
    run,
)

pytestmark = pytest.mark.integration
BREAKERS = {"failures": 3, "cool_down_seconds": 0.05}


def test_a_store_that_dies_is_vetoed_at_once_and_used_again_when_it_is_back(
    tmp_path: Path,
) -> None:
    add_model(tmp_path)
    socket = tmp_path / "valkey.sock"

    async def circuit(caller: Caller) -> tuple[str, str]:
        part = (await caller.http.get("/readyz")).json()["parts"]["circuits"]
        return part["code"], part["detail"]

    async def story() -> None:
        async with calling(make_settings(tmp_path, socket, breakers=BREAKERS)) as caller:
            await caller.move(upcoming=make_bar())
            answers = await asyncio.gather(*(caller.decide() for _ in range(50)))
            assert all(reasons(each) == {"FEATURES_UNAVAILABLE"} for each in answers)
            code, detail = await circuit(caller)
            assert code == "CIRCUIT_OPEN"
            assert "features open" in detail or "features half_open" in detail
            metrics = (await caller.http.get("/metrics")).text
            assert 'sextant_circuit_opened_total{system="features"} 1.0' in metrics
            assert 'sextant_circuit_state{system="features"} 0.0' not in metrics
            with open_store(tmp_path) as store:
                store.push()

                async def decides() -> bool:
                    return "FEATURES_UNAVAILABLE" not in reasons(await caller.decide())

                await eventually(decides)
                assert (await circuit(caller)) == ("", "features closed")

    run(story)
    told = [r for r in iterate(tmp_path / "journal.db") if isinstance(r, CircuitRecord)]
    assert [(r.system, str(r.state), bool(r.trouble)) for r in told] == [
        ("features", "open", True),
        ("features", "closed", False),
    ]
