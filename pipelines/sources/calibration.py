"""Infer the clock of a source from its weeks, show the evidence, refuse where it is ambiguous.

Currencies trade from Sunday 17:00 to Friday 17:00 in New York, all year. So the first and the last
bar of each week tell which clock the stamps were read from: on a wrong clock weeks open or close at
other times, or bars lie in the weekend. Where two clocks explain the weeks equally well (a server
on European summer time that leaves out the first hour looks like one on New York's that closes an
hour early, in the weeks between the two changes of clocks), the rhythm of the day decides: in the
weeks in which the two disagree, activity by New York's time of day must look as it does in the
others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from online.domain.errors import InvalidMarketData
from online.domain.market import Timeframe
from pipelines.sources.clock import HOUR_NS, NEW_YORK, find_clock, from_utc, to_utc

CALIBRATE: Final = "calibrate"
"""The clock's name in settings that asks for calibration."""

_FIXED = (f"UTC{sign}{hours:02d}:00" for sign in "+-" for hours in range(1, 13))
CANDIDATES: Final = (
    "UTC",
    NEW_YORK,
    "broker-us",
    "broker-eu",
    "Europe/London",
    "Europe/Berlin",
    "America/Chicago",
    "Asia/Tokyo",
    *_FIXED,
)
"""Clocks that are tried; of those that give the same times, the first lends its name."""

_TOLERANCE_NS = HOUR_NS // 4
_DAY_NS = 24 * HOUR_NS
_WEEK_NS = 7 * _DAY_NS
_FRIDAY_CLOSE_NS = 4 * _DAY_NS + 17 * HOUR_NS  # since Monday 00:00 in New York
_SUNDAY_OPEN_NS = 6 * _DAY_NS + 17 * HOUR_NS
_LONDON_LEAVES_NS = 13 * HOUR_NS  # in New York, whatever the two summer times are
_WEEKENDS_MIN = 3
_AGREEMENT_MIN = 0.5
_AGREEMENT_MARGIN = 0.1
_CLOSED_MARGIN = 0.02
_T_MIN = 3.0  # one sided, fifteen days: p < 0.005
_DAYS_MIN = 5


@dataclass(frozen=True, slots=True)
class ClockEvidence:
    """How well one clock explains a source's weeks.

    Parameters
    ----------
    clock
        The clock.
    same_times
        Others that give the same times on this source.
    edges
        Openings and closings of weeks that were looked at.
    edges_explained
        Those at the hour at which the market opens (17:00 or, for metals, 18:00 on Sunday in New
        York) or closes (Friday 17:00).
    edges_in_weekend
        Those that would have the market trading while it is closed.
    rhythm_t
        Student's t over days that the leader's rhythm fits better than this clock's, in the weeks
        in which they differ; None where the weeks alone decide.
    """

    clock: str
    same_times: tuple[str, ...]
    edges: int
    edges_explained: int
    edges_in_weekend: int
    rhythm_t: float | None = None

    def __str__(self) -> str:
        """Return the evidence in words."""
        also = f" (as {', '.join(self.same_times)})" if self.same_times else ""
        rhythm = "" if self.rhythm_t is None else f", rhythm t {self.rhythm_t:.1f} behind the best"
        return (
            f"{self.clock}{also}: {self.edges_explained} of {self.edges} week edges explained, "
            f"{self.edges_in_weekend} in the weekend{rhythm}"
        )


def calibrate(
    wall_open_ns: NDArray[np.int64], activity: NDArray[np.float64], timeframe: Timeframe
) -> tuple[ClockEvidence, ...]:
    """Return the evidence for each plausible clock, the source's clock first.

    Parameters
    ----------
    wall_open_ns
        When bars opened by the source's clock, nanoseconds since 1970-01-01 00:00 on it, any order,
        (n_bars,).
    activity
        A positive measure of each bar's activity: tick volume, or the bar's range, (n_bars,).
    timeframe
        Length of the bars.

    Raises
    ------
    InvalidMarketData
        With code ``AMBIGUOUS_CLOCK`` if there are too few weekends, if no clock explains them, or
        if several do; the message holds the evidence.
    """
    order = np.argsort(wall_open_ns, kind="stable")
    opens, activity = wall_open_ns[order], activity[order]
    steps = np.diff(opens)
    weekend = np.flatnonzero((steps > _DAY_NS) & (steps < 4 * _DAY_NS))
    if len(weekend) < _WEEKENDS_MIN:
        raise _ambiguous(f"it has {len(weekend)} weekends, at least {_WEEKENDS_MIN} are needed", [])
    closings, openings = opens[weekend] + timeframe.duration_ns, opens[weekend + 1]
    found = [_judge(names, closings, openings, timeframe) for names in _distinct(np.unique(opens))]
    found.sort(key=lambda one: (one.edges_in_weekend, -one.edges_explained))
    by_agreement = sorted(found, key=lambda one: -one.edges_explained)
    closed_max = found[0].edges_in_weekend + _CLOSED_MARGIN * found[0].edges
    allowed = [one for one in by_agreement if one.edges_in_weekend <= closed_max]
    explained_min = allowed[0].edges_explained - _AGREEMENT_MARGIN * allowed[0].edges
    plausible = [one for one in allowed if one.edges_explained >= explained_min]
    if allowed[0].edges_explained < _AGREEMENT_MIN * allowed[0].edges:
        raise _ambiguous("no clock explains its weeks", allowed[:3])
    others = [one for one in by_agreement if one not in plausible]
    if len(plausible) == 1:
        return (*plausible, *others)
    return (*_decide_by_rhythm(plausible, opens, activity), *others)


