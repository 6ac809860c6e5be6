"""`sextant serve`, `explain` and `settings`: what the trading host needs, and nothing heavier."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from pipelines.commands.options import HOME, HomeOption, JsonOption
from pipelines.commands.terminal import console, write_json
from pipelines.home import Home

CREDENTIALS = re.compile(r"//[^/@\s\"]*@")
"""Name and password inside a URL."""


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("serve", epilog="Example: SEXTANT_MODE=paper sextant serve")(serve)
    app.command("explain", epilog="Example: sextant explain EURUSD-H1-20171002T0100Z-17")(explain)
    app.command("settings", epilog="Example: sextant settings --mode paper")(settings)


def serve(
    fresh_journal: Annotated[
        bool,
        typer.Option(
            "--fresh-journal",
            help="Replay only: put an earlier journal aside, as the simulated account is new too.",
        ),
    ] = False,
) -> None:
    """Run the scorer; everything it needs to know comes from its settings (`sextant settings`)."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    from online.adapters.journal_shelf import put_aside
    from online.app import serve as run_scorer
    from online.domain.errors import InvalidInput
    from online.settings import load_settings

    told = load_settings()
    if fresh_journal:
        if told.mode != "replay":
            raise InvalidInput(
                f"--fresh-journal is for mode replay, mode is {told.mode}: a journal of orders "
                "is what the next start goes on from"
            )
        put_aside(told.journal.path)
    run_scorer(told)


def settings(
    mode: Annotated[
        str | None,
        typer.Option(help="Check the settings of this mode as they are here, instead."),
    ] = None,
) -> None:
    """Show every setting of the scorer, or check those in force: exit 2 names what is wrong."""
    if mode is None:
        from online.settings_page import render_settings

        console.print(render_settings(), markup=False, soft_wrap=True)
        return
    from online.settings import load_settings

    told = load_settings(mode)
    told.read_token()  # `serve` would refuse without it
    text = told.model_dump_json(fallback=msgspec.to_builtins)
    console.print_json(CREDENTIALS.sub("//***@", text))


def explain(
    decision_id: Annotated[
        str, typer.Argument(metavar="ID", help="Of the decision or operation, as answered.")
    ],
    home: HomeOption = HOME,
    journal: Annotated[
        Path | None, typer.Option("--journal", help="Journal file, instead of the home's.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Tell why a decision was taken: every fact it rests on, from the journal alone."""
    from online.adapters.sqlite_journal import iterate
    from pipelines.commands.explain import tell
    from pipelines.commands.explain_operation import PREFIX, gather_operation, tell_operation
    from pipelines.commands.story import gather_story

    records = iterate(journal or Home(home).journal)
    if decision_id.startswith(PREFIX):
        operation = gather_operation(decision_id, records)
        told, paragraphs = msgspec.to_builtins(operation), tell_operation(operation)
    else:
        story = gather_story(decision_id, records)
        told, paragraphs = msgspec.to_builtins(story), tell(story)
    if json:
        write_json(told)
        return
    for paragraph in paragraphs:
        console.print(paragraph)
