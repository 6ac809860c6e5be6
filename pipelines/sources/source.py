"""The sources of bars: their port, their settings and how one is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Protocol, assert_never

from pydantic import Field

from pipelines.sources.columnar import ParquetBars, ParquetConfig
from pipelines.sources.correlation import KnownSeries
from pipelines.sources.delimited import CsvBars, CsvConfig
from pipelines.sources.demo import DemoBars, DemoConfig
from pipelines.sources.raw import RawBars
from pipelines.sources.synthetic import SyntheticBars, SyntheticConfig
from pipelines.sources.terminal import TerminalBars, TerminalConfig


class BarSource(Protocol):
    """Somewhere bars come from."""

    def files(self) -> tuple[Path, ...]:
        """Return the files whose content decides what is read."""
        ...

    def read(self, known: KnownSeries | None = None, /) -> RawBars:
        """Read every row; rows that cannot be are marked, not dropped.

        Parameters
        ----------
        known
            A series whose clock is known, to infer or to prove the source's clock with.
        """
        ...


SourceConfig = Annotated[
    DemoConfig | CsvConfig | ParquetConfig | SyntheticConfig | TerminalConfig,
    Field(discriminator="kind"),
]
"""Settings of any source; the field ``kind`` tells which."""


def open_source(config: SourceConfig) -> BarSource:
    """Return the source that `config` describes.

    Examples
    --------
    >>> len(open_source(DemoConfig()).read().rows)
    6225
    """
    match config:
        case DemoConfig():
            return DemoBars(config)
        case CsvConfig():
            return CsvBars(config)
        case ParquetConfig():
            return ParquetBars(config)
        case SyntheticConfig():
            return SyntheticBars(config)
        case TerminalConfig():
            return TerminalBars(config)
        case _:
            assert_never(config)
