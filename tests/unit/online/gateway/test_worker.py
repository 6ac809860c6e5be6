"""What a worker learns of the account before any errand."""

from __future__ import annotations

import pytest

from online.domain.errors import Unavailable
from online.gateway.worker import greet
from online.simulator import constants as mt5
from online.simulator.rules import AccountRules
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


def test_a_terminal_that_tells_no_account_is_not_served() -> None:
    world = World()
    world.mt5.shutdown()
    with pytest.raises(Unavailable, match="tells no account"):
        greet(world.mt5)
