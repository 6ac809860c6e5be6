"""Tell a source's clock by how its returns move with those of a series of known clock.

Read on the right clock, hourly returns of one symbol from two sources are all but equal, and those
of two kindred symbols move together; an hour off, they do not. Clocks that differ in some weeks
alone (summer times that begin on other Sundays) are judged by the hours at which they differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from online.domain.market import Timeframe
from pipelines.sources.clock import HOUR_NS, find_clock, to_utc

CORRELATION_MIN: Final = 0.3
"""Hourly returns that move together less than this tell nothing of a clock."""
HOURS_MIN: Final = 48
"""Fewest hours on which a correlation is believed."""
_Z_MIN = 4.0


@dataclass(frozen=True, slots=True)
class KnownSeries:
    """Bars whose clock is known.

    Parameters
    ----------
    name
        How the evidence calls them, such as ``EURUSD H1``.
    closed_at_ns
        Their closes, UTC nanoseconds, ascending, (n_bars,).
    close
        Their closing prices, (n_bars,).
    timeframe
        Their length, an hour at most.
    """

    name: str
    closed_at_ns: NDArray[np.int64]
    close: NDArray[np.float64]
    timeframe: Timeframe


@dataclass(frozen=True, slots=True)
class CorrelationEvidence:
    """How well one clock lets a source's returns move with a known series'.

    Parameters
    ----------
    clock
        The clock.
    correlation
        Of hourly log returns over all hours that both have; of either sign.
    hours
        How many those are.
    behind_z
        How many standard errors (Fisher's z) this clock's correlation lies behind the leader's, at
        the hours at which the two differ; None for the leader.
    known
        Name of the known series.
    """

    clock: str
    correlation: float
    hours: int
    behind_z: float | None
    known: str

    def __str__(self) -> str:
        """Return the evidence in words."""
        behind = "" if self.behind_z is None else f", {self.behind_z:.1f} standard errors behind"
        return (
            f"{self.clock}: hourly returns correlate {self.correlation:.3f} with {self.known} over "
            f"{self.hours} hours{behind}"
        )


def correlate(
    wall_close_ns: NDArray[np.int64],
    close: NDArray[np.float64],
    known: KnownSeries,
    clocks: Sequence[str],
) -> tuple[CorrelationEvidence, ...]:
    """Return the evidence for each clock that can be judged, the best first.

    Parameters
    ----------
    wall_close_ns
        Closes of the source's bars by its own clock, nanoseconds since 1970-01-01 00:00 on it,
        (n_bars,); bars of an hour at most.
    close
        Its closing prices, (n_bars,).
    known
        A series on UTC.
    clocks
        Names of the clocks to compare, of which no two give the same times.

    Returns
    -------
    evidence
        Empty if fewer than `HOURS_MIN` hours are common on every clock.
    """
    theirs = hourly_returns(known.closed_at_ns, known.close)
    readings: dict[str, pd.DataFrame] = {}
    for name in clocks:
        utc_ns, fault = to_utc(wall_close_ns, find_clock(name))
        fit = fault == ""
        ours = hourly_returns(utc_ns[fit], close[fit])
        both = pd.concat([ours, theirs], axis=1, join="inner", keys=["ours", "theirs"]).dropna()
        if len(both) >= HOURS_MIN:
            readings[name] = both
    found = {name: _correlation(both) for name, both in readings.items()}
    if not found:
        return ()
    leader = max(found, key=lambda name: abs(found[name]))
    evidence = [
        CorrelationEvidence(
            clock=name,
            correlation=found[name],
            hours=len(readings[name]),
            behind_z=None if name == leader else _behind(readings[leader], readings[name]),
            known=known.name,
        )
        for name in readings
    ]
    return tuple(sorted(evidence, key=lambda one: (one.clock != leader, -abs(one.correlation))))


def decided(evidence: Sequence[CorrelationEvidence]) -> bool:
    """Return whether the first clock is told from all others, as `correlate` orders them."""
    if not evidence or abs(evidence[0].correlation) < CORRELATION_MIN:
        return False
    return all(one.behind_z is not None and one.behind_z >= _Z_MIN for one in evidence[1:])


def thin(
    wall_close_ns: NDArray[np.int64], close: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the last bar of each quarter of an hour, ascending: enough for hours on any clock."""
    order = np.argsort(wall_close_ns, kind="stable")
    quarters = -(-wall_close_ns[order] // (HOUR_NS // 4))
    kept = order[np.append(quarters[1:] != quarters[:-1], True)]  # a value, not a flag
    return wall_close_ns[kept], close[kept]


def hourly_returns(closed_at_ns: NDArray[np.int64], close: NDArray[np.float64]) -> pd.Series[float]:
    """Return log returns from one full hour to the next, by the hour's end in UTC nanoseconds.

    Hours without a bar that ends in them have no return, nor has the hour after.
    """
    ends = -(-closed_at_ns // HOUR_NS) * HOUR_NS
    last = pd.Series(np.log(close)).groupby(ends).last()
    steps = np.diff(last.index.to_numpy())
    returns = last.diff().iloc[1:]
    return pd.Series(returns[steps == HOUR_NS])


def _correlation(both: pd.DataFrame) -> float:
    if not (both["ours"].std() > 0.0 and both["theirs"].std() > 0.0):
        return 0.0
    return float(np.corrcoef(both["ours"], both["theirs"])[0, 1])


def _behind(leader: pd.DataFrame, other: pd.DataFrame) -> float:
    """Return by how many standard errors the other's correlation is behind, where they differ.

    Fisher's transform of correlations: *Metron* 1 (1921) 3-32. The hours of the two readings are
    taken as independent samples.
    """
    shared = leader.join(other, how="outer", rsuffix="_other")
    apart = ~(shared["ours"] == shared["ours_other"])
    first = shared.loc[apart, ["ours", "theirs"]].dropna()
    second = shared.loc[apart, ["ours_other", "theirs_other"]].dropna()
    second.columns = pd.Index(["ours", "theirs"])
    if min(len(first), len(second)) < HOURS_MIN:
        return 0.0
    ahead = np.arctanh(min(abs(_correlation(first)), 1.0 - 1e-12))
    behind = np.arctanh(min(abs(_correlation(second)), 1.0 - 1e-12))
    error = np.sqrt(1.0 / (len(first) - 3) + 1.0 / (len(second) - 3))
    return float((ahead - behind) / error)
