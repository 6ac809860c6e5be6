"""Bars from a Parquet file, such as a frame of MetaTrader 5's ``copy_rates``."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from online.domain.errors import InvalidMarketData
from online.domain.market import NANOSECONDS_PER_SECOND, PriceSide, Timeframe
from pipelines.sources.calibration import CALIBRATE
from pipelines.sources.correlation import KnownSeries
from pipelines.sources.one_file import OneFile
from pipelines.sources.raw import MEASURES, Fault, RawBars
from pipelines.sources.stamping import Origin, put_on_utc
from pipelines.sources.text import read_bytes


class ParquetConfig(BaseModel):
    """A Parquet file of bars; the column names are those of MetaTrader 5's ``copy_rates``.

    Attributes
    ----------
    path
        The file.
    timeframe
        Length of the bars.
    stamp
        Column with the time: a timestamp, or whole seconds since 1970-01-01. A terminal writes its
        server's wall clock there, often labelled UTC; so the label is not believed, see `clock`.
    clock
        Whose time it is (see `pipelines.sources.clock.find_clock`); inferred by default.
    side
        Which side of the market the prices are; a terminal's bars are bid.
    open, high, low, close, volume, spread_points
        Column names; None where the file does not have it.
    stamped_at
        Whether the time is the bar's open or its close.
    order
        Whether the file is oldest first (ascending) or newest first (descending).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["parquet"] = "parquet"
    path: Path
    timeframe: Timeframe
    stamp: str = "time"
    clock: str = CALIBRATE
    side: PriceSide = PriceSide.BID
    open: str = "open"
    high: str = "high"
    low: str = "low"
    close: str = "close"
    volume: str | None = "tick_volume"
    spread_points: str | None = "spread"
    stamped_at: Literal["open", "close"] = "open"
    order: Literal["ascending", "descending"] = "ascending"


class ParquetBars(OneFile[ParquetConfig]):
    """Bars read from a Parquet file."""

    def read(self, known: KnownSeries | None = None, /) -> RawBars:
        """Read the file, every row of it.

        Raises
        ------
        NotFound
            ``FILE_NOT_FOUND``.
        InvalidMarketData
            ``EMPTY_FILE``, ``MALFORMED_FILE``, ``WRONG_PRESET`` if a column is missing or not of a
            usable type, ``AMBIGUOUS_CLOCK`` if the clock cannot be inferred.
        """
        config = self._config
        content = read_bytes(config.path)
        table = self._read_table(content)
        wall_ns, undated = _wall_ns(table[config.stamp].combine_chunks(), config)
        measures = {
            name: self._measure(table, getattr(config, name), len(wall_ns)) for name in MEASURES
        }
        return put_on_utc(
            Origin(
                source=config.kind,
                source_file=config.path.name,
                file_sha256=hashlib.sha256(content).hexdigest(),
                side=config.side,
                timeframe=config.timeframe,
                clock=config.clock,
                stamped_at=config.stamped_at,
                descending=config.order == "descending",
            ),
            row_number=np.arange(1, len(wall_ns) + 1, dtype=np.int64),
            wall_ns=wall_ns,
            measures=measures,
            fault=np.where(undated, Fault.BAD_STAMP, "").astype(object),
            raw_text=lambda positions: [str(row) for row in table.take(positions).to_pylist()],
            known=known,
        )

    def _read_table(self, content: bytes) -> pa.Table:
        config = self._config
        try:
            table = pq.read_table(io.BytesIO(content))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
            raise InvalidMarketData(
                f"{config.path.name} is not a Parquet file: {error}", code="MALFORMED_FILE"
            ) from error
        named = [config.stamp, *(getattr(config, name) for name in MEASURES)]
        missing = [name for name in named if name is not None and name not in table.column_names]
        if missing:
            raise InvalidMarketData(
                f"{config.path.name} has no column {', '.join(missing)}: "
                f"it has {', '.join(table.column_names)}",
                code="WRONG_PRESET",
            )
        if table.num_rows == 0:
            raise InvalidMarketData(f"{config.path.name} holds no rows", code="EMPTY_FILE")
        return table

    def _measure(self, table: pa.Table, name: str | None, count: int) -> NDArray[np.float64]:
        if name is None:
            return np.full(count, np.nan)
        try:
            column = table[name].cast(pa.float64()).combine_chunks()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InvalidMarketData(
                f"column {name!r} of {self._config.path.name} is not of numbers: {error}",
                code="WRONG_PRESET",
            ) from error
        return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def _wall_ns(
    column: pa.Array, config: ParquetConfig
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the stamps as wall-clock nanoseconds, and where there is none."""
    undated = pc.is_null(column).to_numpy(zero_copy_only=False)
    if pa.types.is_timestamp(column.type):
        stamps = pd.DatetimeIndex(column.to_pandas())
        stamps = stamps if stamps.tz is None else stamps.tz_convert("UTC").tz_localize(None)
        wall_ns = np.asarray(stamps.as_unit("ns").asi8)
    elif pa.types.is_integer(column.type):
        seconds = column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        wall_ns = seconds * NANOSECONDS_PER_SECOND
    else:
        raise InvalidMarketData(
            f"column {config.stamp!r} of {config.path.name} is {column.type}: "
            "expected timestamps or whole seconds since 1970",
            code="WRONG_PRESET",
        )
    return np.where(undated, 0, wall_ns), undated
