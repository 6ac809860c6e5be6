"""`sextant audit relay`: the journal's copy in PostgreSQL, for everybody else."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from online.domain.errors import InvalidInput
from pipelines.commands.audit_options import JournalOption, find_journal
from pipelines.commands.options import HOME, HomeOption, JsonOption
from pipelines.commands.terminal import console, notes, write_json

if TYPE_CHECKING:
    from pipelines.audit.relay import Lag, Relay
    from pipelines.audit.relay_report import RelayReport

URL_VARIABLE = "AUDIT_POSTGRES_URL"
"""Not ``SEXTANT_...``: the scorer refuses variables that are no setting of its own."""


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    group.command("relay", epilog="Example: sextant audit relay --follow")(relay)


def relay(
    home: HomeOption = HOME,
    journal: JournalOption = None,
    url_file: Annotated[
        Path | None,
        typer.Option(help=f"File with the postgresql:// URL; else ${URL_VARIABLE} holds it."),
    ] = None,
    migrate: Annotated[
        bool,
        typer.Option("--migrate/--no-migrate", help="Bring the tables up to date before."),
    ] = True,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what comes, until Ctrl-C or SIGTERM.")
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Say how far PostgreSQL is behind; relay nothing.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Compare PostgreSQL with the journal; relay nothing.")
    ] = False,
    batch_records: Annotated[
        int, typer.Option(min=1, max=100_000, help="Most records in one transaction.")
    ] = 500,
    poll_seconds: Annotated[
        float, typer.Option(min=0.01, max=3600, help="Between two looks with --follow.")
    ] = 1.0,
    patience_seconds: Annotated[
        float, typer.Option(min=0, help="How long an outage is borne; with --follow, for ever.")
    ] = 30.0,
    report: Annotated[
        Path | None,
        typer.Option(help="With --follow: file that always says how the relay is, as JSON."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Copy the journal into PostgreSQL: in order, each record exactly once, resumable."""
    from pipelines.audit import postgres
    from pipelines.audit.comparison import compare_copy
    from pipelines.audit.relay import Relay
    from pipelines.audit.relay_report import RelayReport

    path, stopping = find_journal(home, journal), threading.Event()
    engine = postgres.connect(_read_url(url_file), stopping=stopping)
    _log_to_errors()
    relaying = Relay(path, engine, batch_records, None if follow else patience_seconds, stopping)
    telling = None
    if report is not None and follow:
        telling = RelayReport(report, relaying.breaker)
        relaying.noticed = telling.write
    if not (status or check):
        verified = relaying.check()
        notes.print(f"journal {path}: {verified:,} records verified", style="dim")
        relaying.patiently(
            lambda: postgres.migrate(engine) if migrate else postgres.check_schema(engine)
        )
        if follow:
            count = _follow(relaying, stopping, poll_seconds, telling)
            notes.print(f"stopped after {count:,} records", style="dim")
        else:
            count = relaying.catch_up()
            _show(relaying.lag(), json=json, relayed=count)
    elif check:
        equal = relaying.patiently(lambda: compare_copy(path, engine))
        _show(relaying.lag(), json=json, equal=equal)
    else:
        _show(relaying.lag(), json=json)
    engine.dispose()


def _follow(
    relaying: Relay, stopping: threading.Event, poll_seconds: float, telling: RelayReport | None
) -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    return relaying.follow(poll_seconds, lambda count: _tell(count, relaying.lag(), telling))


def _tell(count: int, lag: Lag, telling: RelayReport | None) -> None:
    if telling is not None:
        telling.sequence = lag.relayed_sequence
        telling.write()
    logging.getLogger("pipelines.audit.relay").info(
        "relayed %d up to record %d; %d behind", count, lag.relayed_sequence, lag.records
    )


def _show(lag: Lag, *, json: bool, **counts: int) -> None:
    import msgspec

    if json:
        write_json({**counts, "lag": msgspec.structs.asdict(lag)})
        return
    for name, count in counts.items():
        console.print(f"{count:,} records {name}.")
    console.print(
        f"PostgreSQL holds {lag.relayed_sequence:,} of {lag.journal_sequence:,} records; "
        f"{lag.records:,} wait, the oldest for {lag.seconds:.1f} s."
    )


def _read_url(url_file: Path | None) -> str:
    if url_file is None:
        url = os.environ.get(URL_VARIABLE, "")
        if not url:
            raise InvalidInput(
                "no PostgreSQL was named",
                remedy=f"Give --url-file, or set {URL_VARIABLE}=postgresql://user@host/database.",
            )
        return url
    try:
        return url_file.read_text().strip()
    except OSError as error:
        raise InvalidInput(f"{url_file} cannot be read: {error}") from error


def _log_to_errors() -> None:
    """Write what the relay logs to standard error, a line a message, stamped in UTC."""
    handler = logging.StreamHandler()
    handler.formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s")
    handler.formatter.converter = time.gmtime
    log = logging.getLogger("pipelines.audit")
    log.setLevel(logging.INFO)
    log.handlers, log.propagate = [handler], False
