"""`sextant gateway demonstrate`: an accident on the real order path, told step by step."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from online.domain.errors import NotFound
from pipelines.commands.options import JsonOption
from pipelines.commands.terminal import console, write_json

if TYPE_CHECKING:
    from pipelines.lost_reply import Step

ACCIDENTS = ("lost-reply",)


def demonstrate(
    accident: Annotated[str, typer.Argument(help="What goes wrong: lost-reply.")] = "lost-reply",
    folder: Annotated[
        Path | None,
        typer.Option(help="Keeps journal, inbox and log; without it nothing is kept."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Let something go wrong between journal and terminal, and show that nothing is lost."""
    from pipelines.lost_reply import demonstrate as lose_a_reply

    if accident not in ACCIDENTS:
        raise NotFound(f"no accident {accident!r}: there is {', '.join(ACCIDENTS)}")
    steps: list[Step] = []
    logging.getLogger("online").addHandler(logging.NullHandler())  # the story tells enough

    def tell(step: Step) -> None:
        steps.append(step)
        if not json:
            console.print(f"{len(steps):>2}. {step.told}.", markup=False, soft_wrap=True)
            for record in step.records:
                console.print(f"    {record}", markup=False, style="dim", soft_wrap=True)

    with tempfile.TemporaryDirectory() as scratch:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        lose_a_reply(Path(scratch) if folder is None else folder, tell)
    if json:
        write_json(steps)
