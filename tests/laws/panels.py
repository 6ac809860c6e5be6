"""Panels for the laws: three pairs, random with all that is awkward, and real."""

from __future__ import annotations

import numpy as np
import pandas as pd

from feature_repo.bars import BarArrays
from feature_repo.engine import Vector
from feature_repo.feature import Feature
from feature_repo.higher import resample
from feature_repo.panel import Panel
from feature_repo.vector import VectorStream
from online.domain.market import Timeframe
from tests.conftest import REPOSITORY
from tests.laws.feature_data import random_bars, with_another_future

OWN, OTHERS = "EURUSD", ("GBPUSD", "USDJPY")
_MINUTES = REPOSITORY.parent / "shared" / "data" / "histdata_m1"
_REAL_BARS = 9_000
_COLUMNS = ("open", "high", "low", "close", "volume")


def random_panel(count: int, seed: int) -> Panel:
    """Return hourly bars of three pairs over a quarter's edge; each lacks other bars."""
    random = np.random.default_rng(seed)
    made = {}
    for number, symbol in enumerate((OWN, *OTHERS)):
        bars = random_bars(count, seed=seed + number)
        made[symbol] = rows(bars, np.flatnonzero(random.random(count) > 0.04))
    return Panel(OWN, Timeframe.H1, made.pop(OWN), made)


def whole_panel(count: int, seed: int) -> Panel:
    """Return hourly bars of three pairs, none missing, weekends included."""
    made = {
        symbol: random_bars(count, seed=seed + number, weekends=True)
        for number, symbol in enumerate((OWN, *OTHERS))
    }
    return Panel(OWN, Timeframe.H1, made.pop(OWN), made)


def real_panel() -> Panel | None:
    """Return real M15 bars of three pairs over the end of a quarter, or None where there are none.

    Their stamps are taken as they are written; which clock they follow does not matter here.
    """
    if not _MINUTES.is_dir():
        return None
    made = {}
    for symbol in (OWN, *OTHERS):
        table = pd.read_csv(
            _MINUTES / f"{symbol}_2018.zip",
            sep=";",
            header=None,
            names=["at", *_COLUMNS],
            nrows=16 * _REAL_BARS,
        )
        opened = pd.to_datetime(table["at"], format="%Y%m%d %H%M%S", utc=True)
        stamps = pd.DatetimeIndex(opened).as_unit("ns").asi8 + 60 * 10**9
        kept = np.flatnonzero(np.diff(stamps, prepend=0) > 0)
        columns = [table[c].to_numpy(np.float64)[kept] for c in _COLUMNS]
        bars = resample(BarArrays(stamps[kept], *columns), Timeframe.M15)
        made[symbol] = bars.part(0, _REAL_BARS)
    return Panel(OWN, Timeframe.M15, made.pop(OWN), made)


def rows(bars: BarArrays, kept: np.ndarray[tuple[int], np.dtype[np.int64]]) -> BarArrays:
    """Return some of the bars."""
    return BarArrays(bars.closed_at_ns[kept], *(getattr(bars, n)[kept] for n in _COLUMNS))


def with_other_futures(panel: Panel, after: int) -> Panel:
    """Return a panel with all that own bar `after` does not know replaced by another market."""
    stamp_ns = int(panel.own.closed_at_ns[after])
    others = {}
    for symbol, bars in panel.others.items():
        last_seen = int(np.searchsorted(bars.closed_at_ns, stamp_ns, "left")) - 1
        others[symbol] = with_another_future(bars, last_seen)
    return Panel(panel.symbol, panel.timeframe, with_another_future(panel.own, after), others)


def run_live(
    panel: Panel, features: tuple[Feature, ...], start: int, end: int, seed: int
) -> dict[str, Vector]:
    """Stream own bars `start` to `end`; bars of equal stamps and of one interval in any order."""
    random = np.random.default_rng(seed)
    history = panel.part(0, start)
    stream = VectorStream(history, features)
    arriving = [
        (int(bars.closed_at_ns[i]), random.random(), symbol, i)
        for symbol, bars in panel.others.items()
        for i in range(len(history.others[symbol]), len(bars))
    ]
    arriving.sort(reverse=True)
    vectors = []
    for index in range(start, end):
        bar = panel.own.bar(index)
        while arriving and stream.peers:
            at_ns, _, symbol, place = arriving[-1]
            late = at_ns == bar.closed_at_ns and random.random() < 0.5
            if at_ns > bar.closed_at_ns or late:
                break
            stream.take(symbol, panel.others[symbol].bar(place))
            arriving.pop()
        vectors.append(stream.update(bar))
    table = np.array(vectors, dtype=np.float32).reshape(end - start, len(features))
    return {name: np.ascontiguousarray(table[:, i]) for i, name in enumerate(stream.names)}
