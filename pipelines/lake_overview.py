"""What the lake holds and what came with faults: series, quotes, gaps, quarantine."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from online.domain.errors import NotFound
from online.domain.market import Timeframe
from online.instruments import find_instrument
from pipelines.lake import Lake, LakeEntry
from pipelines.lake_ticks import TickLake
from pipelines.quality_gaps import Gap, calendar_of, find_gaps
from pipelines.quality_report import GapRecord
from pipelines.sources.clock import WallClock, find_clock

UTC = "UTC"


class SeriesOverview(msgspec.Struct, frozen=True, kw_only=True):
    """One series of bars and its faults.

    Parameters
    ----------
    symbol, timeframe, side, bars, first_ns, last_ns, sources, files, size_bytes
        See `pipelines.lake.LakeEntry`.
    clocks
        Clocks of the files that it came from, sorted.
    quarantined
        Rows of those files that were not fit, by reason, most frequent first.
    gaps, missing_bars
        Holes against the session calendar, and the bars they lack; None where no calendar is
        known.
    largest_gap
        The hole that lacks most bars, by UTC and by the clock of its file.
    """

    symbol: str
    timeframe: str
    side: str
    bars: int
    first_ns: int
    last_ns: int
    sources: list[str]
    files: int
    size_bytes: int
    clocks: list[str]
    quarantined: dict[str, int]
    gaps: int | None
    missing_bars: int | None
    largest_gap: GapRecord | None


class QuotesOverview(msgspec.Struct, frozen=True, kw_only=True):
    """One feed's quotes of one symbol and their faults.

    Parameters
    ----------
    symbol, feed, ticks, first_ns, last_ns, files
        See `pipelines.lake_ticks.TickEntry`.
    rows_read
        Rows of the feed's files: those in the lake and those in quarantine.
    quarantined
        Rows that were not fit, by reason, most frequent first.
    """

    symbol: str
    feed: str
    ticks: int
    first_ns: int
    last_ns: int
    files: int
    rows_read: int
    quarantined: dict[str, int]


class LakeOverview(msgspec.Struct, frozen=True):
    """Everything the lake holds."""

    bars: list[SeriesOverview]
    ticks: list[QuotesOverview]


class _Ingested(msgspec.Struct, frozen=True):
    """What is needed of an ingestion's report; other fields are ignored."""

    symbol: str
    timeframe: str
    clock: str
    first_closed_at_ns: int
    last_closed_at_ns: int


def survey(lake: Lake) -> LakeOverview:
    """Return what the lake holds, by symbol.

    Raises
    ------
    InvalidInput
        ``LAKE_FILE_CORRUPT`` or ``LAKE_SCHEMA_VERSION``.
    """
    reports = _read_reports(lake.root)
    return LakeOverview(
        [_survey_series(lake, entry, reports) for entry in lake.describe()],
        [
            QuotesOverview(
                symbol=entry.symbol,
                feed=entry.feed,
                ticks=entry.ticks,
                first_ns=entry.first_ns,
                last_ns=entry.last_ns,
                files=entry.files,
                rows_read=entry.ticks + sum(faults.values()),
                quarantined=faults,
            )
            for entry in TickLake(lake.root).describe()
            for faults in [count_faults(lake.root, entry.symbol, "ticks", f"{entry.feed}-")]
        ],
    )


def series_gaps(lake: Lake, symbol: str, timeframe: Timeframe) -> list[GapRecord]:
    """Return the holes of a series against its session calendar, oldest first.

    Raises
    ------
    NotFound
        ``EMPTY_LAKE``, ``UNKNOWN_SYMBOL`` or ``UNKNOWN_TIMEFRAME``.
    """
    reports = _read_reports(lake.root)
    gaps = _find(lake.read_stamps(symbol, timeframe), symbol, timeframe)
    return [GapRecord.of(gap, _clock_of(gap, symbol, timeframe, reports)) for gap in gaps]


def count_faults(root: Path, symbol: str, timeframe: str, prefix: str = "") -> dict[str, int]:
    """Return the rows in quarantine by reason, most frequent first.

    Parameters
    ----------
    root
        The lake's folder.
    symbol, timeframe
        The series; ``ticks`` for quotes.
    prefix
        Beginning of the tables' names that are counted.
    """
    counted = Counter[str]()
    folder = root / "quarantine" / f"symbol={symbol}" / f"timeframe={timeframe}"
    for path in sorted(folder.glob(f"{prefix}*.parquet")):
        counted.update(pq.ParquetFile(path).read(columns=["reason"])["reason"].to_pylist())
    return dict(counted.most_common())


def _survey_series(lake: Lake, entry: LakeEntry, reports: list[_Ingested]) -> SeriesOverview:
    gaps: list[Gap] | None = None
    try:
        stamps = lake.read_stamps(entry.symbol, entry.timeframe)
        gaps = _find(stamps, entry.symbol, entry.timeframe)
    except NotFound:  # the instrument has left the configuration: its sessions are not known
        gaps = None
    largest = max(gaps or [], key=lambda gap: gap.missing_bars, default=None)
    mine = [r for r in reports if (r.symbol, r.timeframe) == (entry.symbol, entry.timeframe)]
    return SeriesOverview(
        symbol=entry.symbol,
        timeframe=entry.timeframe.value,
        side=entry.side.value,
        bars=entry.bars,
        first_ns=entry.first_ns,
        last_ns=entry.last_ns,
        sources=list(entry.sources),
        files=entry.files,
        size_bytes=entry.size_bytes,
        clocks=sorted({report.clock for report in mine}),
        quarantined=count_faults(lake.root, entry.symbol, entry.timeframe),
        gaps=None if gaps is None else len(gaps),
        missing_bars=None if gaps is None else sum(gap.missing_bars for gap in gaps),
        largest_gap=None
        if largest is None
        else GapRecord.of(largest, _clock_of(largest, entry.symbol, entry.timeframe, reports)),
    )


def _find(stamps: NDArray[np.int64], symbol: str, timeframe: Timeframe) -> list[Gap]:
    return find_gaps(stamps, timeframe, calendar_of(find_instrument(symbol)))


def _read_reports(root: Path) -> list[_Ingested]:
    decoder = msgspec.json.Decoder(_Ingested)
    found = sorted((root / "reports").glob("ingest-*.json"))
    return [
        decoder.decode(path.read_bytes())
        for path in found
        if not path.name.startswith("ingest-ticks-")
    ]


def _clock_of(gap: Gap, symbol: str, timeframe: Timeframe, reports: list[_Ingested]) -> WallClock:
    """Return the clock of the file that the gap lies in; UTC between files."""
    for report in reports:
        covers = report.first_closed_at_ns <= gap.after_ns < gap.before_ns
        if (
            (report.symbol, report.timeframe) == (symbol, timeframe)
            and covers
            and gap.before_ns <= report.last_closed_at_ns
        ):
            return find_clock(report.clock)
    return find_clock(UTC)
