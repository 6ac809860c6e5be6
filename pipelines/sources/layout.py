"""How a CSV file of bars is laid out, and the layouts of well-known exports."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from online.domain.market import PriceSide, Timeframe
from pipelines.sources.calibration import CALIBRATE

Preset = Literal["histdata", "mt5", "cryptodatadownload"]


class CsvLayout(BaseModel):
    """Layout of a CSV file of bars.

    Attributes
    ----------
    stamp
        Column with the time, or two columns, date and time of day, joined by a blank.
    stamp_format
        How the time is written, in `strptime`'s words.
    clock
        Whose time it is (see `pipelines.sources.clock.find_clock`), or ``calibrate`` to infer it.
    stamped_at
        Whether the time is the bar's open or its close.
    side
        Which side of the market the prices are.
    timeframe
        Length of the bars; None where the file's giver must say.
    names
        Column names of a file without a header; None where its first line names them.
    skip_lines
        Lines before the header (or the first row).
    open, high, low, close, volume, spread_points
        Column names, compared without case; None where the file does not have it.
    order
        Whether the file is oldest first (ascending) or newest first (descending).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stamp: tuple[str, ...] = Field(min_length=1, max_length=2)
    stamp_format: str
    clock: str
    side: PriceSide
    stamped_at: Literal["open", "close"] = "open"
    timeframe: Timeframe | None = None
    separator: str = Field(default=",", min_length=1, max_length=1)
    names: tuple[str, ...] | None = None
    skip_lines: int = Field(default=0, ge=0)
    open: str = "open"
    high: str = "high"
    low: str = "low"
    close: str = "close"
    volume: str | None = None
    spread_points: str | None = None
    order: Literal["ascending", "descending"] = "ascending"

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is read, lower case."""
        optional = [name for name in (self.volume, self.spread_points) if name is not None]
        needed = (*self.stamp, self.open, self.high, self.low, self.close, *optional)
        return tuple(name.lower() for name in needed)


_HISTDATA = CsvLayout(
    names=("stamp", "open", "high", "low", "close", "unused_volume"),
    separator=";",
    stamp=("stamp",),
    stamp_format="%Y%m%d %H%M%S",
    clock="America/New_York",  # the files say EST without summer time; their weeks say otherwise
    side=PriceSide.BID,
    timeframe=Timeframe.M1,
)
_MT5_SCRIPT = CsvLayout(
    stamp=("date",),
    stamp_format="%Y.%m.%d %H:%M:%S",
    clock=CALIBRATE,
    side=PriceSide.BID,
    volume="tickvol",
    spread_points="spread",
)
_MT5_TERMINAL = CsvLayout(
    separator="\t",
    stamp=("<date>", "<time>"),
    stamp_format="%Y.%m.%d %H:%M:%S",
    clock=CALIBRATE,
    side=PriceSide.BID,
    open="<open>",
    high="<high>",
    low="<low>",
    close="<close>",
    volume="<tickvol>",
    spread_points="<spread>",
)
_MT5_TERMINAL_DAILY = _MT5_TERMINAL.model_copy(
    update={"stamp": ("<date>",), "stamp_format": "%Y.%m.%d"}
)
_CRYPTO_DATA_DOWNLOAD = CsvLayout(
    skip_lines=1,
    stamp=("date",),
    stamp_format="%Y-%m-%d %I-%p",
    clock="UTC",
    side=PriceSide.BID,  # trades, in truth; the lake knows no third side
    timeframe=Timeframe.H1,
    volume="volume_btc",
    order="descending",
)
PRESETS: Final[dict[Preset, tuple[CsvLayout, ...]]] = {
    "histdata": (_HISTDATA,),
    "mt5": (_MT5_TERMINAL, _MT5_TERMINAL_DAILY, _MT5_SCRIPT),
    "cryptodatadownload": (_CRYPTO_DATA_DOWNLOAD,),
}
"""Layouts by preset; of several, the first whose columns the file has is meant."""
