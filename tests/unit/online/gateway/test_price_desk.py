"""The price desk on the simulated package: names, clocks, pages and broken pipes."""

from __future__ import annotations

import pytest

from online.domain.errors import Unavailable
from online.domain.market import Instrument, Quote, Timeframe
from online.gateway.price_desk import PriceDesk
from online.gateway.terminal import Terminal
from online.gateway.terminal_choice import SimulatedChoice, connect
from online.gateway.translation import Translation
from online.simulator.client import ClientTerminal
from online.simulator.faults import Fault, FaultKind
from online.simulator.metatrader5 import SimulatedMetaTrader5
from online.simulator.rules import AccountRules
from online.simulator.server_time import HOUR_NS, ServerTime
from online.simulator.terminal import SimulatedTerminal

pytestmark = pytest.mark.lean

EURUSD_M = Instrument("EURUSD.m", "EUR", "USD", 5, 100_000.0)
JULY_NS = 1_751_328_000_000_000_000
MINUTE_NS = 60_000_000_000
ZONE = ServerTime(3)


class Floor:
    """A desk at a terminal whose broker has suffixes and a clock of its own."""

    def __init__(self) -> None:
        broker = SimulatedTerminal([EURUSD_M], rules=AccountRules(zone=ZONE))
        self.client = ClientTerminal(broker)
        self.package = SimulatedMetaTrader5(self.client)
        terminal: Terminal = self.package
        connect(terminal, SimulatedChoice())
        self.reconnected = 0
        names = Translation({"EURUSD": "EURUSD.m"}, ZONE)
        self.desk = PriceDesk(terminal, names, ZONE, self.reconnect)
        for minute in range(4):
            for later, price in ((0, 1.1), (30, 1.2)):
                at_ns = JULY_NS + minute * MINUTE_NS + later * 1_000_000_000
                broker.on_quote(Quote("EURUSD.m", price + minute, price + minute + 0.0002, at_ns))

    def reconnect(self) -> None:
        self.reconnected += 1
        connect(self.package, SimulatedChoice())


def test_closed_bars_are_told_by_place_with_the_servers_stamps() -> None:
    floor = Floor()
    page = floor.desk.bars("EURUSD", Timeframe.M1, 1, 2)
    server_seconds = (JULY_NS + 3 * HOUR_NS) // 1_000_000_000
    opened = [bar.opened_at_seconds - server_seconds for bar in page.bars]
    assert opened == [60, 120]
    newest = page.bars[-1]
    assert (newest.open, newest.high, newest.close) == (3.1, 3.2, 3.2)
    assert (newest.tick_volume, newest.spread_points) == (2, 20)
    assert page.server_time == ZONE
    assert page.newest_tick_milliseconds == server_seconds * 1000 + 210_000


def test_ticks_are_told_from_a_second_on_with_what_changed() -> None:
    floor = Floor()
    since = (JULY_NS + 3 * HOUR_NS + 2 * MINUTE_NS) // 1_000_000_000
    page = floor.desk.ticks("EURUSD", since, 3)
    assert [tick.at_milliseconds // 1000 - since for tick in page.ticks] == [0, 30, 60]
    assert {tick.flags for tick in page.ticks} == {6}, "bid and ask changed"
    assert not floor.desk.ticks("EURUSD", since + 3600, 3).ticks


def test_a_symbol_that_the_terminal_lacks_is_refused() -> None:
    with pytest.raises(Unavailable, match="symbol_select of GBPUSD") as refused:
        Floor().desk.ticks("GBPUSD", 0, 1)
    assert refused.value.code == "PRICES_UNAVAILABLE"


@pytest.mark.parametrize("call", ["copy_rates_from_pos", "copy_ticks_from", "symbol_select"])
def test_a_broken_pipe_is_made_anew_and_the_next_question_is_answered(call: str) -> None:
    floor = Floor()
    floor.client.faults.on(call, Fault(FaultKind.PIPE_BROKEN), 1)

    def ask() -> int:
        bars = floor.desk.bars("EURUSD", Timeframe.M1, 1, 1).bars
        return len(bars) + len(floor.desk.ticks("EURUSD", 0, 1).ticks)

    with pytest.raises(Unavailable) as broken:
        ask()
    assert broken.value.code == "TERMINAL_UNAVAILABLE"
    assert floor.reconnected == 1
    assert ask() == 2
