from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from online.domain.market import Bar, Timeframe
from pipelines.cli import run
from pipelines.follow import Followed
from pipelines.follow_report import read_followers, telling
from pipelines.home import Home
from pipelines.push import PushReceipt

NOON_NS = 1_400_000_400_000_000_000


def test_a_follower_tells_since_when_it_runs_and_its_last_bars(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path)
    bar = Bar(NOON_NS, 1.1, 1.1, 1.1, 1.1, 1.0)
    with telling(home, Timeframe.M1.value, ["EURUSD", "GBPUSD"], NOON_NS - 10) as teller:
        (only,) = read_followers(home)
        assert [each.closed_at_ns for each in only.report.bars] == [None, None]
        teller.tell([Followed("EURUSD", bar, PushReceipt(NOON_NS, (), ()))], NOON_NS + 10)
        teller.tell([], NOON_NS + 20, "GATEWAY_DOWN: it does not answer")
        (only,) = read_followers(home)
        assert only.running
        assert (only.report.since_ns, only.report.looked_at_ns) == (NOON_NS - 10, NOON_NS + 20)
        assert only.report.bars[0].closed_at_ns == NOON_NS
        assert only.report.bars[0].served
        assert only.report.bars[1].closed_at_ns is None
        assert run(["status", "--home", str(tmp_path)]) == 1, "no platform is ready here"
        shown = capsys.readouterr().out
        assert "GATEWAY_DOWN" in shown
        assert "2014-05-13 17:00:00" in shown
        run(["status", "--home", str(tmp_path), "--json"])
        told = json.loads(capsys.readouterr().out)["followers"]
        assert told == [json.loads(msgspec.json.encode(only))]
    assert read_followers(home) == ()
    assert run(["status", "--home", str(tmp_path)]) == 2
    assert "no platform runs here" in capsys.readouterr().err


def test_a_follower_that_was_killed_is_told_apart_and_swept_away_by_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path)
    with telling(home, "M1", ["EURUSD"], NOON_NS):
        (file,) = home.run.glob("follow-*.json")
        left = file.read_bytes()
    (home.run / "follow-0.json").write_bytes(left)
    (dead,) = read_followers(home)
    assert not dead.running
    run(["status", "--home", str(tmp_path)])
    assert "was killed" in capsys.readouterr().out
    with telling(home, "M1", ["EURUSD"], NOON_NS):
        assert [each.running for each in read_followers(home)] == [True]
