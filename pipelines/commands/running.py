"""`sextant demo`, `up` and `status`: the whole line, and the embedded platform."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from pipelines.commands.audit_relay import URL_VARIABLE
from pipelines.commands.options import DEMO_HOME, HOME, HomeOption, JsonOption
from pipelines.commands.terminal import console, notes, write_json
from pipelines.home import Home
from pipelines.platform.state import PartStatus, judge_parts


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
    ] = "0 4 * * 6",
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
    from pipelines.platform.embedded import run_platform

    parse_training_window(retrain_window)
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


def status(home: HomeOption = HOME, json: JsonOption = False) -> None:
    """Say of every part of the running platform whether it is ready; exit 0 if all are."""
    parts = judge_parts(Home(home).run / "platform.json")
    ready = all(part.ready for part in parts)
    if json:
        write_json({"ready": ready, "parts": parts})
    else:
        console.print(_table(parts))
    raise typer.Exit(0 if ready else 1)


def _table(parts: tuple[PartStatus, ...]) -> Table:
    table = Table("part", "ready", "address", "process", "detail")
    for part in parts:
        mark = "[green]yes[/]" if part.ready else "[red]no[/]"
        table.add_row(part.name, mark, part.url, str(part.pid or "-"), part.detail)
    return table
