from __future__ import annotations

from pathlib import Path

import pandas as pd

from online.domain.market import PriceSide, Timeframe
from online.gateway.price_desk import ServerTick
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
