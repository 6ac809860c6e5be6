"""Stores killed while an order is on its way: its fate is known, the copy equals the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from online.adapters.sqlite_journal import iterate, verify
from online.domain.reasons import Reason
from online.domain.record import DecisionRecord
from tests.gateway_crashes import STORE_SCENARIOS, Harness
from tests.gateway_world import running_terminal, running_world
from tests.store_crashes import running_stores

pytestmark = pytest.mark.integration
SOME = ("postgres after_send", "valkey before_read")


def test_an_order_survives_the_death_of_either_store_and_is_copied_once(tmp_path: Path) -> None:
    assert set(SOME) < set(STORE_SCENARIOS)
    with (
        running_stores(tmp_path) as stores,
        running_terminal() as terminal,
        running_world(tmp_path, terminal, heartbeat=1.0) as world,
    ):
        harness = Harness(world, terminal, stores)
        harness.run("nobody dies")
        stores.follow(harness.journal)
        for scenario in SOME:
            harness.run(scenario)
        verdict = harness.judge()
        assert verdict.faults == {}
        assert verdict.filled == verdict.runs == 1 + len(SOME)
        assert stores.copied(harness.journal) == verify(harness.journal)
    records = iterate(tmp_path / "journal.db")
    vetoes = [v.reason for r in records if isinstance(r, DecisionRecord) for v in r.vetoes]
    assert vetoes == [Reason.FEATURES_UNAVAILABLE]  # once, when Valkey was dead
