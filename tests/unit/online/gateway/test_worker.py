"""What a worker learns of the account before any errand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from online.domain.errors import Unavailable
from online.gateway.errands import Result, Setup, Trouble
from online.gateway.frames import FrameReader, FrameWriter
from online.gateway.request import OrderRules
from online.gateway.terminal_choice import SimulatedChoice
from online.gateway.worker import greet
from online.simulator import constants as mt5
from online.simulator.rules import AccountRules
from online.simulator.server_time import UTC
from tests.conftest import REPOSITORY
from tests.unit.online.simulator.world import World

pytestmark = pytest.mark.lean


@pytest.mark.parametrize(
    ("trade_mode", "real"),
    [
        (mt5.ACCOUNT_TRADE_MODE_DEMO, False),
        (mt5.ACCOUNT_TRADE_MODE_CONTEST, False),
        (mt5.ACCOUNT_TRADE_MODE_REAL, True),
        (99, True),
    ],
)
def test_money_is_real_unless_the_terminal_says_demo_or_contest(
    trade_mode: int,
    real: bool,  # noqa: FBT001 - a test's parameter
) -> None:
    world = World(account=AccountRules(trade_mode=trade_mode))
    told = greet(world.mt5)
    assert (told.login, told.real) == (world.client.login, real)


def test_a_worker_that_cannot_note_what_it_sends_never_says_that_it_is_ready(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("")
    setup = Setup(
        role="orders",
        terminal=SimulatedChoice(),
        symbols={},
        server_time=UTC,
        rules=OrderRules(),
        lock="",
        note=str(tmp_path / "file" / "orders.calls"),
    )
    command = [sys.executable, "-m", "online.gateway.worker"]
    asked = FrameWriter().pack(setup)
    ended = subprocess.run(command, cwd=REPOSITORY, input=asked, capture_output=True, check=False)
    said: FrameReader[Result] = FrameReader(Result, 10_000)
    (told,) = said.feed(ended.stdout)
    assert isinstance(told, Trouble)
    assert "cannot hold an order's calls" in told.message
    assert ended.returncode == 1


def test_a_terminal_that_tells_no_account_is_not_served() -> None:
    world = World()
    world.mt5.shutdown()
    with pytest.raises(Unavailable, match="tells no account"):
        greet(world.mt5)
