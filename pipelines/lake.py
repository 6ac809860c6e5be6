"""The lake: bars as Parquet, a file a month, ``bars/symbol=EURUSD/timeframe=H1/2017-01.parquet``.

A month is that of a bar's close in UTC. Each file is replaced as a whole, so a run killed anywhere
leaves every month either as it was or complete, and the same run again completes the rest: rows
that are there already add nothing.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from online.domain.errors import InvalidInput, InvalidMarketData, NotFound
from online.domain.market import PriceSide, Timeframe
from pipelines.lake_files import (
    ROW_SCHEMA,
    LakePart,
    only_writer,
    read_header,
    read_month,
    read_quoted_spreads,
    read_stamps,
    write_month,
    write_parquet,
)
from pipelines.lake_merge import WriteReport, merge
from pipelines.quality import CLEAN_BARS, CLEAN_MICROSTRUCTURE
from pipelines.sources.raw import BAR_COLUMNS, MEASURES, MICROSTRUCTURE

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._#-]*")
Revision = tuple[tuple[str, int, int], ...]
"""A series' files as they are: name, place on the disk, time of writing."""


@dataclass(frozen=True, slots=True)
class LakeEntry:
    """One series of the lake.

    Parameters
    ----------
    symbol, timeframe, side
        What it is.
    bars
        How many there are.
    first_ns, last_ns
        Closes of the first and last bar, UTC nanoseconds.
    sources
        Where its rows came from, sorted.
    files
        How many months it has.
    size_bytes
        Their size on disk.
    """

    symbol: str
    timeframe: Timeframe
    side: PriceSide
    bars: int
    first_ns: int
    last_ns: int
    sources: tuple[str, ...]
    files: int
    size_bytes: int


