"""`sextant demo`, `up` and `status`: the whole line, and the embedded platform."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from online.domain.errors import InvalidInput, NotFound
from online.domain.market import NANOSECONDS_PER_SECOND
from pipelines.commands.audit_relay import URL_VARIABLE
from pipelines.commands.options import DEMO_HOME, HOME, HomeOption, JsonOption
from pipelines.commands.terminal import console, notes, write_json
from pipelines.home import Home
from pipelines.platform.state import PartStatus, judge_parts

if TYPE_CHECKING:
    from pipelines.follow_report import Follower

_SATURDAYS = "0 4 * * 6"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("demo", epilog="Example: sextant demo")(demo)
    app.command("up", epilog="Example: sextant up --bar-seconds 5")(up)
    app.command("status", epilog="Example: sextant status --json")(status)


def demo(home: HomeOption = DEMO_HOME) -> None:
    """Run the whole line on a year of real prices and write a report; the home is emptied first."""
    from pipelines.commands.environment import prepare_environment

    prepare_environment(Home(home))
    from pipelines.commands.demo_view import DemoView, show_summary
    from pipelines.demo import check_parity, run_demo
    from pipelines.demo_report import summarise, write_report

    with DemoView() as view:
        result = run_demo(Home(home), view)
    as_json, as_html = write_report(Home(home), result)
    ordered = (step.decision for step in result.steps if step.decision.get("intent"))
    example = str(next(ordered, result.steps[-1].decision)["decision_id"])
    show_summary(summarise(result), (str(as_json), str(as_html)), example, str(home))
    check_parity(result)


def up(
    home: HomeOption = HOME,
    bar_seconds: Annotated[
        float, typer.Option(min=0.05, help="Seconds between two replayed bars.")
    ] = 5.0,
    retrain: Annotated[
        str, typer.Option(help="When models are retrained: five fields of cron, UTC; '' is never.")
    ] = _SATURDAYS,
    retrain_days: Annotated[
        int | None,
        typer.Option(min=1, help="Days of bars that are read for it, instead of all."),
    ] = None,
    retrain_window: Annotated[
        str, typer.Option(help="What each fold, and what serves, learns from; as train --window.")
    ] = "expanding",
    audit_url_file: Annotated[
        Path | None,
        typer.Option(
            help=f"File with the postgresql:// URL that the journal is copied to; or "
            f"${URL_VARIABLE} holds it. Without either nothing is copied."
        ),
    ] = None,
) -> None:
    """Start the whole platform on this machine; Ctrl-C stops all of it."""
    from models.recipe import parse_training_window
    from pipelines.commands.environment import require_room
    from pipelines.platform.embedded import run_platform

    parse_training_window(retrain_window)
    if retrain not in {"", _SATURDAYS}:
        _check_cron(retrain)
    require_room(Home(home))
    copying: tuple[str, ...] | None = None
    if audit_url_file is not None:
        copying = ("--url-file", str(audit_url_file.resolve()))
    elif os.environ.get(URL_VARIABLE):
        copying = ()

    def show(parts: tuple[PartStatus, ...]) -> None:
        console.print(_table(parts))
        console.print("Ctrl-C stops everything.")

    def say(step: str) -> None:
        notes.print(step, style="dim")

    days = () if retrain_days is None else ("--retrain-days", str(retrain_days))
    retraining = ("--retrain-cron", retrain, "--retrain-window", retrain_window, *days)
    run_platform(Home(home), bar_seconds, retraining, copying, say=say, show=show)


def _check_cron(text: str) -> None:
    """Refuse what the flows could not be scheduled by, before anything is started."""
    from prefect.client.schemas.schedules import CronSchedule  # most of a second

    try:
        CronSchedule(cron=text)
    except ValueError as error:
        raise InvalidInput(
            f"--retrain is five fields of cron, such as {_SATURDAYS!r}, or '', got {text!r}"
        ) from error


def status(home: HomeOption = HOME, json: JsonOption = False) -> None:
    """Say of every part of the running platform whether it is ready, and who follows a terminal.

    It exits 0 if all parts are ready.
    """
    from pipelines.follow_report import read_followers

    followers = read_followers(Home(home))
    try:
        parts = judge_parts(Home(home).run / "platform.json")
    except NotFound:
        if not followers:
            raise
        parts = ()
    ready = bool(parts) and all(part.ready for part in parts)
    if json:
        write_json({"ready": ready, "parts": parts, "followers": followers})
    else:
        if parts:
            console.print(_table(parts))
        for follower in followers:
            _show(follower)
    raise typer.Exit(0 if ready else 1)


def _show(follower: Follower) -> None:
    """Say what one follower does, and the last bar of each of its symbols."""
    told = follower.report
    how = f"since {_utc(told.since_ns)}, last look {_utc(told.looked_at_ns)}"
    if not follower.running:
        how = f"was killed; it last looked at {_utc(told.looked_at_ns)}"
    trouble = f"; {told.trouble}" if told.trouble else ""
    console.print(
        f"follower {told.pid} ({told.timeframe}): {how}{trouble}", markup=False, soft_wrap=True
    )
    table = Table("symbol", "last bar (UTC)", "served")
    for bar in told.bars:
        at = "-" if bar.closed_at_ns is None else _utc(bar.closed_at_ns)
        table.add_row(bar.symbol, at, "yes" if bar.served else "no")
    console.print(table)


def _utc(at_ns: int) -> str:
    at = datetime.fromtimestamp(at_ns // NANOSECONDS_PER_SECOND, tz=UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _table(parts: tuple[PartStatus, ...]) -> Table:
    table = Table("part", "ready")
    for column in ("address", "process", "detail"):
        table.add_column(column, overflow="fold")  # an address that is cut leads nowhere
    for part in parts:
        mark = "[green]yes[/]" if part.ready else "[red]no[/]"
        table.add_row(part.name, mark, part.url, str(part.pid or "-"), part.detail)
    return table
