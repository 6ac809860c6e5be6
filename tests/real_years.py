"""Years of real minutes, each read and checked once for all tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from online.instruments import find_instrument
from pipelines.quality import CheckedBars, check
from pipelines.sources.delimited import CsvConfig
from pipelines.sources.source import open_source


@cache
def checked_year(path: Path) -> CheckedBars:
    """Return a HistData zip's verdict; what is in it is shared and not to be changed."""
    raw = open_source(CsvConfig(path=path, preset="histdata")).read()
    return check(raw, find_instrument(path.name[:6]))
