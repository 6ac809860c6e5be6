"""`sextant risk`: how trading stands, the kill ladder, and limits read anew."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from pipelines.commands.options import HOME, HomeOption, JsonOption, TokenOption
from pipelines.commands.orders import (
    ByOption,
    IdOption,
    UrlOption,
    new_id,
    open_client,
)
from pipelines.commands.terminal import console, notes, write_json

_HELP = """What a running scorer lets through, and the ladder that lets less through.

[bold]reduce[/]: closes alone. [bold]halt[/]: nothing that no person asks for; stops and targets
rest at the broker all the same. [bold]flatten[/]: halt, cancel and close everything. Each is
written to the journal with who wanted it and why, and stays over restarts until [bold]resume[/].
"""
ReasonArgument = Annotated[str, typer.Argument(help="Why; journaled.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    group.command("status", epilog="Example: sextant risk status --json")(status)
    group.command("reduce", epilog="Example: sextant risk reduce 'spreads are odd'")(reduce)
    group.command("halt", epilog="Example: sextant risk halt 'broker unstable' --by ann")(halt)
    group.command("flatten", epilog="Example: sextant risk flatten 'leave now' --yes")(flatten)
    group.command("resume", epilog="Example: sextant risk resume --by ann")(resume)
    group.command("reload", epilog="Example: sextant risk reload")(reload)
    app.add_typer(group, name="risk")


def status(
    home: HomeOption = HOME,
    url: UrlOption = "",
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Show what is let through, the limits in force and what is measured against them."""
    with open_client(home, url, token) as scorer:
        risk = scorer.get("/v1/risk")
    if json:
        write_json(risk)
        return
    _tell(risk)
    table = Table("limit", "value")
    limits: dict[str, Any] = risk["limits"]
    for symbol, own in limits.pop("symbols").items():
        limits |= {f"{name} of {symbol}": value for name, value in own.items()}
    for name, value in limits.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        table.add_row(name.replace("_", " "), shown)
    console.print(table)


def reduce(
    reason: ReasonArgument,
    by: ByOption = "",
    home: HomeOption = HOME,
    url: UrlOption = "",
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Let closes through alone, until resumed."""
    with open_client(home, url, token) as scorer:
        _show(scorer.post("/v1/risk/reduce", {"reason": reason, "by": by}), json=json)


def halt(
    reason: ReasonArgument,
    by: ByOption = "",
    home: HomeOption = HOME,
    url: UrlOption = "",
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Send nothing that no person asks for, until resumed."""
    with open_client(home, url, token) as scorer:
        _show(scorer.post("/v1/risk/halt", {"reason": reason, "by": by}), json=json)


def flatten(
    reason: ReasonArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    by: ByOption = "",
    client_id: IdOption = "",
    home: HomeOption = HOME,
    url: UrlOption = "",
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Halt, cancel what rests and close every position of this journal; exit 1 if any stays."""
    if not yes:
        typer.confirm("Halt and close everything?", abort=True, err=True)
    chosen = client_id or f"flatten-{new_id()}"
    again = "asked for again with --id, it goes on and tells of all"
    notes.print(f"Flattening, id {chosen}: {again}.", markup=False, soft_wrap=True)
    with open_client(home, url, token) as scorer:
        body = {"reason": reason, "by": by, "client_id": chosen}
        answer = scorer.operate("/v1/risk/flatten", body, scorer.closing_seconds)
    left = [each for each in answer["carried"] if _failed(each)]
    if json:
        write_json(answer)
    else:
        _tell(answer["risk"])
        console.print(f"{len(answer['carried']) - len(left)} closed or cancelled.")
        for each in left:
            why = each["refusal"]["detail"] if each["refusal"] else each["reply"]["status"]
            notes.print(f"{each['operation']}: {why}", style="red", markup=False)
        for ticket in answer["left_alone"]:
            notes.print(f"position {ticket} is not of this journal: left alone")
    raise typer.Exit(1 if left else 0)


def resume(
    by: ByOption = "",
    home: HomeOption = HOME,
    url: UrlOption = "",
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Let everything through again; drawdown and losses in a row are counted anew."""
    with open_client(home, url, token) as scorer:
        _show(scorer.post("/v1/risk/resume", {"by": by}), json=json)


def reload(
    by: ByOption = "",
    home: HomeOption = HOME,
    url: UrlOption = "",
    token: TokenOption = None,
    json: JsonOption = False,
) -> None:
    """Let the scorer read its limits anew; wrong ones are refused and the old stay."""
    with open_client(home, url, token) as scorer:
        answer = scorer.post("/v1/limits/reload", {"by": by})
    if json:
        write_json(answer)
        return
    for each in answer["changes"]:
        line = f"{each['name']}: {each['before']} -> {each['after']}"
        console.print(line, markup=False, soft_wrap=True)
    if not answer["changes"]:
        console.print("The limits in force are those that are stated.")


def _show(risk: dict[str, Any], *, json: bool) -> None:
    if json:
        write_json(risk)
    else:
        _tell(risk)


def _tell(risk: dict[str, Any]) -> None:
    why = f": {risk['reason']}" if risk["reason"] else ""
    console.print(f"Trading is {risk['state']}{why}.", markup=False, soft_wrap=True)
    console.print(
        f"Equity {risk['equity']:.2f}, the day began with {risk['day_start_equity']:.2f}, its "
        f"peak was {risk['peak_equity']:.2f}; {risk['losses_in_a_row']} losses in a row, "
        f"{risk['entries_in_window']} entries and {risk['closes_in_window']} closes in the window.",
        markup=False,
        soft_wrap=True,
    )
    if risk["unresolved"]:
        unknown = ", ".join(risk["unresolved"])
        notes.print(f"Orders of unknown fate: {unknown}.", style="yellow", markup=False)
    if risk["limits_refused"]:
        notes.print(risk["limits_refused"], style="red", markup=False, soft_wrap=True)


def _failed(carried: dict[str, Any]) -> bool:
    reply = carried["reply"]
    return reply is None or reply["status"] not in {"filled", "done", "cancelled"}
