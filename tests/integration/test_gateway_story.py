"""The whole story of an order under every accident, from journal to terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from online.adapters.sqlite_journal import iterate
from online.domain.order import OrderStatus
from online.domain.record import ResultRecord
from tests.gateway_crashes import SCENARIOS, Harness
from tests.gateway_world import running_terminal, running_world

pytestmark = pytest.mark.integration


def test_every_order_has_one_deal_or_none_whatever_dies(tmp_path: Path) -> None:
    with running_terminal() as terminal, running_world(tmp_path, terminal, heartbeat=1.0) as world:
        harness = Harness(world, terminal)
        for scenario in SCENARIOS:
            harness.run(scenario)
        verdict = harness.judge()
    assert (verdict.lost, verdict.doubled, verdict.unresolved) == (0, 0, 0)
    assert verdict.runs == len(SCENARIOS)
    assert len(SCENARIOS) // 2 < verdict.filled < len(SCENARIOS)


def test_reply_lost_after_the_fill_is_unknown_first_and_then_found(tmp_path: Path) -> None:
    with running_terminal() as terminal, running_world(tmp_path, terminal, heartbeat=1.0) as world:
        harness = Harness(world, terminal)
        harness.run("terminal reply_lost")
        results = [r for r in iterate(harness.journal) if isinstance(r, ResultRecord)]
    assert [r.reply.status for r in results] == [OrderStatus.UNKNOWN, OrderStatus.FILLED]
    assert results[0].intent_id == results[1].intent_id
