from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from online.domain.daylight import DaylightSaving
from online.domain.errors import InvalidInput, InvalidMarketData, Unavailable
from online.domain.market import Timeframe
from online.gateway.price_desk import (
    BARS_PER_PAGE,
    TICKS_PER_PAGE,
    PricePage,
    ServerBar,
    ServerTick,
)
from online.simulator.server_time import ServerTime
from pipelines.sources.clock import find_clock
from pipelines.sources.terminal_link import TerminalLink, clock_of, prove_clock
from pipelines.sources.terminal_ticks import TerminalTicksConfig, TickReader, read_days

SUMMER_NS = 1_751_328_000_000_000_000
NEW_YORKS = ServerTime(2, DaylightSaving.AMERICA)
UTC_SERVER = ServerTime()


def page(age_seconds: float) -> PricePage:
    stamp_ns = NEW_YORKS.to_server_ns(SUMMER_NS - int(age_seconds * 1e9))
    return PricePage(NEW_YORKS, SUMMER_NS, stamp_ns // 1_000_000)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (ServerTime(), "UTC"),
        (ServerTime(-5), "UTC-05:00"),
        (NEW_YORKS, "broker-us"),
        (ServerTime(2, DaylightSaving.EUROPE), "broker-eu"),
        (ServerTime(0, DaylightSaving.EUROPE), "Europe/London"),
    ],
)
def test_a_servers_clock_is_called_as_sources_call_it(rule: ServerTime, name: str) -> None:
    assert find_clock(clock_of(rule)).name == name


def test_a_servers_clock_without_a_name_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        clock_of(ServerTime(7, DaylightSaving.AMERICA))
    assert refused.value.code == "UNKNOWN_CLOCK"


def test_a_fresh_tick_proves_the_clock_an_old_one_does_not_and_one_to_come_contradicts_it() -> None:
    assert "the newest tick is 2.0 s old by it" in prove_clock(page(2.0))
    assert "proves nothing" in prove_clock(page(7200.0))
    assert "no tick to prove it by" in prove_clock(PricePage(NEW_YORKS, SUMMER_NS, 0))
    with pytest.raises(InvalidMarketData) as refused:
        prove_clock(page(-3600.0))
    assert refused.value.code == "CLOCK_CONTRADICTED"


class Told:
    """A terminal's history, told page by page as a gateway does; a bar may close meanwhile."""

    def __init__(
        self, bars: int = 0, ticks: tuple[ServerTick, ...] = (), rule: ServerTime = UTC_SERVER
    ) -> None:
        self.rule = rule
        self.closed = [60 * i for i in range(bars)]
        self.kept = ticks
        self.closes_meanwhile = False

    async def bars(self, _symbol: str, _length: Timeframe, position: int, count: int) -> PricePage:
        """Return bars by place from the end; place 0 is forming."""
        end = len(self.closed) + 1 - position
        wanted = [*self.closed, len(self.closed) * 60][max(end - count, 0) : end]
        rows = tuple(ServerBar(at, 1.1, 1.1, 1.1, 1.1, 1, 1) for at in wanted)
        if self.closes_meanwhile:
            self.closed.append(len(self.closed) * 60)
        return PricePage(self.rule, 0, 0, bars=rows)

    async def ticks(self, _symbol: str, since_seconds: int, count: int) -> PricePage:
        """Return ticks from a second on."""
        rows = [tick for tick in self.kept if tick.at_milliseconds >= 1000 * since_seconds]
        return PricePage(self.rule, 0, 0, ticks=tuple(rows[:count]))

    async def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("bars", [3, BARS_PER_PAGE, 2 * BARS_PER_PAGE + 1])
@pytest.mark.parametrize("meanwhile", [False, True])
def test_every_closed_bar_is_told_though_one_closes_meanwhile(bars: int, meanwhile: bool) -> None:  # noqa: FBT001 - pytest's
    told = Told(bars)
    told.closes_meanwhile = meanwhile
    with TerminalLink(told) as link:
        pages = list(link.bars("EURUSD", Timeframe.M1))
    opened = {row.opened_at_seconds for page in pages for row in page.bars}
    assert {60 * i for i in range(bars - 1)} <= opened


def test_pages_end_where_enough_is_told() -> None:
    with TerminalLink(Told(5 * BARS_PER_PAGE)) as link:
        since_ns = (3 * BARS_PER_PAGE + 5) * 60_000_000_000
        pages = list(link.bars("EURUSD", Timeframe.M1, since_ns))
    assert len(pages) == 2


def test_ticks_go_on_with_the_second_that_a_page_ended_in_and_are_told_once() -> None:
    ticks = tuple(ServerTick(250 * i, 1.1, 1.1 + i % 3, 6) for i in range(2 * TICKS_PER_PAGE))
    with TerminalLink(Told(ticks=ticks)) as link:
        assert len(list(link.ticks("EURUSD", 0))) == 3
        reader = TickReader(link, "EURUSD", 0)
        found = reader.read()
        assert found["at_ns"].tolist() == [250_000_000 * i for i in range(2 * TICKS_PER_PAGE)]
        assert reader.read().empty


def test_a_second_with_more_than_a_page_of_ticks_is_refused() -> None:
    ticks = tuple(ServerTick(5000 + i % 7, 1.1, 1.2, 6) for i in range(TICKS_PER_PAGE + 1))
    with TerminalLink(Told(ticks=ticks)) as link, pytest.raises(Unavailable) as refused:
        list(link.ticks("EURUSD", 0))
    assert refused.value.code == "TICKS_TOO_DENSE"


def test_ticks_told_later_of_a_second_already_read_are_new_and_the_others_are_not() -> None:
    told = Told(ticks=(ServerTick(5100, 1.1, 1.2, 6), ServerTick(5200, 1.1, 1.3, 4)))
    with TerminalLink(told) as link:
        reader = TickReader(link, "EURUSD", 0)
        assert len(reader.read()) == 2
        told.kept += (ServerTick(5200, 1.2, 1.3, 2), ServerTick(5200, 1.1, 1.3, 4))
        assert reader.read()[["at_ns", "bid"]].to_numpy().tolist() == [[5_200_000_000, 1.2]]
        assert reader.read().empty


def test_ticks_of_an_hour_that_the_clock_shows_twice_stay_with_their_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A market that never closes quotes in that hour, too; which one it was is not known."""
    rule = ServerTime(0, DaylightSaving.EUROPE)
    wall_ns = [
        pd.Timestamp(at).value
        for at in ("2025-10-26 00:30", "2025-10-26 01:30", "2025-10-26 03:00")
    ]
    told = Told(ticks=tuple(ServerTick(at // 1_000_000, 1.1, 1.2, 6) for at in wall_ns), rule=rule)
    monkeypatch.setattr(
        "pipelines.sources.terminal_ticks.open_link", lambda _config: TerminalLink(told)
    )
    config = TerminalTicksConfig(symbol="BTCUSD", since=datetime(2025, 10, 25, tzinfo=UTC))
    _, days = read_days(config)
    assert [day.source_file for day in days] == ["terminal-20251025", "terminal-20251026"]
    faults = [day.rows["fault"].tolist() for day in days]
    assert faults == [["", "AMBIGUOUS_LOCAL_TIME"], [""]], "with the tick that came before it"
