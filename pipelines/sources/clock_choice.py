"""Settle a source's clock from all the evidence there is, or refuse where it disagrees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from online.domain.errors import InvalidInput, InvalidMarketData
from online.domain.market import Timeframe
from pipelines.sources.calibration import CALIBRATE, CANDIDATES, ClockEvidence, calibrate
from pipelines.sources.clock import find_clock, to_utc
from pipelines.sources.correlation import CorrelationEvidence, KnownSeries, correlate, decided, thin

_SHOWN = 4


@dataclass(frozen=True, slots=True)
class StampedCloses:
    """What of a source's bars tells its clock; arrays of shape (n_bars,).

    Parameters
    ----------
    wall_open_ns
        When the bars opened by the source's clock, nanoseconds since 1970-01-01 00:00 on it.
    activity
        A positive measure of each bar's activity.
    close
        Closing prices.
    timeframe
        Length of the bars.
    """

    wall_open_ns: NDArray[np.int64]
    activity: NDArray[np.float64]
    close: NDArray[np.float64]
    timeframe: Timeframe


def choose_clock(
    clock: str, bars: StampedCloses, known: KnownSeries | None
) -> tuple[str, tuple[str, ...]]:
    """Return the clock of a source's stamps, and why, in words.

    Parameters
    ----------
    clock
        The clock it was given, or `CALIBRATE`.
    bars
        The bars as stamped.
    known
        A series whose clock is known, of the same market or a kindred one; None without.

    Raises
    ------
    InvalidMarketData
        ``AMBIGUOUS_CLOCK`` if it is to be inferred and cannot be, or if its weeks and its returns
        tell different clocks; ``CLOCK_CONTRADICTED`` if the returns tell another than was given.
    InvalidInput
        ``WRONG_TIMEFRAME`` if returns are to be compared and bars are longer than an hour.
    """
    moved = () if known is None else _compare(clock, bars, known)
    told = moved[0].clock if decided(moved) else None
    words = tuple(str(one) for one in moved[:_SHOWN])
    if clock != CALIBRATE:
        if told is not None and not _same_times(told, clock, bars):
            raise InvalidMarketData(
                f"the stamps are not of clock {clock}: {'; '.join(words)}",
                code="CLOCK_CONTRADICTED",
                remedy=f"Give clock {told}, or check the symbol and the series compared with.",
            )
        return clock, words
    try:
        weeks = calibrate(bars.wall_open_ns, bars.activity, bars.timeframe)
    except InvalidMarketData as error:
        if told is None:
            raise
        return told, (*words, f"by its weeks alone {error}")
    if told is not None and not _same_times(told, weeks[0].clock, bars):
        raise _disagree(weeks, moved)
    return weeks[0].clock, (*(str(one) for one in weeks[:_SHOWN]), *words)


def _compare(
    clock: str, bars: StampedCloses, known: KnownSeries
) -> tuple[CorrelationEvidence, ...]:
    longest = max(bars.timeframe.seconds, known.timeframe.seconds)
    if longest > Timeframe.H1.seconds:
        raise InvalidInput(
            f"clocks are told by hourly returns: {bars.timeframe} and {known.name} were given, "
            "expected bars of an hour at most",
            code="WRONG_TIMEFRAME",
        )
    closes, prices = thin(bars.wall_open_ns + bars.timeframe.duration_ns, bars.close)
    names = CANDIDATES if clock in (CALIBRATE, *CANDIDATES) else (*CANDIDATES, clock)
    distinct: dict[bytes, str] = {}
    for name in names:
        distinct.setdefault(to_utc(closes, find_clock(name))[0].tobytes(), name)
    return correlate(closes, prices, known, tuple(distinct.values()))


def _same_times(one: str, other: str, bars: StampedCloses) -> bool:
    """Return whether two clocks give these stamps the same times, but for those without one."""
    first, second = (to_utc(bars.wall_open_ns, find_clock(name))[0] for name in (one, other))
    return bool(np.all((first == second) | (first == 0) | (second == 0)))


def _disagree(
    weeks: tuple[ClockEvidence, ...], moved: tuple[CorrelationEvidence, ...]
) -> InvalidMarketData:
    return InvalidMarketData(
        f"the clock of this source cannot be told: its weeks say {weeks[0]}; its returns say "
        f"{moved[0]}",
        code="AMBIGUOUS_CLOCK",
        remedy="Name the clock, and check the symbol and the series compared with.",
    )
