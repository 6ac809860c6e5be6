"""`sextant data show`, `gaps`, `plot` and `resample`: one series of the lake."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from online.domain.errors import InvalidInput
from online.domain.market import Timeframe
from pipelines.commands.days import bounds_ns
from pipelines.commands.environment import prepare_environment
from pipelines.commands.ingesting import parse_timeframes
from pipelines.commands.options import (
    HOME,
    SYMBOL,
    TIMEFRAME,
    DayOption,
    HomeOption,
    JsonOption,
    SymbolOption,
    TimeframeOption,
)
from pipelines.commands.terminal import console, notes, rows_table, write_json
from pipelines.home import Home

if TYPE_CHECKING:
    import pandas as pd

FeedOption = Annotated[
    str | None, typer.Option(help="Show this feed's quotes, such as oanda, instead of bars.")
]
_PICTURES = (".png", ".html")
_GAPS_LISTED = 100


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    group.command("show", epilog="Example: sextant data show --symbol EURUSD --timeframe H1")(show)
    group.command("gaps", epilog="Example: sextant data gaps --timeframe M1 --at-least 60")(gaps)
    group.command("plot", epilog="Example: sextant data plot --timeframe H1 --out eurusd.html")(
        plot
    )
    group.command("resample", epilog="Example: sextant data resample --from M1 --to M5,M15,H1")(
        resample
    )


def show(
    symbol: SymbolOption = SYMBOL,
    timeframe: TimeframeOption = TIMEFRAME,
    feed: FeedOption = None,
    since: DayOption = None,
    until: DayOption = None,
    rows: Annotated[int, typer.Option(min=1, max=1000, help="Rows of head and of tail.")] = 5,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Show a series' first and last rows, every column's statistics, and where rows came from."""
    frame, stamp = _read(home, symbol, timeframe, feed, since, until)
    numbers = frame.drop(columns=stamp)
    statistics = [
        {"column": name, **figures}
        for name, figures in numbers.describe().to_dict().items()
        if isinstance(name, str)
    ]
    head, tail = (_rows(part, stamp) for part in (frame.head(rows), frame.tail(rows)))
    origins = [] if feed is not None else _origins(home, symbol, timeframe, since, until)
    if json:
        write_json(
            {
                "rows": len(frame),
                "head": head,
                "tail": tail,
                "statistics": statistics,
                "sources": origins,
            }
        )
        return
    what = f"{symbol} {timeframe}" if feed is None else f"{symbol} quotes of {feed}"
    console.print(rows_table(f"{what}: first of {len(frame):,} rows", head))
    console.print(rows_table("Last", tail))
    console.print(rows_table("Statistics", statistics))
    if origins:
        console.print(rows_table("Rows by source", origins))