def _distinct(opens: NDArray[np.int64]) -> list[tuple[str, ...]]:
    """Return the candidates' names, together those that give the same times."""
    hours = np.unique(opens // HOUR_NS) * HOUR_NS
    groups: dict[bytes, list[str]] = {}
    for name in CANDIDATES:
        groups.setdefault(to_utc(hours, find_clock(name))[0].tobytes(), []).append(name)
    return [tuple(names) for names in groups.values()]


def _judge(
    names: tuple[str, ...],
    closings: NDArray[np.int64],
    openings: NDArray[np.int64],
    timeframe: Timeframe,
) -> ClockEvidence:
    closed = _since_monday(closings, names[0])
    opened = _since_monday(openings, names[0])
    late = (closed - timeframe.duration_ns >= _FRIDAY_CLOSE_NS) & (closed <= _SUNDAY_OPEN_NS)
    early = (opened >= _FRIDAY_CLOSE_NS) & (opened + timeframe.duration_ns <= _SUNDAY_OPEN_NS)
    closed_well = np.abs(closed - _FRIDAY_CLOSE_NS) <= _TOLERANCE_NS
    after_open = opened - _SUNDAY_OPEN_NS
    opened_well = (np.abs(after_open) <= _TOLERANCE_NS) | (
        np.abs(after_open - HOUR_NS) <= _TOLERANCE_NS
    )
    return ClockEvidence(
        clock=names[0],
        same_times=names[1:],
        edges=2 * len(closings),
        edges_explained=int(closed_well.sum() + opened_well.sum()),
        edges_in_weekend=int(late.sum() + early.sum()),
    )


def _since_monday(wall_ns: NDArray[np.int64], clock: str) -> NDArray[np.int64]:
    """Return the time since Monday 00:00 in New York, nanoseconds; -1 where there is none."""
    utc_ns, fault = to_utc(wall_ns, find_clock(clock))
    return np.where(fault == "", (_new_york(utc_ns) + 3 * _DAY_NS) % _WEEK_NS, -1)


def _new_york(utc_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    return from_utc(utc_ns, find_clock(NEW_YORK))


def _decide_by_rhythm(
    plausible: list[ClockEvidence], opens: NDArray[np.int64], activity: NDArray[np.float64]
) -> list[ClockEvidence]:
    times = {one.clock: to_utc(opens, find_clock(one.clock))[0] for one in plausible}
    for leader in plausible:
        judged = [
            ClockEvidence(
                one.clock,
                one.same_times,
                one.edges,
                one.edges_explained,
                one.edges_in_weekend,
                rhythm_advantage(times[leader.clock], times[one.clock], activity),
            )
            for one in plausible
            if one is not leader
        ]
        if all((one.rhythm_t or 0.0) >= _T_MIN for one in judged):
            return [leader, *judged]
    raise _ambiguous("several clocks explain it", plausible)


def rhythm_advantage(
    ours_ns: NDArray[np.int64], theirs_ns: NDArray[np.int64], activity: NDArray[np.float64]
) -> float | None:
    """Return Student's t, over days, that our times fit the usual day better than theirs.

    The usual day is the mean and spread of log activity by quarter of an hour in New York, over the
    days on which both readings agree and New York's summer time is as in the disputed ones. Each
    disputed day gives the difference of the two mean Gaussian log-likelihoods.

    Parameters
    ----------
    ours_ns, theirs_ns
        Two readings of the same stamps, UTC nanoseconds, 0 where there is none, (n_bars,).
    activity
        Activity of the bars (>= 0), (n_bars,).

    Returns
    -------
    t
        None if there are not enough days of either sort.
    """
    known = (ours_ns > 0) & (theirs_ns > 0) & np.isfinite(activity)
    ours_ns, theirs_ns, activity = ours_ns[known], theirs_ns[known], activity[known]
    disputed = ours_ns != theirs_ns
    if not disputed.any() or disputed.all():
        return None
    local = _new_york(ours_ns)
    ahead = local - ours_ns
    usual_ahead = np.median(ahead[disputed])
    day = local // _DAY_NS
    log_activity = pd.Series(np.log1p(activity / np.median(activity[activity > 0])))
    relative = (log_activity - log_activity.groupby(day).transform("mean")).to_numpy()

    usual = ~disputed & (ahead == usual_ahead)
    slots = pd.Series(relative[usual]).groupby(_quarter(local[usual]))
    mean, spread, days = slots.mean(), slots.std(), len(np.unique(day[usual]))
    asleep = (local % _DAY_NS >= _LONDON_LEAVES_NS) & disputed
    scores = []
    for times in (local[asleep], _new_york(theirs_ns[asleep])):
        quarter = _quarter(times)
        middle, width = mean.reindex(quarter).to_numpy(), spread.reindex(quarter).to_numpy()
        scores.append(-0.5 * ((relative[asleep] - middle) / width) ** 2 - np.log(width))
    by_day = pd.Series(scores[0] - scores[1]).groupby(day[asleep]).mean().dropna()
    if min(days, len(by_day)) < _DAYS_MIN or not by_day.std() > 0.0:
        return None
    return float(by_day.mean() / by_day.std() * np.sqrt(len(by_day)))


def _quarter(local_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    return (local_ns % _DAY_NS) // (HOUR_NS // 4)


def _ambiguous(why: str, evidence: list[ClockEvidence]) -> InvalidMarketData:
    shown = "".join(f"; {one}" for one in evidence)
    return InvalidMarketData(
        f"the clock of this source cannot be told: {why}{shown}",
        code="AMBIGUOUS_CLOCK",
        remedy="Name the clock: UTC, UTC+02:00, America/New_York, broker-us or broker-eu.",
    )
