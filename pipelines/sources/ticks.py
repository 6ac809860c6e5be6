"""Quote ticks from daily zips in QuantConnect Lean's layout.

A folder holds a file a day, ``20140501_quote.zip``; in it one CSV without a header: milliseconds
since midnight, bid, ask. The day is in the file's name and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from online.domain.errors import InvalidMarketData, NotFound
from pipelines.sources.clock import find_clock, to_utc
from pipelines.sources.raw import Fault
from pipelines.sources.text import SourceText, read_text, split_lines, to_floats

TICK_COLUMNS = ("at_ns", "bid", "ask")
_DAY_NAME = re.compile(r"(?P<day>\d{8})_quote\.zip")
_NS_PER_MS = 1_000_000
_MS_PER_DAY = 86_400_000


class LeanTicksConfig(BaseModel):
    """A folder of daily quote zips.

    Attributes
    ----------
    folder
        Where the ``YYYYMMDD_quote.zip`` files of one symbol are.
    feed
        Whose quotes they are; the lake keeps the feeds of a symbol apart.
    clock
        Whose midnight the milliseconds count from: ``UTC`` for OANDA, ``UTC-05:00`` for FXCM.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["lean-ticks"] = "lean-ticks"
    folder: Path
    feed: Literal["oanda", "fxcm"]
    clock: str


@dataclass(frozen=True, slots=True)
class RawTicks:
    """A day of quotes as read, nothing dropped, nothing repaired.

    Parameters
    ----------
    feed, source_file, file_sha256
        Where they came from.
    rows
        ``row_number`` (1-based line), ``at_ns`` (int64, 0 where the stamp is at fault), ``bid``,
        ``ask`` (float64) and ``fault`` (a `Fault` or the empty string).
    raw_text
        Gives the text of the rows at these positions.
    """

    feed: str
    source_file: str
    file_sha256: str
    rows: pd.DataFrame
    raw_text: Callable[[NDArray[np.int64]], list[str]]


class LeanTicks:
    """Quotes read from daily zips.

    Parameters
    ----------
    config
        Which folder, and whose clock.
    """

    def __init__(self, config: LeanTicksConfig) -> None:
        self._config = config

    def files(self) -> tuple[Path, ...]:
        """Return the daily files, oldest first.

        Raises
        ------
        NotFound
            With code ``FILE_NOT_FOUND`` if there is none.
        """
        folder = self._config.folder
        found = sorted(p for p in folder.glob("*.zip") if _DAY_NAME.fullmatch(p.name))
        if not found:
            raise NotFound(
                f"{folder} holds no daily quotes: expected files such as 20140501_quote.zip",
                code="FILE_NOT_FOUND",
            )
        return tuple(found)

    def read(self) -> Iterator[RawTicks]:
        """Read the days one after the other.

        Raises
        ------
        NotFound
            ``FILE_NOT_FOUND``.
        InvalidMarketData
            ``EMPTY_FILE``, ``MALFORMED_FILE``, ``BAD_FILE_NAME`` or ``WRONG_PRESET``.
        """
        for path in self.files():
            yield read_day(read_text(path), self._config)


def read_day(text: SourceText, config: LeanTicksConfig) -> RawTicks:
    """Turn the lines of a day's file into raw ticks.

    Raises
    ------
    InvalidMarketData
        ``BAD_FILE_NAME`` if its name has no day, ``WRONG_PRESET`` if no row is laid out so.
    """
    lines = text.lines
    columns, well_formed = split_lines(lines, ",", len(TICK_COLUMNS))
    numbers = {name: np.full(len(lines), np.nan) for name in TICK_COLUMNS}
    for name, column in zip(TICK_COLUMNS, columns, strict=True):
        numbers[name][well_formed], _ = to_floats(column)
    milliseconds = numbers["at_ns"]
    in_day = (milliseconds >= 0.0) & (milliseconds < _MS_PER_DAY)
    if not in_day.any():
        raise InvalidMarketData(
            f"{text.name}: no row is 'milliseconds since midnight, bid, ask'; "
            f"line 1 is {lines[0][:120]!r}",
            code="WRONG_PRESET",
        )
    since_midnight = np.rint(np.where(in_day, milliseconds, 0.0) * _NS_PER_MS).astype(np.int64)
    utc_ns, unclear = to_utc(_midnight_ns(text.name) + since_midnight, find_clock(config.clock))
    fault = np.where(well_formed, np.where(in_day, "", Fault.BAD_STAMP), Fault.MALFORMED_ROW)
    fault = fault.astype(object)
    fault[fault == ""] = unclear[fault == ""]
    rows = pd.DataFrame(
        {
            "row_number": np.arange(1, len(lines) + 1, dtype=np.int64),
            "at_ns": np.where(fault == "", utc_ns, 0),
            "bid": numbers["bid"],
            "ask": numbers["ask"],
        }
    )
    rows["fault"] = fault
    return RawTicks(
        feed=config.feed,
        source_file=text.name,
        file_sha256=text.sha256,
        rows=rows,
        raw_text=lambda positions: [lines[i] for i in positions],
    )


def _midnight_ns(name: str) -> int:
    named = _DAY_NAME.fullmatch(name)
    day = pd.to_datetime(named["day"] if named else "", format="%Y%m%d", errors="coerce")
    if pd.isna(day):
        raise InvalidMarketData(
            f"{name!r} does not name a day: expected such as 20140501_quote.zip",
            code="BAD_FILE_NAME",
        )
    return int(pd.Timestamp(day).value)
