"""`sextant train`: what is asked wrongly is told before any server is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.cli import run
from pipelines.commands import flows

pytestmark = pytest.mark.usefixtures("own_environment")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--symbol", "NOSUCH"], "unknown symbol 'NOSUCH'"),
        (["--family", "oracle"], "oracle"),
        (["--window", "rolling:many"], "rolling:many"),
        (["--target", "moon"], "moon"),
    ],
)
def test_a_wrong_argument_costs_no_start_of_servers(
    wrong: list[str],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("servers were started")

    monkeypatch.setattr(flows, "flow_servers", refuse)
    assert run(["train", "--home", str(tmp_path / "home"), *wrong]) != 0
    assert told in capsys.readouterr().err
