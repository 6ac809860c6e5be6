"""Bars from a CSV file: HistData, MetaTrader 5 exports, or any layout that is described."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from online.domain.errors import InvalidInput, InvalidMarketData
from online.domain.market import Timeframe
from pipelines.sources.correlation import KnownSeries
from pipelines.sources.layout import PRESETS, CsvLayout, Preset
from pipelines.sources.one_file import OneFile
from pipelines.sources.raw import MEASURES, PRICES, Fault, RawBars
from pipelines.sources.stamping import Origin, put_on_utc
from pipelines.sources.text import (
    SourceText,
    read_text,
    split_line,
    split_lines,
    to_floats,
    to_wall_ns,
)


class CsvConfig(BaseModel):
    """A CSV file of bars, or a zip that holds one.

    Attributes
    ----------
    path
        The file.
    preset
        Whose export it is; ``generic`` with a `layout` of one's own.
    layout
        The columns of a ``generic`` file.
    timeframe
        Length of the bars, where neither preset nor layout says it.
    clock
        Overrides the clock of the preset (see `pipelines.sources.clock.find_clock`); the preset
        ``mt5`` infers it otherwise, which needs some months of bars.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["csv"] = "csv"
    path: Path
    preset: Preset | Literal["generic"]
    layout: CsvLayout | None = None
    timeframe: Timeframe | None = None
    clock: str | None = None

    @model_validator(mode="after")
    def _layout_goes_with_generic(self) -> Self:
        if (self.preset == "generic") != (self.layout is not None):
            message = "a layout is needed with preset 'generic', and only with it"
            raise ValueError(message)
        return self


class CsvBars(OneFile[CsvConfig]):
    """Bars read from a CSV file."""

    def read(self, known: KnownSeries | None = None, /) -> RawBars:
        """Read the file, every row of it.

        Raises
        ------
        NotFound
            ``FILE_NOT_FOUND``.
        InvalidMarketData
            ``EMPTY_FILE``, ``MALFORMED_FILE``, ``WRONG_PRESET`` if the file is not laid out so.
        InvalidInput
            ``TIMEFRAME_NEEDED``, ``WRONG_TIMEFRAME`` or ``UNKNOWN_CLOCK``.
        """
        config = self._config
        text = read_text(config.path)
        layout = self._layout_of(text)
        source = f"csv:{config.preset}"
        timeframe = self._timeframe_of(layout)
        return read_bars(text, layout, source=source, timeframe=timeframe, known=known)

    def _layout_of(self, text: SourceText) -> CsvLayout:
        config = self._config
        if config.layout is not None:
            candidates: tuple[CsvLayout, ...] = (config.layout,)
        else:
            candidates = PRESETS[config.preset]  # type: ignore[index]  # generic has a layout
        for layout in candidates:
            if set(layout.columns) <= set(header_of(text, layout)):
                return layout.model_copy(update={"clock": config.clock or layout.clock})
        expected = " or ".join(", ".join(layout.columns) for layout in candidates)
        raise InvalidMarketData(
            f"{text.name} is not of preset {config.preset!r}: expected the columns {expected}; "
            f"the first line is {text.lines[0][:120]!r}",
            code="WRONG_PRESET",
        )

    def _timeframe_of(self, layout: CsvLayout) -> Timeframe:
        asked, declared = self._config.timeframe, layout.timeframe
        if asked is None and declared is None:
            raise InvalidInput(
                f"{self._config.path.name} does not say how long its bars are: "
                f"give the timeframe, one of {', '.join(Timeframe)}",
                code="TIMEFRAME_NEEDED",
            )
        if asked is not None and declared is not None and asked is not declared:
            raise InvalidInput(
                f"preset {self._config.preset!r} has {declared} bars, timeframe {asked} was given",
                code="WRONG_TIMEFRAME",
            )
        return asked or declared  # type: ignore[return-value]  # not both are None


def header_of(text: SourceText, layout: CsvLayout) -> list[str]:
    """Return the column names of a file, lower case; empty if they cannot be those of `layout`."""
    if len(text.lines) <= layout.skip_lines:
        return []
    first = split_line(text.lines[layout.skip_lines], layout.separator)
    if layout.names is None:
        return [name.strip().lower() for name in first]
    return [name.lower() for name in layout.names] if len(first) == len(layout.names) else []


def read_bars(
    text: SourceText,
    layout: CsvLayout,
    *,
    source: str,
    timeframe: Timeframe,
    known: KnownSeries | None = None,
) -> RawBars:
    """Turn the lines of a file into raw bars.

    Parameters
    ----------
    text
        The file; it must have the columns of `layout`.
    layout
        How it is laid out.
    source
        Name for the rows' provenance.
    timeframe
        Length of the bars.
    known
        A series of known clock to compare with.

    Raises
    ------
    InvalidMarketData
        ``WRONG_PRESET`` if not one stamp can be read; ``EMPTY_FILE`` if there are no rows;
        ``AMBIGUOUS_CLOCK`` if the clock is to be inferred and cannot be; ``CLOCK_CONTRADICTED``.
    """
    header = header_of(text, layout)
    first_row = layout.skip_lines + (1 if layout.names is None else 0)
    lines = text.lines[first_row:]
    if not lines:
        raise InvalidMarketData(f"{text.name} has a header and no rows", code="EMPTY_FILE")
    columns, well_formed = split_lines(lines, layout.separator, len(header))
    by_name = dict(zip(header, columns, strict=True))

    fault = np.full(len(lines), Fault.MALFORMED_ROW, dtype=object)
    wall_ns = np.zeros(len(lines), dtype=np.int64)
    stamp = pc.binary_join_element_wise(*(by_name[name.lower()] for name in layout.stamp), " ")
    wall_ns[well_formed], undated = to_wall_ns(stamp, layout.stamp_format)
    fault[well_formed] = np.where(undated, Fault.BAD_STAMP, "")
    if undated.all():
        raise InvalidMarketData(
            f"{text.name}: no row has a time written as {layout.stamp_format!r}; "
            f"line {first_row + 1} is {lines[0][:120]!r}",
            code="WRONG_PRESET",
        )
    measures: dict[str, NDArray[np.float64]] = {}
    for measure in MEASURES:
        measures[measure] = np.full(len(lines), np.nan)
        name = getattr(layout, measure)
        if name is not None:
            column: pa.Array = by_name[name.lower()]
            measures[measure][well_formed], unreadable = to_floats(column)
            if measure not in PRICES:  # an unreadable price is NaN, which a price may not be
                place = np.flatnonzero(well_formed)[unreadable]
                fault[place[fault[place] == ""]] = Fault.NOT_A_NUMBER
    return put_on_utc(
        Origin(
            source=source,
            source_file=text.name,
            file_sha256=text.sha256,
            side=layout.side,
            timeframe=timeframe,
            clock=layout.clock,
            stamped_at=layout.stamped_at,
            descending=layout.order == "descending",
        ),
        row_number=np.arange(first_row + 1, first_row + 1 + len(lines), dtype=np.int64),
        wall_ns=wall_ns,
        measures=measures,
        fault=fault,
        raw_text=lambda positions: [lines[i] for i in positions],
        known=known,
    )
