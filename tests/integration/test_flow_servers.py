"""Flows of a command run on a server of its own, which answers before they begin."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration


def test_a_flow_finds_its_server_ready_and_fails_by_name_when_it_goes_away(tmp_path: Path) -> None:
    own = {
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}",
        "PREFECT_CLIENT_MAX_RETRIES": "0",  # five take a minute to say it
    }
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.flows_on_own_servers", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**inherited, **own},
    )
    *early, gave, failed = done.stdout.splitlines() or [done.stderr]
    assert early == ["early: False"] * 6, done.stderr
    assert gave == "gave: 42"
    assert failed.startswith("failed: UNAVAILABLE Prefect's server at http://127.0.0.1:")
    assert done.returncode == 0
    assert "temporary server" not in done.stderr
    assert (tmp_path / "prefect" / "prefect.db").is_file()
    assert not (tmp_path / "run" / "platform.json").exists()
