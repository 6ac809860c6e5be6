"""`sextant serve`, `explain` and `settings`: what the trading host needs, and nothing heavier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import HOME, HomeOption, JsonOption
from pipelines.commands.terminal import console, write_json
from pipelines.home import Home


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("serve", epilog="Example: SEXTANT_MODE=paper sextant serve")(serve)
    app.command("explain", epilog="Example: sextant explain EURUSD-H1-20171002T0100Z-17")(explain)


def serve() -> None:
    """Run the scorer; everything it needs to know comes from its settings (`sextant settings`)."""
    from online.app import serve as run_scorer

    run_scorer()


def explain(
    decision_id: Annotated[
        str, typer.Argument(metavar="ID", help="Of the decision, as the scorer answered it.")
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
    from pipelines.commands.story import gather_story

    story = gather_story(decision_id, iterate(journal or Home(home).journal))
    if json:
        write_json(story)
        return
    for paragraph in tell(story):
        console.print(paragraph)