def gaps(
    symbol: SymbolOption = SYMBOL,
    timeframe: TimeframeOption = TIMEFRAME,
    at_least: Annotated[int, typer.Option(min=1, help="Only gaps of so many bars or more.")] = 1,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """List the holes of a series against the session calendar of its market, oldest first."""
    from pipelines.lake import Lake
    from pipelines.lake_overview import series_gaps

    found = series_gaps(Lake(Home(home).lake), symbol, Timeframe.parse(timeframe))
    shown = [gap for gap in found if gap.missing_bars >= at_least]
    if json:
        write_json(shown)
        return
    table = Table("after (UTC)", "before (UTC)")
    for column in ("bars missing", "duration", "by the source's clock"):
        table.add_column(column, justify="right")
    for gap in shown:
        table.add_row(
            *(gap.after, gap.before, f"{gap.missing_bars:,}"),
            *(gap.duration, gap.duration_on_source_clock),
        )
    console.print(table)
    missing = sum(gap.missing_bars for gap in found)
    console.print(f"{len(found):,} gaps, {missing:,} bars missing; {len(shown):,} shown.")


def plot(
    out: Annotated[Path, typer.Option(help="File to write: .png, or .html with the gaps.")],
    symbol: SymbolOption = SYMBOL,
    timeframe: TimeframeOption = TIMEFRAME,
    since: DayOption = None,
    until: DayOption = None,
    home: HomeOption = HOME,
) -> None:
    """Draw a series with its largest gaps in red."""
    if out.suffix.lower() not in _PICTURES:
        raise InvalidInput(f"--out is a file ending in .png or .html, got {out}")
    frame, stamp = _read(home, symbol, timeframe, None, since, until)
    from online.instruments import find_instrument
    from pipelines.page import Page
    from pipelines.quality_gaps import calendar_of, find_gaps
    from pipelines.quality_report import draw_prices, utc_text

    calendar = calendar_of(find_instrument(symbol))
    found = find_gaps(frame[stamp].to_numpy(), Timeframe.parse(timeframe), calendar)
    picture = draw_prices(frame, found)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix.lower() == ".png":
        out.write_bytes(picture)
    else:
        page = Page(f"{symbol} {timeframe}", f"{len(frame):,} bars, {len(found):,} gaps")
        page.picture(picture, "Prices, with the largest gaps marked in red")
        page.heading(f"Gaps, the largest {min(len(found), _GAPS_LISTED)} of {len(found):,}")
        page.table(
            ["after (UTC)", "before (UTC)", "bars missing", "duration"],
            [
                (utc_text(g.after_ns), utc_text(g.before_ns), g.missing_bars, str(g.duration))
                for g in sorted(found, key=lambda gap: -gap.missing_bars)[:_GAPS_LISTED]
            ],
        )
        page.write(out)
    console.print(f"{len(frame):,} bars and {len(found):,} gaps drawn: {out}", soft_wrap=True)


def resample(
    source: Annotated[str, typer.Option("--from", help="Length of the bars that are there.")],
    targets: Annotated[str, typer.Option("--to", help="Lengths to make, such as M5,M15,H1.")],
    symbol: SymbolOption = SYMBOL,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Make longer bars of a series and keep them in the lake; a second run adds nothing."""
    given, wanted = Timeframe.parse(source), parse_timeframes(targets)
    if not wanted:
        raise InvalidInput("--to names no length of bars: expected such as M5,M15,H1")
    prepare_environment(Home(home))
    from pipelines.aggregate import aggregate

    with notes.status(f"making longer bars of {symbol} {given}"):
        reports = aggregate(home, symbol, given, wanted)
    if json:
        write_json(reports)
        return
    for report in reports:
        console.print(
            f"{report.symbol} {report.target} made of {report.source}: {report.added:,} added, "
            f"{report.unchanged:,} there already, {report.replaced:,} replaced, "
            f"{report.refused:,} refused for a source's own",
            soft_wrap=True,
        )


def _read(
    home: Path,
    symbol: str,
    timeframe: str,
    feed: str | None,
    since: datetime | None,
    until: datetime | None,
) -> tuple[pd.DataFrame, str]:
    """Return bars or quotes, at least one, and the name of their column of time."""
    from pipelines.lake import Lake
    from pipelines.lake_ticks import TickLake

    bounds, root = bounds_ns(since, until), Home(home).lake
    if feed is None:
        stamp = "closed_at_ns"
        frame = Lake(root).read_bars(symbol, timeframe, *bounds, microstructure=True)
        frame = frame.dropna(axis="columns", how="all")
    else:
        frame, stamp = TickLake(root).read_ticks(symbol, feed, *bounds), "at_ns"
    if frame.empty:
        raise InvalidInput(f"no row of {symbol} lies between --since and --until")
    return frame, stamp


def _origins(
    home: Path, symbol: str, timeframe: str, since: datetime | None, until: datetime | None
) -> list[dict[str, object]]:
    """Return how many rows each source has, with its rank."""
    from pipelines.lake import Lake

    bounds = bounds_ns(since, until)
    frame = Lake(Home(home).lake).read_bars(symbol, timeframe, *bounds, provenance=True)
    counted = frame.groupby(["source", "priority"], sort=True).size().reset_index(name="rows")
    return [{str(name): value for name, value in row.items()} for row in counted.to_dict("records")]


def _rows(frame: pd.DataFrame, stamp: str) -> list[dict[str, object]]:
    """Return rows for people: the time as ISO 8601, to the millisecond."""
    import pandas as pd

    times = pd.DatetimeIndex(frame[stamp].to_numpy().view("M8[ns]"))
    texts = [f"{text[:-3]}Z" for text in times.strftime("%Y-%m-%dT%H:%M:%S.%f")]
    numbers = frame.drop(columns=stamp).to_dict("records")
    return [
        {stamp.removesuffix("_ns"): text, **{str(k): v for k, v in row.items()}}
        for text, row in zip(texts, numbers, strict=True)
    ]
