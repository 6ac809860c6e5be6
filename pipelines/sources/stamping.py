"""Put the rows of a source on UTC, each stamped at its bar's close."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from online.domain.errors import InvalidMarketData
from online.domain.market import PriceSide, Timeframe
from pipelines.sources.calibration import CALIBRATE
from pipelines.sources.clock import HOUR_NS, find_clock, to_utc
from pipelines.sources.clock_choice import StampedCloses, choose_clock
from pipelines.sources.correlation import KnownSeries
from pipelines.sources.raw import MEASURES, Fault, RawBars


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a source's rows beside the rows.

    Parameters
    ----------
    source, source_file, file_sha256
        See `RawBars`.
    side, timeframe
        What the rows are.
    clock
        Name of the clock of their stamps, or `CALIBRATE`.
    stamped_at
        Whether a stamp is the bar's open or its close.
    descending
        Whether the file is newest first.
    """

    source: str
    source_file: str
    file_sha256: str
    side: PriceSide
    timeframe: Timeframe
    clock: str
    stamped_at: Literal["open", "close"] = "open"
    descending: bool = False


def put_on_utc(
    origin: Origin,
    row_number: NDArray[np.int64],
    wall_ns: NDArray[np.int64],
    measures: Mapping[str, NDArray[np.float64]],
    fault: NDArray[np.object_],
    raw_text: Callable[[NDArray[np.int64]], list[str]],
    known: KnownSeries | None = None,
) -> RawBars:
    """Return rows as bars stamped at their close in UTC.

    Parameters
    ----------
    origin
        Where they come from.
    row_number
        1-based place of each row in its file, (n_rows,).
    wall_ns
        Stamps by the source's clock, nanoseconds since 1970-01-01 00:00 on it, (n_rows,).
    measures
        The columns of `MEASURES`, (n_rows,) each, NaN where absent.
    fault
        A `Fault` where reading has found one, else the empty string; completed in place.
    raw_text
        See `RawBars`.
    known
        A series of known clock to compare with (see `pipelines.sources.clock_choice`).

    Raises
    ------
    InvalidMarketData
        ``AMBIGUOUS_CLOCK`` if the clock is to be inferred and cannot be, ``CLOCK_CONTRADICTED`` if
        the known series tells another.
    InvalidInput
        ``UNKNOWN_CLOCK``.
    """
    duration_ns = origin.timeframe.duration_ns
    readable = fault == ""
    clock = origin.clock
    evidence: tuple[str, ...] = ()
    if clock == CALIBRATE or known is not None:
        activity = _activity(measures)
        usable = readable & np.isfinite(activity) & (measures["close"] > 0.0)
        after_open = 0 if origin.stamped_at == "open" else duration_ns
        bars = StampedCloses(
            wall_ns[usable] - after_open,
            activity[usable],
            measures["close"][usable],
            origin.timeframe,
        )
        try:
            clock, evidence = choose_clock(clock, bars, known)
        except InvalidMarketData as error:
            raise InvalidMarketData(
                f"{origin.source_file}: {error}", code=error.code, remedy=error.remedy
            ) from error
    utc_ns, unclear = to_utc(np.where(readable, wall_ns, 0), find_clock(clock))
    if origin.stamped_at == "open":
        utc_ns = _closes(wall_ns, utc_ns, duration_ns, clock)
    fault[readable] = unclear[readable]
    dated = readable & (unclear == "")
    fault[dated & (wall_ns % duration_ns != 0)] = Fault.MISALIGNED_STAMP
    rows = pd.DataFrame(
        {
            "row_number": row_number,
            "closed_at_ns": np.where(dated, utc_ns, 0),
            **{name: measures[name] for name in MEASURES},
        }
    )
    rows["fault"] = fault
    return RawBars(
        source=origin.source,
        source_file=origin.source_file,
        file_sha256=origin.file_sha256,
        side=origin.side,
        timeframe=origin.timeframe,
        clock=clock,
        clock_evidence=evidence,
        descending=origin.descending,
        rows=rows,
        raw_text=raw_text,
    )


def _closes(
    wall_ns: NDArray[np.int64], opened_ns: NDArray[np.int64], duration_ns: int, clock: str
) -> NDArray[np.int64]:
    """Return when bars close that open at `wall_ns` by the clock, at `opened_ns` in UTC.

    Bars of more than an hour may hold a change of the clock; their day then has 23 or 25 hours.
    """
    if duration_ns <= HOUR_NS:
        return opened_ns + duration_ns
    closed_ns, unclear = to_utc(wall_ns + duration_ns, find_clock(clock))
    return np.where(unclear == "", closed_ns, opened_ns + duration_ns)


def _activity(measures: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return volume where the source has it, else the bars' range."""
    volume = measures["volume"]
    return volume if np.nansum(volume) > 0.0 else measures["high"] - measures["low"]
