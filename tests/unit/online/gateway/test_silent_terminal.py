"""A terminal that does not tell something: which is never the same as nothing being there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest

from online.domain.errors import Unavailable
from online.domain.market import Instrument, Quote
from online.gateway.evidence import Evidence
from online.gateway.market_desk import Health, MarketDesk
from online.gateway.terminal import Terminal
from online.gateway.terminal_choice import SimulatedChoice, connect
from online.gateway.translation import Translation
from online.simulator import constants as mt5
from online.simulator.client import ClientTerminal
from online.simulator.metatrader5 import SimulatedMetaTrader5
from online.simulator.server_time import ServerTime
from online.simulator.terminal import SimulatedTerminal
from tests.gateway_world import entry

pytestmark = pytest.mark.lean
ACCOUNT = (1_000_001, "Simulated-Demo")
EURUSD = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0)
NOW_NS = 1_751_328_000_000_000_000
BROKEN, FAILED = mt5.RES_E_INTERNAL_FAIL_RECEIVE, mt5.RES_E_FAIL
Asking = Callable[[MarketDesk], object]
TOLD_BY: dict[str, Asking] = {
    "positions_get": lambda desk: desk.observe("EURUSD", 0),
    "account_info": lambda desk: desk.statement(0, 0),
    "history_deals_get": lambda desk: desk.statement(0, 0),
    "orders_get": lambda desk: desk.search(entry(1), NOW_NS),
    "history_orders_get": lambda desk: desk.search(entry(1), NOW_NS),
    "terminal_info": lambda desk: desk.health("EURUSD"),
}


class Silent:
    """The simulated package, of which one function tells nothing, once."""

    def __init__(self, silent: str, code: int) -> None:
        terminal = SimulatedTerminal([EURUSD])
        self._package = SimulatedMetaTrader5(ClientTerminal(terminal))
        self._silent, self._code = silent, code
        connect(cast("Terminal", self._package), SimulatedChoice())
        terminal.on_quote(Quote("EURUSD", 1.1, 1.1002, NOW_NS))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the package has
        if name == self._silent:
            self._silent = ""
            return lambda *_, **__: None
        if name == "last_error":
            return lambda: (self._code, "no answer")
        return getattr(self._package, name)


class Floor:
    def __init__(self, silent: str, code: int) -> None:
        terminal = cast("Terminal", Silent(silent, code))
        self.reconnected = 0
        self.desk = MarketDesk(terminal, ACCOUNT, Translation({}, ServerTime()), self.reconnect)

    def reconnect(self) -> None:
        self.reconnected += 1


@pytest.mark.parametrize("function", TOLD_BY)
def test_a_broken_pipe_is_made_anew_and_the_next_question_is_answered(function: str) -> None:
    floor, ask = Floor(function, BROKEN), TOLD_BY[function]
    with pytest.raises(Unavailable, match="the pipe to the terminal broke") as caught:
        ask(floor.desk)
    assert caught.value.code == "TERMINAL_UNAVAILABLE"
    assert floor.reconnected == 1
    ask(floor.desk)
    assert floor.reconnected == 1


@pytest.mark.parametrize("function", ["account_info", "history_deals_get"])
def test_an_account_that_is_told_in_part_is_not_told(function: str) -> None:
    floor = Floor(function, FAILED)
    with pytest.raises(Unavailable, match="does not tell the account"):
        floor.desk.statement(0, 0)
    assert floor.reconnected == 0


def test_positions_that_are_not_told_are_unknown_and_not_none() -> None:
    seen = Floor("positions_get", FAILED).desk.observe("EURUSD", 0)
    assert (seen.positions, seen.orders) == (None, ())


@pytest.mark.parametrize("function", ["orders_get", "history_orders_get", "positions_get"])
def test_a_search_in_which_something_is_not_told_proves_no_absence(function: str) -> None:
    found = Floor(function, FAILED).desk.search(entry(1), NOW_NS)
    assert found == Evidence(None, resting=False, connected=False)


@pytest.mark.parametrize("function", ["account_info", "history_deals_get", "terminal_info"])
def test_absence_counts_for_nothing_where_account_history_or_server_is_untold(
    function: str,
) -> None:
    found = Floor(function, FAILED).desk.search(entry(1), NOW_NS)
    assert (found.reply, found.connected) == (None, False)


@pytest.mark.parametrize("function", ["account_info", "terminal_info"])
def test_a_terminal_that_tells_nothing_of_itself_is_not_healthy(function: str) -> None:
    health = Floor(function, FAILED).desk.health("EURUSD")
    assert health == Health(connected=False, trade_allowed=False, quote_age_seconds=None)
