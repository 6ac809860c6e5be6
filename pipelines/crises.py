"""Crises: named days on which markets broke, and how a run fared on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from online.domain.market import NANOSECONDS_PER_SECOND
from pipelines.performance import Performance

_DAYS_AFTER = 4
CRISES: Final[tuple[tuple[date, str], ...]] = (
    (date(2014, 10, 15), "flash rally of US Treasuries"),
    (date(2015, 1, 15), "the franc's floor is given up"),
    (date(2015, 8, 24), "China's Black Monday"),
    (date(2016, 6, 24), "Britain votes to leave the EU"),
    (date(2016, 10, 7), "flash crash of sterling"),
    (date(2016, 11, 9), "US presidential election"),
    (date(2018, 2, 5), "volatility spike"),
    (date(2019, 1, 3), "flash crash of the yen"),
    (date(2020, 3, 9), "pandemic and oil"),
    (date(2022, 9, 26), "sterling after the mini-budget"),
    (date(2023, 3, 10), "run on Silicon Valley Bank"),
)


@dataclass(frozen=True, slots=True)
class CrisisResult:
    """What a run did from a crisis' day on, for five days.

    Parameters
    ----------
    day, name
        Of the crisis.
    trades
        Opened within it.
    pnl_net
        Change of equity, account currency.
    max_drawdown
        Greatest fall of equity within it, as a share of the peak.
    """

    day: str
    name: str
    trades: int
    pnl_net: float
    max_drawdown: float


def crises_within(performance: Performance) -> tuple[CrisisResult, ...]:
    """Return every crisis that begins and ends within the run."""
    points = performance.equity
    if not points:
        return ()
    found = []
    for day, name in CRISES:
        start_ns, end_ns = _at(day), _at(day + timedelta(days=_DAYS_AFTER + 1))
        if not (points[0][0] <= start_ns and end_ns <= points[-1][0]):
            continue
        trades = sum(start_ns <= trade.opened_at_ns < end_ns for trade in performance.trades)
        inside = [equity for at_ns, equity in points if start_ns <= at_ns < end_ns]
        before = [equity for at_ns, equity in points if at_ns < start_ns]
        path = [before[-1] if before else performance.initial_balance, *inside]
        found.append(CrisisResult(str(day), name, trades, path[-1] - path[0], _fall(path)))
    return tuple(found)


def _at(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp()) * NANOSECONDS_PER_SECOND


def _fall(path: Sequence[float]) -> float:
    peak, worst = path[0], 0.0
    for equity in path:
        peak = max(peak, equity)
        worst = max(worst, (peak - equity) / peak)
    return worst
