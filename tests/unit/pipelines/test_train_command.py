"""`sextant train`: what is asked wrongly is told before any server is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.cli import run
from pipelines.commands import flows

pytestmark = pytest.mark.usefixtures("own_environment")


@pytest.mark.parametrize("schedule", ["x y", "99 4 * * 6", "* * *"])
def test_a_schedule_that_is_none_starts_nothing(
    schedule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["up", "--retrain", schedule, "--home", str(tmp_path / "home")]) == 2
    assert f"such as '0 4 * * 6', or '', got {schedule!r}" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (["--symbol", "NOSUCH"], "unknown symbol 'NOSUCH'"),
        (["--family", "oracle"], "oracle"),
        (["--window", "rolling:many"], "rolling:many"),
        (["--target", "moon"], "moon"),
        (["--slippage", "-1"], "'--slippage'"),
        (["--slippage", "1.5"], "'--slippage'"),
        (["--slippage", "nan"], "'--slippage'"),
        (["--slipage", "4"], "--slipage"),
        (["--swap", "-3.8", "much"], "'--swap'"),
        (["--swap", "-3.8"], "'--swap'"),
        (["--timeframe", "H2"], "unknown timeframe 'H2'"),
        (["--since", "2018-01-01", "--until", "2018-01-01"], "--until must be after --since"),
        (["--features", "defaul"], "the catalogue has default"),
        (["--features", "qqq"], "the catalogue has default, returns, trend, "),
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


@pytest.mark.parametrize("wrong", [("--slippage", "-1"), ("--slippage", "nan"), ("--slipage", "4")])
def test_a_backtest_is_refused_a_slippage_that_cannot_be(
    wrong: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", "--home", str(tmp_path / "home"), *wrong]) != 0
    told = capsys.readouterr().err
    assert wrong[0] in told
