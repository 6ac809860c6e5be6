"""Laws of the lake: order and repetition of writes do not matter, and a kill loses nothing."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online.domain.market import PriceSide
from pipelines.lake import Lake
from pipelines.sources.raw import BAR_COLUMNS

HOUR = 3_600_000_000_000
START = int(pd.Timestamp("2017-01-01").value)
REPOSITORY = Path(__file__).resolve().parents[2]


def hourly(hours: list[int]) -> pd.DataFrame:
    frame = pd.DataFrame({"closed_at_ns": START + HOUR * np.array(sorted(hours), dtype=np.int64)})
    for place, name in enumerate(("open", "high", "low", "close")):
        frame[name] = [1.0, 3.0, 0.5, 2.0][place] + frame["closed_at_ns"] % 7 / 8
    frame["volume"] = np.where(frame["closed_at_ns"] % 3 == 0, np.nan, 5.0)
    frame["spread_points"] = np.nan
    return frame[list(BAR_COLUMNS)]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sets(st.integers(0, 24 * 90), min_size=1, max_size=40), min_size=1, max_size=5))
def test_overlapping_writes_in_any_order_make_the_same_lake(parts: list[set[int]]) -> None:
    union = hourly(sorted(set().union(*parts)))
    with tempfile.TemporaryDirectory() as folder:
        digests = set()
        for name, ordered in (("forward", parts), ("backward", parts[::-1])):
            lake = Lake(Path(folder) / name)
            added = 0
            for part in ordered:
                report = lake.write_bars("EURUSD", "H1", PriceSide.BID, hourly(list(part)), "law")
                assert report.added + report.unchanged == len(part)
                assert report.conflicting.empty
                added += report.added
            assert added == len(union)
            pd.testing.assert_frame_equal(lake.read_bars("EURUSD", "H1"), union)
            digests.add(lake.digest("EURUSD", "H1"))
        assert len(digests) == 1


@settings(max_examples=15, deadline=None)
@given(
    st.sets(st.integers(0, 24 * 90), min_size=1, max_size=60),
    st.lists(st.integers(-10, 24 * 95), max_size=4),
)
def test_adjoining_intervals_read_every_bar_once(hours: set[int], cuts: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        lake.write_bars("EURUSD", "H1", PriceSide.BID, hourly(list(hours)), "law")
        bounds = [None, *(START + HOUR * cut for cut in sorted(cuts)), None]
        parts = [lake.read_bars("EURUSD", "H1", a, b) for a, b in itertools.pairwise(bounds)]
        joined = pd.concat(parts, ignore_index=True)
        pd.testing.assert_frame_equal(joined, lake.read_bars("EURUSD", "H1"))


_WRITER = """
import os, signal, sys
from pathlib import Path
from tests.laws.test_lake_laws import hourly
from online.domain.market import PriceSide
from pipelines.lake import Lake

whole = hourly(list(range(24 * 80)))

def die_at(call):
    def count(event, arguments):
        nonlocal call
        if event in {"open", "os.rename", "os.mkdir", "os.remove"} and "/lake" in str(arguments[0]):
            call -= 1
            if call == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    return count

for call in map(int, sys.argv[2:]):
    child = os.fork()
    if not child:
        sys.addaudithook(die_at(call))
        root = Path(sys.argv[1]) / str(call) / "lake"
        Lake(root).write_bars("EURUSD", "H1", PriceSide.BID, whole, "law")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(call, os.waitstatus_to_exitcode(status))
"""
CALLS = (2, 5, 7, 9, 11)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lakes whose writers died, each at another touch of the lake's files."""
    folder = tmp_path_factory.mktemp("killed")
    done = subprocess.run(
        [sys.executable, "-c", _WRITER, str(folder), *map(str, CALLS)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    ends = [line.split() for line in done.stdout.splitlines()]
    assert ends == [[str(call), str(-signal.SIGKILL)] for call in CALLS]
    return folder


@pytest.mark.parametrize("call", CALLS)
def test_a_writer_killed_anywhere_leaves_whole_months_and_the_next_completes_them(
    killed: Path, call: int
) -> None:
    root = killed / str(call) / "lake"
    whole = hourly(list(range(24 * 80)))
    lake = Lake(root)
    for entry in lake.describe():
        kept = lake.read_bars(entry.symbol, entry.timeframe)
        assert kept["closed_at_ns"].isin(whole["closed_at_ns"]).all()
        by_month = pd.DatetimeIndex(kept["closed_at_ns"].to_numpy().view("M8[ns]")).month
        assert set(np.bincount(by_month)[1:]) <= {31 * 24, 28 * 24, 21 * 24, 0}
    report = lake.write_bars("EURUSD", "H1", PriceSide.BID, whole, "law")
    assert report.conflicting.empty
    pd.testing.assert_frame_equal(lake.read_bars("EURUSD", "H1"), whole)
    assert not list(root.rglob("*.partial"))