class Lake(LakePart):
    """Bars on disk."""

    def write_bars(
        self,
        symbol: str,
        timeframe: Timeframe | str,
        side: PriceSide,
        frame: pd.DataFrame,
        source: str,
        *,
        priority: int = 0,
        supersede: bool = False,
    ) -> WriteReport:
        """Add bars to a series.

        Parameters
        ----------
        symbol, timeframe, side
            The series; it has one side for ever.
        frame
            Cleaned bars (see `pipelines.quality.CLEAN_BARS`), and after their columns those of
            `MICROSTRUCTURE` where the bars were made of quotes.
        source
            Name kept with each row.
        priority
            Rank of the source: where stamps are equal and bars differ, the higher rank stays, and
            of equal ranks the one that came first.
        supersede
            Whether bars take the place of the same source's own of equal rank, as those computed
            anew from better data must.

        Raises
        ------
        InvalidMarketData
            ``MIXED_PRICE_SIDES`` if the series is of the other side; nothing is written.
        Unavailable
            ``LAKE_UNWRITABLE``; months already written stay, the same call completes the rest.
        """
        frame = _validate(frame)
        parsed = Timeframe.parse(timeframe)
        folder = self._folder(symbol, parsed)
        if frame.empty:
            return WriteReport(0, 0, 0, frame[list(BAR_COLUMNS)])
        rows = frame.assign(source=source, priority=np.int16(priority))
        months = pd.DatetimeIndex(frame["closed_at_ns"].to_numpy().view("M8[ns]")).strftime("%Y-%m")
        reports = []
        with only_writer(folder):
            self._require_side(folder, side)
            for month, given in rows.groupby(np.asarray(months)):
                path = folder / f"{month}.parquet"
                kept = read_month(path) if path.exists() else None
                merged, report = merge(kept, given, supersede=supersede)
                if report.added or report.replaced:
                    write_month(path, merged, side)
                reports.append(report)
        return WriteReport(
            added=sum(report.added for report in reports),
            unchanged=sum(report.unchanged for report in reports),
            replaced=sum(report.replaced for report in reports),
            conflicting=pd.concat([report.conflicting for report in reports], ignore_index=True),
        )

    def read_bars(
        self,
        symbol: str,
        timeframe: Timeframe | str,
        start_ns: int | None = None,
        end_ns: int | None = None,
        *,
        microstructure: bool = False,
        provenance: bool = False,
    ) -> pd.DataFrame:
        """Return the bars with ``start_ns <= closed_at_ns < end_ns``, oldest first.

        Parameters
        ----------
        symbol, timeframe
            The series.
        start_ns, end_ns
            Interval of closes, UTC nanoseconds, half open; None is without bound.
        microstructure
            Whether to add the columns of `MICROSTRUCTURE`, NaN for bars not made of quotes.
        provenance
            Whether to add the columns ``source`` and ``priority``.

        Returns
        -------
        frame
            ``closed_at_ns`` (int64), ``open high low close volume spread_points`` (float64; volume
            and spread are NaN where the source has none). Empty if no bar lies in the interval.

        Raises
        ------
        NotFound
            ``EMPTY_LAKE``, ``UNKNOWN_SYMBOL`` or ``UNKNOWN_TIMEFRAME``.
        """
        paths = [p for p in self._months(symbol, timeframe) if _overlaps(p, start_ns, end_ns)]
        frames = [read_month(path) for path in paths]
        frame = (
            pd.concat(frames, ignore_index=True) if frames else ROW_SCHEMA.empty_table().to_pandas()
        )
        stamps = frame["closed_at_ns"].to_numpy()
        first = 0 if start_ns is None else int(np.searchsorted(stamps, start_ns))
        last = len(stamps) if end_ns is None else int(np.searchsorted(stamps, end_ns))
        columns = [
            *BAR_COLUMNS,
            *(MICROSTRUCTURE if microstructure else ()),
            *(("source", "priority") if provenance else ()),
        ]
        return frame.iloc[first:last][columns].reset_index(drop=True)

    def read_stamps(self, symbol: str, timeframe: Timeframe | str) -> NDArray[np.int64]:
        """Return the closes of a series, UTC nanoseconds, ascending, (n_bars,).

        Raises
        ------
        NotFound
            ``EMPTY_LAKE``, ``UNKNOWN_SYMBOL`` or ``UNKNOWN_TIMEFRAME``.
        """
        return np.concatenate([read_stamps(path) for path in self._months(symbol, timeframe)])

    def read_quoted_spreads(
        self, symbol: str, timeframe: Timeframe | str, end_ns: int | None = None
    ) -> NDArray[np.float64]:
        """Return the mean spreads, points, of a series' bars that were made of quotes.

        Parameters
        ----------
        symbol, timeframe
            The series.
        end_ns
            Only bars that closed before count, UTC nanoseconds; None for all.

        Raises
        ------
        NotFound
            ``EMPTY_LAKE``, ``UNKNOWN_SYMBOL`` or ``UNKNOWN_TIMEFRAME``.
        """
        paths = [p for p in self._months(symbol, timeframe) if _overlaps(p, None, end_ns)]
        return np.concatenate([np.empty(0), *(read_quoted_spreads(p, end_ns) for p in paths)])

    def revision(self, symbol: str, timeframe: Timeframe | str) -> Revision:
        """Return what changes whenever somebody writes a series; empty if there is none."""
        folder = self._folder(symbol, Timeframe.parse(timeframe))
        about = [(path.name, path.stat()) for path in sorted(folder.glob("*.parquet"))]
        return tuple((name, told.st_ino, told.st_mtime_ns) for name, told in about)

    def price_side(self, symbol: str, timeframe: Timeframe | str) -> PriceSide:
        """Return which side of the market a series' prices are.

        Raises
        ------
        NotFound
            ``EMPTY_LAKE``, ``UNKNOWN_SYMBOL`` or ``UNKNOWN_TIMEFRAME``.
        """
        return read_header(self._months(symbol, timeframe)[0]).side

    def digest(
        self,
        symbol: str,
        timeframe: Timeframe | str,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> str:
        """Return the SHA-256 of the bars in an interval, hexadecimal.

        It covers what the bars are and nothing of how they are stored: symbol, timeframe, side and
        each column's bytes, little endian, with one bit pattern for NaN; the microstructure counts
        where any of it is known.

        Raises
        ------
        NotFound
            ``EMPTY_LAKE``, ``UNKNOWN_SYMBOL`` or ``UNKNOWN_TIMEFRAME``.
        """
        frame = self.read_bars(symbol, timeframe, start_ns, end_ns, microstructure=True)
        side = self.price_side(symbol, timeframe)
        about = f"{symbol}|{Timeframe.parse(timeframe)}|{side}|{len(frame)}|"
        running = hashlib.sha256(about.encode())
        running.update(frame["closed_at_ns"].to_numpy().astype("<i8").tobytes())
        told = [name for name in MICROSTRUCTURE if frame[name].notna().any()]
        for name in (*MEASURES, *told):
            values = frame[name].to_numpy().astype("<f8")
            running.update(np.where(np.isnan(values), np.nan, values).tobytes())
        return running.hexdigest()

    def describe(self) -> list[LakeEntry]:
        """Return every series, by symbol and length of bar; empty if there is none."""
        entries = []
        for folder in sorted((self.root / "bars").glob("symbol=*/timeframe=*")):
            paths = sorted(folder.glob("*.parquet"))
            if not paths:
                continue
            headers = [read_header(path) for path in paths]
            entries.append(
                LakeEntry(
                    symbol=folder.parent.name.removeprefix("symbol="),
                    timeframe=Timeframe.parse(folder.name.removeprefix("timeframe=")),
                    side=headers[0].side,
                    bars=sum(header.bars for header in headers),
                    first_ns=headers[0].first_ns,
                    last_ns=headers[-1].last_ns,
                    sources=tuple(sorted({s for header in headers for s in header.sources})),
                    files=len(paths),
                    size_bytes=sum(path.stat().st_size for path in paths),
                )
            )
        return sorted(entries, key=lambda entry: (entry.symbol, entry.timeframe.seconds))

    def write_quarantine(
        self, symbol: str, timeframe: Timeframe | Literal["ticks"], name: str, frame: pd.DataFrame
    ) -> Path | None:
        """Keep the rows that were not fit, in place of an earlier table of that name.

        Where there are none, the earlier table goes and there is no path.

        Parameters
        ----------
        symbol, timeframe
            The series they would have belonged to; ``ticks`` where they are no bars.
        name
            Name of the table; one that stands for the file and its content makes this idempotent.
        frame
            Rows as `pipelines.quality.QUARANTINE_COLUMNS`.
        """
        series = f"symbol={safe_name(symbol)}/timeframe={timeframe}"
        folder = self.root / "quarantine" / series
        path = folder / f"{safe_name(name)}.parquet"
        if frame.empty:
            path.unlink(missing_ok=True)
            return None
        write_parquet(path, pa.Table.from_pandas(frame, preserve_index=False))
        return path

    def _folder(self, symbol: str, timeframe: Timeframe) -> Path:
        return self.root / "bars" / f"symbol={safe_name(symbol)}" / f"timeframe={timeframe}"

    def _require_side(self, folder: Path, side: PriceSide) -> None:
        for path in sorted(folder.glob("*.parquet"))[:1]:
            kept = read_header(path).side
            if kept is not side:
                raise InvalidMarketData(
                    f"{folder.parent.name} {folder.name} holds {kept} prices, {side} came: "
                    "a series has one side",
                    code="MIXED_PRICE_SIDES",
                    remedy="Ingest into another lake, or remove the series first.",
                )

    def _months(self, symbol: str, timeframe: Timeframe | str) -> list[Path]:
        """Return the files of a series, at least one, oldest first."""
        parsed = Timeframe.parse(timeframe)
        entries = {
            (p.parent.parent.name.removeprefix("symbol="), p.parent.name.removeprefix("timeframe="))
            for p in (self.root / "bars").glob("symbol=*/timeframe=*/*.parquet")
        }
        if not entries:
            raise NotFound(
                f"the lake at {self.root} holds no bars",
                code="EMPTY_LAKE",
                remedy="Bring data in first: `sextant ingest --help`.",
            )
        if symbol not in {known for known, _ in entries}:
            names = ", ".join(sorted({known for known, _ in entries}))
            raise NotFound(
                f"the lake has no bars of {symbol!r}: it holds {names}",
                code="UNKNOWN_SYMBOL",
                remedy="Check the name, or bring its bars in first: `sextant ingest --help`.",
            )
        if (symbol, parsed.value) not in entries:
            known = ", ".join(sorted(length for name, length in entries if name == symbol))
            raise NotFound(
                f"the lake has no {parsed} bars of {symbol}: it holds {known}",
                code="UNKNOWN_TIMEFRAME",
                remedy="Ingest them, or make them of shorter ones: `sextant data resample --help`.",
            )
        return sorted(self._folder(symbol, parsed).glob("*.parquet"))


def _validate(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a checked frame with the columns of bars and of microstructure, NaN where absent."""
    bars = [name for name in frame.columns if name not in MICROSTRUCTURE]
    told = [name for name in frame.columns if name in MICROSTRUCTURE]
    checked = CLEAN_BARS.validate(frame[bars])
    if told:
        checked = checked.join(CLEAN_MICROSTRUCTURE.validate(frame[told]))
    return checked.reindex(columns=[*BAR_COLUMNS, *MICROSTRUCTURE])


def _overlaps(path: Path, start_ns: int | None, end_ns: int | None) -> bool:
    """Return whether a month's file can hold closes in an interval."""
    month = np.datetime64(path.stem, "M")
    opens_ns = int(month.astype("M8[ns]").astype(np.int64))
    ends_ns = int((month + 1).astype("M8[ns]").astype(np.int64))
    return (start_ns is None or start_ns < ends_ns) and (end_ns is None or opens_ns < end_ns)


def safe_name(name: str) -> str:
    """Return `name` if it can be part of a path.

    Raises
    ------
    InvalidInput
        With code ``UNSAFE_NAME``.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidInput(
            f"{name!r} cannot be the name of a series: expected letters, digits and . _ # -",
            code="UNSAFE_NAME",
        )
    return name
