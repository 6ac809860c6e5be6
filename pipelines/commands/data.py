"""`sextant data`: what the lake holds."""

from __future__ import annotations

from datetime import UTC, datetime

import typer
from rich.table import Table

from online.domain.market import NANOSECONDS_PER_SECOND
from pipelines.commands.options import HOME, HomeOption, JsonOption
from pipelines.commands.terminal import console, write_json
from pipelines.home import Home

BYTES_PER_MEBIBYTE = 1 << 20


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help="Look into the lake.", no_args_is_help=True)
    group.command("list", epilog="Example: sextant data list --json")(list_series)
    app.add_typer(group, name="data")


def list_series(home: HomeOption = HOME, json: JsonOption = False) -> None:
    """List every series of the lake."""
    from pipelines.lake import Lake

    entries = Lake(Home(home).lake).describe()
    if json:
        write_json(entries)
        return
    if not entries:
        console.print(f"The lake below {home} is empty; fill it with `sextant ingest`.")
        return
    table = Table("symbol", "timeframe", "side")
    for column in ("bars", "first close", "last close", "MiB"):
        table.add_column(column, justify="right")
    table.add_column("sources")
    for entry in entries:
        table.add_row(
            *(entry.symbol, entry.timeframe.value, entry.side.value, f"{entry.bars:,}"),
            *(_minute(entry.first_ns), _minute(entry.last_ns)),
            *(f"{entry.size_bytes / BYTES_PER_MEBIBYTE:.1f}", ", ".join(entry.sources)),
        )
    console.print(table)


def _minute(stamp_ns: int) -> str:
    return f"{datetime.fromtimestamp(stamp_ns // NANOSECONDS_PER_SECOND, tz=UTC):%Y-%m-%d %H:%M}"
