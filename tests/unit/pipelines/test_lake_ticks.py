from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from online.domain.errors import InvalidMarketData
from pipelines.lake_ticks import TickLake

DAY = pd.Timestamp("2026-11-20").value


def ticks(*seconds: int) -> pd.DataFrame:
    return pd.DataFrame({"at_ns": [DAY + 10**9 * s for s in seconds], "bid": 1.1, "ask": 1.1002})


def test_a_live_day_grows_at_its_end(tmp_path: Path) -> None:
    lake = TickLake(tmp_path)
    assert lake.extend_ticks("EURUSD", "terminal", "terminal-20261120", ticks(1, 2), DAY) == 2
    assert lake.extend_ticks("EURUSD", "terminal", "terminal-20261120", ticks(1, 2), DAY) == 0
    whole = ticks(1, 2, 2, 5)
    assert lake.extend_ticks("EURUSD", "terminal", "terminal-20261120", whole, DAY) == 2
    pd.testing.assert_frame_equal(lake.read_ticks("EURUSD", "terminal"), whole)
    later = DAY + 4 * 10**9
    assert lake.extend_ticks("EURUSD", "terminal", "terminal-20261120", ticks(5, 6), later) == 1
    (entry,) = lake.describe()
    assert (entry.ticks, entry.files) == (5, 1)
    assert (entry.first_ns, entry.last_ns) == (DAY + 10**9, DAY + 6 * 10**9)


def test_a_live_day_that_is_told_otherwise_is_refused_and_stays(tmp_path: Path) -> None:
    lake = TickLake(tmp_path)
    lake.extend_ticks("EURUSD", "terminal", "terminal-20261120", ticks(1, 2, 3), DAY)
    for other in (ticks(1, 3, 4, 5), ticks(1, 2)):
        with pytest.raises(InvalidMarketData) as refused:
            lake.extend_ticks("EURUSD", "terminal", "terminal-20261120", other, DAY)
        assert refused.value.code == "CONFLICTS_WITH_LAKE"
    assert len(lake.read_ticks("EURUSD", "terminal")) == 3
