"""Quote ticks in the lake: ``ticks/symbol=EURUSD/feed=oanda/2014-05/20140501_quote.parquet``.

Quotes have no key (several may share a millisecond), so what is written once is a source's daily
file: the same file again adds nothing, and another of the same name is refused. A live day grows at
its end alone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa

from online.domain.errors import InvalidInput, InvalidMarketData, NotFound
from pipelines.lake import safe_name
from pipelines.lake_files import (
    LakePart,
    only_writer,
    open_parquet,
    write_parquet,
    write_whole,
)
from pipelines.quality_ticks import CLEAN_TICKS
from pipelines.sources.ticks import TICK_COLUMNS

_SCHEMA = pa.schema(
    [
        pa.field("at_ns", pa.int64(), nullable=False),
        pa.field("bid", pa.float64(), nullable=False),
        pa.field("ask", pa.float64(), nullable=False),
    ]
)
_COVERAGE = "coverage.json"


@dataclass(frozen=True, slots=True)
class TickEntry:
    """One feed's quotes of one symbol.

    Parameters
    ----------
    symbol, feed
        What they are.
    ticks
        How many there are.
    first_ns, last_ns
        Times of the first and last, UTC nanoseconds.
    files
        How many daily files there are.
    """

    symbol: str
    feed: str
    ticks: int
    first_ns: int
    last_ns: int
    files: int


class TickLake(LakePart):
    """Quotes on disk."""

    def write_ticks(
        self, symbol: str, feed: str, source_file: str, file_sha256: str, frame: pd.DataFrame
    ) -> int:
        """Add the quotes of a daily file; return how many were new: all, or none.

        Parameters
        ----------
        symbol, feed
            What they are.
        source_file, file_sha256
            The file they came from and the digest of its bytes.
        frame
            Cleaned quotes (see `pipelines.quality_ticks.CLEAN_TICKS`), at least one.

        Raises
        ------
        InvalidMarketData
            With code ``CONFLICTS_WITH_LAKE`` if a file of that name and other content is there.
        Unavailable
            With code ``LAKE_UNWRITABLE``.
        """
        frame = CLEAN_TICKS.validate(frame)
        month = pd.Timestamp(int(frame["at_ns"].iloc[0])).strftime("%Y-%m")
        folder = self._folder(symbol, feed) / month
        path = folder / f"{safe_name(Path(source_file).stem)}.parquet"
        with only_writer(folder):
            if path.exists():
                kept = _about(path)["sha256"]
                if kept != file_sha256:
                    raise InvalidMarketData(
                        f"the lake has another {source_file} of {feed} {symbol}: its digest is "
                        f"{kept[:12]}, {file_sha256[:12]} came",
                        code="CONFLICTS_WITH_LAKE",
                        remedy=f"Remove {path} first if the new file is the right one.",
                    )
                return 0
            _write(path, frame, file_sha256)
        return len(frame)

    def extend_ticks(
        self, symbol: str, feed: str, source_file: str, frame: pd.DataFrame, from_ns: int
    ) -> int:
        """Add quotes to a day that still goes on; return how many were new.

        Parameters
        ----------
        symbol, feed
            What they are.
        source_file
            Name of the day.
        frame
            Cleaned quotes, at least one, all there are from `from_ns` on.
        from_ns
            Since when, UTC nanoseconds; what is kept of earlier stays.

        Raises
        ------
        InvalidMarketData
            With code ``CONFLICTS_WITH_LAKE`` if what is kept since `from_ns` is not how they begin.
        Unavailable
            With code ``LAKE_UNWRITABLE``.
        """
        frame = CLEAN_TICKS.validate(frame)
        month = pd.Timestamp(int(frame["at_ns"].iloc[0])).strftime("%Y-%m")
        folder = self._folder(symbol, feed) / month
        path = folder / f"{safe_name(source_file)}.parquet"
        with only_writer(folder):
            kept = open_parquet(path).read().to_pandas() if path.exists() else frame.iloc[:0]
            early = kept[kept["at_ns"] < from_ns]
            again = kept.iloc[len(early) :].reset_index(drop=True)
            if not again.equals(frame.iloc[: len(again)].reset_index(drop=True)):
                raise InvalidMarketData(
                    f"the lake's {feed} {symbol} of {source_file} has {len(again)} quotes since "
                    f"{from_ns} that are not those which came",
                    code="CONFLICTS_WITH_LAKE",
                    remedy=f"Remove {path} first if what came is right.",
                )
            added = len(frame) - len(again)
            if added:
                whole = pd.concat([early, frame], ignore_index=True)
                _write(path, whole, hashlib.sha256(whole.to_numpy().tobytes()).hexdigest())
        return added

    def cover(self, symbol: str, feed: str, first_ns: int, last_ns: int) -> None:
        """Remember that every quote of a live feed between two of its quotes is kept.

        Parameters
        ----------
        symbol, feed
            What they are.
        first_ns, last_ns
            Times of the two, UTC nanoseconds.

        Raises
        ------
        Unavailable
            With code ``LAKE_UNWRITABLE``.
        """
        folder = self._folder(symbol, feed)
        with only_writer(folder):
            spans = [*self.coverage(symbol, feed), (first_ns, last_ns)]
            write_whole(folder / _COVERAGE, msgspec.json.encode(_joined(spans)))

    def coverage(self, symbol: str, feed: str) -> list[tuple[int, int]]:
        """Return the spans in which every quote of a live feed is kept, UTC nanoseconds.

        Between two spans nobody asked: what is kept there need not be all there was.
        """
        file = self._folder(symbol, feed) / _COVERAGE
        if not file.is_file():
            return []
        try:
            return msgspec.json.decode(file.read_bytes(), type=list[tuple[int, int]])
        except msgspec.DecodeError as error:
            raise InvalidInput(
                f"{file} cannot be read: {error}",
                code="LAKE_FILE_CORRUPT",
                remedy="Remove the file and ingest the feed's days again.",
            ) from error

    def read_ticks(
        self, symbol: str, feed: str, start_ns: int | None = None, end_ns: int | None = None
    ) -> pd.DataFrame:
        """Return the quotes with ``start_ns <= at_ns < end_ns``, oldest first.

        Returns
        -------
        frame
            ``at_ns`` (int64, UTC nanoseconds), ``bid`` and ``ask`` (float64); quotes of one time
            keep their order.

        Raises
        ------
        NotFound
            With code ``NO_TICKS``.
        """
        frames: list[pd.DataFrame] = []
        for path in self._files(symbol, feed):
            about = _about(path)
            starts_late = end_ns is not None and int(about["first_ns"]) >= end_ns
            ends_early = start_ns is not None and int(about["last_ns"]) < start_ns
            if not (starts_late or ends_early):
                frames.append(open_parquet(path).read().to_pandas())
        frame: pd.DataFrame = (
            pd.concat(frames, ignore_index=True) if frames else _SCHEMA.empty_table().to_pandas()
        )
        stamps = frame["at_ns"].to_numpy()
        kept = np.ones(len(stamps), dtype=np.bool_)
        if start_ns is not None:
            kept &= stamps >= start_ns
        if end_ns is not None:
            kept &= stamps < end_ns
        return frame[kept].sort_values("at_ns", kind="stable", ignore_index=True)

    def describe(self) -> list[TickEntry]:
        """Return every feed of every symbol; empty if there is none."""
        entries = []
        for folder in sorted((self.root / "ticks").glob("symbol=*/feed=*")):
            paths = sorted(folder.glob("*/*.parquet"))
            if paths:
                abouts = [_about(path) for path in paths]
                entries.append(
                    TickEntry(
                        symbol=folder.parent.name.removeprefix("symbol="),
                        feed=folder.name.removeprefix("feed="),
                        ticks=sum(open_parquet(path).metadata.num_rows for path in paths),
                        first_ns=min(int(about["first_ns"]) for about in abouts),
                        last_ns=max(int(about["last_ns"]) for about in abouts),
                        files=len(paths),
                    )
                )
        return entries

    def _folder(self, symbol: str, feed: str) -> Path:
        return self.root / "ticks" / f"symbol={safe_name(symbol)}" / f"feed={safe_name(feed)}"

    def _files(self, symbol: str, feed: str) -> list[Path]:
        found = sorted(self._folder(symbol, feed).glob("*/*.parquet"))
        if not found:
            there = ", ".join(f"{entry.feed} {entry.symbol}" for entry in self.describe())
            raise NotFound(
                f"the lake has no ticks of {feed} {symbol}: it holds {there or 'none'}",
                code="NO_TICKS",
                remedy="Bring them in first: `sextant ingest --help`.",
            )
        return found


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans in order, those that touch as one."""
    found: list[tuple[int, int]] = []
    for first_ns, last_ns in sorted(spans):
        if found and first_ns <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], last_ns))
        else:
            found.append((first_ns, last_ns))
    return found


def _write(path: Path, frame: pd.DataFrame, sha256: str) -> None:
    """Write a day's quotes whole, or not at all."""
    about = {
        "sextant.sha256": sha256,
        "sextant.first_ns": str(frame["at_ns"].iloc[0]),
        "sextant.last_ns": str(frame["at_ns"].iloc[-1]),
    }
    columns = [pa.array(frame[name].to_numpy()) for name in TICK_COLUMNS]
    write_parquet(path, pa.table(columns, _SCHEMA.with_metadata(about)))


def _about(path: Path) -> dict[str, str]:
    stored = open_parquet(path).schema_arrow.metadata or {}
    return {key.decode().removeprefix("sextant."): value.decode() for key, value in stored.items()}
