"""`sextant data`: what the lake holds, and what came into it with faults."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from online.domain.market import NANOSECONDS_PER_SECOND
from pipelines.commands import data_fill, data_quotes, data_series
from pipelines.commands.options import HOME, HomeOption, JsonOption
from pipelines.commands.terminal import FittingTable, console, write_json
from pipelines.home import Home

if TYPE_CHECKING:
    from pipelines.lake_overview import QuotesOverview, SeriesOverview
    from pipelines.quality_report import GapRecord

BYTES_PER_MEBIBYTE = 1 << 20


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help="Look into the lake, and make longer bars.", no_args_is_help=True)
    group.command("list", epilog="Example: sextant data list --json")(list_series)
    data_series.add_to(group)
    data_quotes.add_to(group)
    data_fill.add_to(group)
    app.add_typer(group, name="data")


def list_series(home: HomeOption = HOME, json: JsonOption = False) -> None:
    """List every series of the lake with its sources, its gaps and the rows in quarantine."""
    from pipelines.lake import Lake
    from pipelines.lake_overview import survey

    overview = survey(Lake(Home(home).lake))
    if json:
        write_json(overview)
        return
    if not (overview.bars or overview.ticks):
        console.print(f"The lake below {home} is empty; fill it with `sextant ingest`.")
        return
    if overview.bars:
        console.print(_bars_table(overview.bars))
    if overview.ticks:
        console.print(_ticks_table(overview.ticks))


def _bars_table(entries: list[SeriesOverview]) -> FittingTable:
    head = (
        *("series", "closes", "bars", "MiB", "gaps", "bars missing"),
        *("largest gap (source clock)", "rows in quarantine", "sources, clocks"),
    )
    rows = [
        (
            f"{entry.symbol} {entry.timeframe} {entry.side}",
            f"{_minute(entry.first_ns)}\n{_minute(entry.last_ns)}",
            *(f"{entry.bars:,}", f"{entry.size_bytes / BYTES_PER_MEBIBYTE:.1f}"),
            *(_count(entry.gaps), _count(entry.missing_bars), _gap(entry.largest_gap)),
            *(_reasons(entry.quarantined), "\n".join((*entry.sources, *entry.clocks))),
        )
        for entry in entries
    ]
    return FittingTable("Bars", [head, *rows])


def _ticks_table(entries: list[QuotesOverview]) -> FittingTable:
    head = (
        *("symbol", "feed", "rows read", "in the lake", "first", "last", "files"),
        "rows in quarantine",
    )
    rows = [
        (
            *(entry.symbol, entry.feed, f"{entry.rows_read:,}", f"{entry.ticks:,}"),
            *(_minute(entry.first_ns), _minute(entry.last_ns), str(entry.files)),
            _reasons(entry.quarantined),
        )
        for entry in entries
    ]
    return FittingTable("Quotes", [head, *rows])


def _gap(gap: GapRecord | None) -> str:
    return "-" if gap is None else f"{gap.duration_on_source_clock}\nafter {gap.after[:16]}"


def _reasons(quarantined: Mapping[str, int]) -> str:
    return "\n".join(f"{count:,} {name}" for name, count in quarantined.items()) or "none"


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _minute(stamp_ns: int) -> str:
    return f"{datetime.fromtimestamp(stamp_ns // NANOSECONDS_PER_SECOND, tz=UTC):%Y-%m-%d %H:%M}"
