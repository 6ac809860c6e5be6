"""Journal against broker in a running scorer: told everywhere, and nothing is entered meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from online.adapters.sqlite_journal import iterate
from online.domain.record import HaltRecord, ReconciliationRecord
from online.simulator import constants as mt5
from online.simulator.trade_tuples import TradeRequest
from tests.scorers import BEARER, Caller, Store, reasons, tell

pytestmark = pytest.mark.integration
BY_HAND = TradeRequest(
    mt5.TRADE_ACTION_DEAL, symbol="EURUSD", volume=0.1, type_filling=mt5.ORDER_FILLING_IOC
)


def test_somebody_elses_trade_halts_and_is_told_by_api_readiness_and_metrics(
    folder: Path, store: Store
) -> None:
    async def story(caller: Caller) -> None:
        told = (await caller.http.get("/v1/reconciliation")).json()
        assert (told["agreed"], told["findings"]) == (True, [])
        terminal = caller.app.state.scorer.parts.simulation.terminal
        assert terminal.execute(BY_HAND).retcode == mt5.TRADE_RETCODE_DONE
        refused = await caller.trade()
        assert reasons(refused) >= {"HALTED", "NOT_RECONCILED", "FOREIGN_POSITION"}

        told = (await caller.http.get("/v1/reconciliation")).json()
        kinds = {finding["kind"] for finding in told["findings"]}
        assert kinds == {"FOREIGN_DEAL", "FOREIGN_POSITION"}
        ready = await caller.http.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["parts"]["reconciliation"]["code"] == "NOT_RECONCILED"
        assert ready.json()["halted"].startswith("reconciliation: FOREIGN_DEAL")
        metrics = (await caller.http.get("/metrics")).text
        assert "sextant_reconciled 0.0" in metrics
        assert 'sextant_reconciliation_findings{kind="FOREIGN_POSITION"} 1.0' in metrics
        assert "sextant_halted 1.0" in metrics
        await caller.http.post("/v1/risk/resume", json={}, headers=BEARER)  # somebody looked
        assert (await caller.http.get("/v1/reconciliation")).json()["agreed"]
        refused = await caller.trade()
        assert reasons(refused) == {"FOREIGN_POSITION", "POSITION_OPEN"}

    tell(folder, store, story)
    records = list(iterate(folder / "journal.db"))
    assert [r.by for r in records if isinstance(r, HaltRecord) and r.reason] == ["reconciliation"]
    assert any(r.findings for r in records if isinstance(r, ReconciliationRecord))
