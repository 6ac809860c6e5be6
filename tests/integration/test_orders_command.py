"""`sextant orders` against a running scorer."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from online.adapters.sqlite_journal import iterate
from online.domain.record import OperationRecord
from pipelines.cli import run
from tests.scorer_process import serving
from tests.scorers import Store

pytestmark = pytest.mark.integration


def test_positions_are_listed_changed_closed_and_asked_about(
    folder: Path,
    store: Store,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    with serving(folder, store) as server:
        place = ["--url", server.url, "--token", str(folder / "token")]

        def orders(*arguments: str) -> int:
            return run(["orders", *arguments, *place])

        def told(*arguments: str) -> Any:  # noqa: ANN401 - JSON
            assert orders(*arguments) == 0
            return json.loads(capsys.readouterr().out)

        ticket = str(server.enter())
        (held,) = told("list", "--json")["positions"]
        capsys.readouterr()
        stop = str(round(held["stop"] - 0.0002, 5))
        assert orders("modify", ticket, "--stop", stop, "--by", "ann", "--note", "news") == 0
        assert orders("modify", ticket) == 2
        assert orders("trail", ticket, "--distance", "0.02") == 0
        assert orders("trail", ticket) == 2
        assert orders("trail", ticket, "--end") == 0
        assert orders("close", ticket, "--volume", "0.1", "--id", "part") == 0
        capsys.readouterr()
        assert told("show", "op-part")["order"]["stage"] == "filled"
        assert orders("close", "99") == 1
        assert "UNKNOWN_POSITION" in capsys.readouterr().err
        assert orders("cancel", "99") == 1
        assert orders("resolve", "op-part", "--status", "rejected", "--by", "a", "--note", "b") == 1
        assert "FATE_KNOWN" in capsys.readouterr().err
        assert orders("close-all") == 130  # somebody said no
        assert orders("close-all", "--yes", "--symbol", "GBPUSD") == 0
        assert orders("close-all", "--yes") == 0
        capsys.readouterr()
        assert told("list", "--json")["positions"] == []
        assert orders("list") == 0
        shown = capsys.readouterr().out
        assert "No position is open." in shown
        assert "op-part" in shown
    records = [r for r in iterate(folder / "journal.db") if isinstance(r, OperationRecord)]
    assert [type(r.operation).__name__ for r in records] == ["Modify", "Close", "Close"]
    assert records[0].note == "news"
