"""`sextant audit export` and `archive`: files for a regulator, and for seven years."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from online.domain.market import NANOSECONDS_PER_SECOND
from pipelines.audit.columns import Format
from pipelines.commands.audit_options import JournalOption, find_journal, parse_day
from pipelines.commands.options import HOME, HomeOption, JsonOption
from pipelines.commands.terminal import console, write_json

_DAY_NS = 86_400 * NANOSECONDS_PER_SECOND


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    group.command(
        "export", epilog="Example: sextant audit export --from 2017-10-01 --to 2017-12-31 --out q4"
    )(export)
    group.command("archive", epilog="Example: sextant audit archive --before 2018-01-01")(archive)


def export(
    first: Annotated[str, typer.Option("--from", help="First day, YYYY-MM-DD, UTC.")],
    last: Annotated[str, typer.Option("--to", help="Last day, included.")],
    out: Annotated[Path, typer.Option(help="Folder to write into; empty or absent.")],
    home: HomeOption = HOME,
    journal: JournalOption = None,
    formats: Annotated[
        list[Format] | None,
        typer.Option("--format", help="csv, parquet, or both by giving none."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write all that the journal holds of a period as tables, with a data dictionary."""
    from pipelines.audit import export as exporting

    manifest = exporting.export(
        find_journal(home, journal),
        out,
        parse_day(first),
        parse_day(last) + _DAY_NS,
        formats or tuple(Format),
    )
    if json:
        write_json(manifest)
        return
    table = Table("table")
    table.add_column("rows", justify="right")
    for name, rows in manifest.rows.items():
        table.add_row(name, f"{rows:,}")
    console.print(table)
    console.print(
        f"Written to {out}, from a journal verified up to record {manifest.head.sequence:,}; "
        f"{exporting.DICTIONARY} explains every column, {exporting.MANIFEST} seals the files."
    )


def archive(
    before: Annotated[str, typer.Option(help="Archive what is older than this day, UTC.")],
    home: HomeOption = HOME,
    journal: JournalOption = None,
    out: Annotated[
        Path | None, typer.Option(help="The archive's folder; archive/ beside the journal if none.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Copy old records to Parquet, to be kept seven years; the journal keeps them, too."""
    from pipelines.audit.archive import list_archive, write_archive

    path = find_journal(home, journal)
    folder = path.parent / "archive" if out is None else out
    written = write_archive(path, folder, parse_day(before))
    files = list_archive(folder)
    if json:
        write_json({"written": written, "files": files})
        return
    table = Table("file", "from", "to", "keep until")
    for column in ("first", "last"):
        table.add_column(column, justify="right")
    for file in files:
        table.add_row(
            *(file.name, file.first_day, file.last_day, file.retain_until),
            *(str(file.before.sequence + 1), str(file.last.sequence)),
        )
    console.print(table)
    records = sum(file.last.sequence - file.before.sequence for file in written)
    console.print(
        f"{records:,} records copied into {len(written)} new file(s) of {folder}. The journal "
        "still holds them: it refuses deletion, and its chain begins at its first record."
    )
