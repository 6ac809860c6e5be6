"""`sextant audit`: verify the journal, export it, archive it, and keep its copy in PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from online.domain.audit import Anchor, AuditReport, RecordCorrupt, audit, join_copies
from online.domain.errors import JournalCorrupt
from pipelines.commands import audit_copies, audit_relay
from pipelines.commands.audit_options import JournalOption, find_journal
from pipelines.commands.options import HOME, HomeOption, JsonOption
from pipelines.commands.terminal import console, write_json


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(
        help="Prove what was recorded: the journal, its archive, its copy.", no_args_is_help=True
    )
    group.command("verify", epilog="Example: sextant audit verify --json")(verify)
    audit_copies.add_to(group)
    audit_relay.add_to(group)
    app.add_typer(group, name="audit")


def verify(
    home: HomeOption = HOME,
    journal: JournalOption = None,
    archive: Annotated[
        Path | None,
        typer.Option(help="Folder of `audit archive`: verified together with the journal."),
    ] = None,
    archive_only: Annotated[
        bool, typer.Option("--archive-only", help="Verify the archive without a journal.")
    ] = False,
    anchor: Annotated[
        list[str] | None,
        typer.Option(help="SEQUENCE:HASH kept from an earlier verify; may be given again."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="A missing decision number is a failure, too.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Check every record, its place, its numbers and the way of every order.

    The first bad record is named, and the exit status is 1.
    """
    anchors = [Anchor.parse(text) for text in anchor or []]
    path = find_journal(home, journal)
    if archive_only and archive is None:
        raise typer.BadParameter("--archive-only needs --archive")
    try:
        if archive is None:
            from online.adapters.journal_reader import read_sealed

            report = audit(read_sealed(path), anchors)
        else:
            from online.adapters.journal_reader import read_sealed
            from pipelines.audit.archive import read_archive

            archived = read_archive(archive)
            both = archived if archive_only else join_copies(archived, read_sealed(path))
            report = audit(both, anchors)
    except JournalCorrupt as error:
        if json:
            record = error.sequence if isinstance(error, RecordCorrupt) else None
            write_json(
                {"valid": False, "record": record, "code": error.code, "message": str(error)}
            )
        raise
    incomplete = strict and bool(report.missing_numbers)
    if json:
        write_json({"valid": not incomplete, **_to_builtins(report)})
    else:
        _show(report)
    raise typer.Exit(1 if incomplete else 0)


def _to_builtins(report: AuditReport) -> dict[str, object]:
    import msgspec

    return dict(msgspec.structs.asdict(report))


def _show(report: AuditReport) -> None:
    console.print(f"{report.records:,} records, every one as it was written.")
    if not report.records:
        return
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in report.kinds.items())
    console.print(f"Journal {report.journal_id}: {kinds}.")
    if report.former:
        former = ", ".join(f"{count:,} {kind}" for kind, count in report.former.items())
        console.print(
            f"Of an earlier version of Sextant, and read as such: {former}. What they do not state "
            "is named where they are shown."
        )
    if report.orders:
        stages = ", ".join(f"{count:,} {stage}" for stage, count in report.orders.items())
        console.print(f"Orders, each by a legal way: {stages}.")
    table = Table(title="Root of each day's records", title_justify="left")
    table.add_column("day (UTC)", overflow="fold")
    for column in ("records", "first", "last"):
        table.add_column(column, justify="right", overflow="fold")
    table.add_column("root", overflow="fold")  # cut, it proves nothing
    for day in report.days:
        table.add_row(
            *(day.day, f"{day.records:,}", str(day.first_sequence)),
            *(str(day.last_sequence), day.root),
        )
    console.print(table)
    gaps = [
        str(first) if first == last else f"{first}-{last}" for first, last in report.missing_numbers
    ]
    if gaps:
        console.print(
            f"Decision numbers without a record: {', '.join(gaps)}. Such a decision could not be "
            "recorded, so nothing was sent for it."
        )
    console.print(f"Anchor to keep elsewhere: {report.head}")
