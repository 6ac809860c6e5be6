"""`sextant data activity`: bars of so many quotes, or of so much volume, out of the lake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from online.domain.errors import InvalidInput, NotFound
from online.domain.market import PriceSide, Timeframe
from pipelines.commands.options import HOME, SYMBOL, HomeOption, SymbolOption
from pipelines.commands.terminal import console
from pipelines.home import Home

if TYPE_CHECKING:
    import pandas as pd


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    group.command(
        "activity",
        epilog="Examples: sextant data activity --feed oanda --quotes 500 --out b.parquet; "
        "sextant data activity --timeframe M1 --volume 5000 --out b.parquet",
    )(activity)


def activity(
    out: Annotated[Path, typer.Option(help="Parquet file to write the bars to.")],
    feed: Annotated[
        str | None, typer.Option(help="Bars by quotes: whose quotes of the lake, such as oanda.")
    ] = None,
    quotes: Annotated[
        int | None, typer.Option(min=1, help="Quotes after which a bar is complete.")
    ] = None,
    side: Annotated[str, typer.Option(help="Bars by quotes: whose prices, bid or ask.")] = "bid",
    timeframe: Annotated[
        str | None, typer.Option(help="Bars by volume: the bars of the lake they are made of.")
    ] = None,
    volume: Annotated[
        float | None, typer.Option(help="Volume after which a bar is complete.")
    ] = None,
    symbol: SymbolOption = SYMBOL,
    home: HomeOption = HOME,
) -> None:
    """Make bars of so many quotes, with their microstructure, or of so much volume."""
    if out.suffix.lower() != ".parquet":
        raise InvalidInput(f"--out is a file ending in .parquet, got {out}")
    if side not in tuple(PriceSide):
        raise InvalidInput(f"--side is bid or ask, got {side!r}")
    import pyarrow as pa

    from pipelines.lake_files import write_parquet

    if feed is not None and quotes is not None and timeframe is None and volume is None:
        bars, of = _by_quotes(home, symbol, feed, quotes, PriceSide(side))
        amount = f"{quotes:,}"
    elif timeframe is not None and volume is not None and feed is None and quotes is None:
        bars, of = _by_volume(home, symbol, Timeframe.parse(timeframe), volume)
        amount = f"{volume:,g}"
    else:
        raise InvalidInput("give --feed and --quotes, or --timeframe and --volume")
    if bars.empty:
        raise NotFound(f"{of} make no bar of {amount}", code="NO_BARS")
    write_parquet(out, pa.Table.from_pandas(bars, preserve_index=False))
    console.print(f"{len(bars):,} bars of {of} written: {out}", soft_wrap=True)


def _by_quotes(
    home: Path, symbol: str, feed: str, quotes: int, side: PriceSide
) -> tuple[pd.DataFrame, str]:
    from online.instruments import find_instrument
    from pipelines.lake_ticks import TickLake
    from pipelines.tick_bars import bars_by_quotes

    ticks = TickLake(Home(home).lake).read_ticks(symbol, feed)
    bars = bars_by_quotes(ticks, quotes, point=find_instrument(symbol).point, side=side)
    return bars, f"{len(ticks):,} quotes"


def _by_volume(
    home: Path, symbol: str, timeframe: Timeframe, volume: float
) -> tuple[pd.DataFrame, str]:
    from pipelines.lake import Lake
    from pipelines.volume_bars import bars_by_volume

    bars = Lake(Home(home).lake).read_bars(symbol, timeframe)
    return bars_by_volume(bars, volume), f"{len(bars):,} {timeframe} bars"
