from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from online.domain.errors import Unavailable
from online.domain.market import PriceSide, Timeframe
from online.gateway.price_desk import PricePage, ServerTick
from pipelines.lake import Lake
from pipelines.live_bars import LiveBars
from pipelines.sources.raw import BAR_COLUMNS
from pipelines.sources.terminal_link import TerminalLink
from tests.unit.pipelines.test_terminal_link import Told

MINUTE = 60_000_000_000
BEGIN = pd.Timestamp("2026-11-18 10:00").value


def tick(seconds: float, bid: float) -> ServerTick:
    return ServerTick(int(BEGIN // 1_000_000 + seconds * 1000), bid, bid + 0.0001, 6)


def test_a_first_tick_of_another_scale_does_not_shut_out_all_that_follow(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    row = dict(zip(BAR_COLUMNS, (BEGIN, 1.1, 1.1, 1.1, 1.1, 6.0, 1.0), strict=True))
    lake.write_bars("EURUSD", Timeframe.M1, PriceSide.BID, pd.DataFrame([row]), "test")
    told = Told(ticks=(tick(1, 110.0),))
    with TerminalLink(told) as link:
        now_ns = BEGIN + 10_000_000_000
        bars = LiveBars(lake, link, "EURUSD", Timeframe.M1, lambda: now_ns)
        assert bars.read() == []
        told.kept += tuple(tick(2 + 10 * i, 1.1) for i in range(14))
        now_ns = BEGIN + 3 * MINUTE
        closed = bars.read()
    assert bars.left_out == {"WRONG_SCALE": 1}
    assert [bar.high for bar in closed] == [1.1], "the first one is left out, it may be a part"


def lake_with(folder: Path, closed_at_ns: int) -> Lake:
    """Return a lake whose one bar another feed has told."""
    lake = Lake(folder)
    row = dict(zip(BAR_COLUMNS, (closed_at_ns, 1.1, 1.1, 1.1, 1.1, 6.0, 1.0), strict=True))
    lake.write_bars("EURUSD", Timeframe.M1, PriceSide.BID, pd.DataFrame([row]), "test")
    return lake


MINUTES = tuple(tick(5 + 10 * i, 1.1) for i in range(19))
"""Ticks of three minutes and a little more."""


@pytest.mark.parametrize(
    ("earlier", "first"),
    [
        ((), 2),  # the terminal's history may begin within the first minute
        ((tick(-30, 1.1),), 1),  # the last bar of the lake has a tick here too
        ((tick(-6 * 3600, 1.1),), 1),  # it has none, but the history reaches back
        ((tick(-40 * 86_400, 1.1),), 2),  # that is too long ago to tell anything
    ],
)
def test_the_first_bar_after_the_lake_is_kept_where_the_history_tells_it_whole(
    tmp_path: Path, earlier: tuple[ServerTick, ...], first: int
) -> None:
    with TerminalLink(Told(ticks=(*earlier, *MINUTES))) as link:
        now_ns = BEGIN + 4 * MINUTE
        bars = LiveBars(lake_with(tmp_path, BEGIN), link, "EURUSD", Timeframe.M1, lambda: now_ns)
        closed = [(bar.closed_at_ns - BEGIN) // MINUTE for bar in bars.read()]
    assert closed[0] == first
    assert closed == list(range(first, closed[-1] + 1))


def test_a_bar_that_opened_while_ticks_were_read_is_whole_whatever_was_before(
    tmp_path: Path,
) -> None:
    told = Told()
    with TerminalLink(told) as link:
        now_ns = BEGIN - MINUTE
        lake = lake_with(tmp_path, BEGIN - 2 * MINUTE)
        bars = LiveBars(lake, link, "EURUSD", Timeframe.M1, lambda: now_ns)
        assert bars.read() == []
        told.kept = MINUTES
        now_ns = BEGIN + 4 * MINUTE
        closed = [(bar.closed_at_ns - BEGIN) // MINUTE for bar in bars.read()]
    assert closed[0] == 1


def test_ticks_are_read_again_where_the_look_back_was_not_answered(tmp_path: Path) -> None:
    told = Told(ticks=MINUTES)
    asked = told.ticks

    async def fail_at_the_look_back(symbol: str, since_seconds: int, count: int) -> PricePage:
        if since_seconds < BEGIN // 1_000_000_000 - 3_600:
            raise Unavailable("the terminal is away")
        return await asked(symbol, since_seconds, count)

    with TerminalLink(told) as link:
        now_ns = BEGIN + 4 * MINUTE
        bars = LiveBars(lake_with(tmp_path, BEGIN), link, "EURUSD", Timeframe.M1, lambda: now_ns)
        told.ticks = fail_at_the_look_back  # type: ignore[method-assign,assignment]
        with pytest.raises(Unavailable):
            bars.read()
        told.ticks = asked  # type: ignore[method-assign]
        told.kept = (tick(-3600, 1.1), *MINUTES)
        closed = [(bar.closed_at_ns - BEGIN) // MINUTE for bar in bars.read()]
    assert closed[0] == 1
