"""`sextant data activity`: bars of so many quotes, out of the lake."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from online.domain.errors import InvalidInput, NotFound
from online.domain.market import PriceSide
from pipelines.commands.options import HOME, SYMBOL, HomeOption, SymbolOption
from pipelines.commands.terminal import console
from pipelines.home import Home


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    group.command(
        "activity",
        epilog="Example: sextant data activity --feed oanda --quotes 500 --out b.parquet",
    )(activity)


def activity(
    feed: Annotated[str, typer.Option(help="Whose quotes of the lake, such as oanda.")],
    quotes: Annotated[int, typer.Option(min=1, help="Quotes after which a bar is complete.")],
    out: Annotated[Path, typer.Option(help="Parquet file to write the bars to.")],
    symbol: SymbolOption = SYMBOL,
    side: Annotated[str, typer.Option(help="Whose prices: bid or ask.")] = "bid",
    home: HomeOption = HOME,
) -> None:
    """Make bars of so many quotes each, with their microstructure, and write them to a file."""
    if out.suffix.lower() != ".parquet":
        raise InvalidInput(f"--out is a file ending in .parquet, got {out}")
    if side not in tuple(PriceSide):
        raise InvalidInput(f"--side is bid or ask, got {side!r}")
    import pyarrow as pa

    from online.instruments import find_instrument
    from pipelines.lake_files import write_parquet
    from pipelines.lake_ticks import TickLake
    from pipelines.tick_bars import bars_by_activity

    ticks = TickLake(Home(home).lake).read_ticks(symbol, feed)
    point = find_instrument(symbol).point
    bars = bars_by_activity(ticks, quotes, point=point, side=PriceSide(side))
    if bars.empty:
        raise NotFound(f"{len(ticks):,} quotes make no bar of {quotes:,}", code="NO_BARS")
    write_parquet(out, pa.Table.from_pandas(bars, preserve_index=False))
    console.print(f"{len(bars):,} bars of {len(ticks):,} quotes written: {out}", soft_wrap=True)
