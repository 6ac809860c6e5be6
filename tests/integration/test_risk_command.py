"""`sextant risk` against a running scorer."""

from __future__ import annotations

import io
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from online.adapters.sqlite_journal import iterate
from online.domain.record import HaltRecord
from pipelines.cli import run
from tests.scorer_process import serving
from tests.scorers import Store

pytestmark = pytest.mark.integration


def test_the_ladder_is_climbed_and_left_from_the_command_line(
    folder: Path,
    store: Store,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    with serving(folder, store) as server:
        place = ["--url", server.url, "--token", str(folder / "token")]

        def risk(*arguments: str) -> int:
            return run(["risk", *arguments, *place])

        def told(*arguments: str) -> Any:  # noqa: ANN401 - JSON
            assert risk(*arguments, "--json") == 0
            return json.loads(capsys.readouterr().out)

        server.enter()
        assert told("reduce", "odd spreads", "--by", "ann")["reason"] == "odd spreads"
        assert told("resume", "--by", "ann")["state"] == "active"
        assert told("status")["limits"]["max_volume_lots"] == 1.0
        assert told("reload") == {"changes": []}
        os.kill(server.process.pid, signal.SIGHUP)  # read anew, not ended
        assert risk("flatten", "storm") == 130  # somebody said no
        first = told("flatten", "storm", "--yes", "--id", "leave-1")
        assert first["risk"]["state"] == "halted"
        assert told("flatten", "storm", "--yes", "--id", "leave-1")["carried"] == first["carried"]
        assert risk("flatten", "storm", "--yes") == 0
        said = capsys.readouterr()
        assert "Flattening, id flatten-" in said.err, "who lost the answer can ask again"
        assert "0 closed or cancelled." in said.out
        assert risk("reduce", "a little") == 1
        assert "STATE_IS_STRICTER" in capsys.readouterr().err
        assert risk("status") == 0
        shown = capsys.readouterr().out
        assert "Trading is halted: flatten: storm." in shown
        assert "max volume lots of NSXUSD" in shown
        assert risk("reload") == 0
        assert risk("halt", "stay") == 0
        assert server.get("/v1/positions").json()["positions"] == []
    halts = [r for r in iterate(folder / "journal.db") if isinstance(r, HaltRecord)]
    storms = ["flatten: storm"] * 3
    assert [r.reason for r in halts] == ["odd spreads", "", *storms, "stay"]
