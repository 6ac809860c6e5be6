"""`sextant models`: what is registered, side by side, its card, and where the aliases point."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.commands.environment import flow_servers, mlflow_server, prepare_environment
from pipelines.commands.flows import promote
from pipelines.commands.options import HOME, HomeOption, JsonOption
from pipelines.commands.terminal import console, notes, rows_table, write_json
from pipelines.home import Home

NAME = "EURUSD.H1.barrier"
NameArgument = Annotated[str, typer.Argument(help="Registered name.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help="Look at registered models and move aliases.", no_args_is_help=True)
    group.command("list", epilog="Example: sextant models list --json")(list_registered)
    group.command("compare", epilog=f"Example: sextant models compare {NAME} 1 2")(compare)
    group.command("card", epilog=f"Example: sextant models card {NAME} > card.md")(card)
    group.command("certificate", epilog=f"Example: sextant models certificate {NAME}")(certificate)
    group.command("promote", epilog=f"Example: sextant models promote {NAME} --alias paper")(
        promote
    )
    group.command("rollback", epilog=f"Example: sextant models rollback {NAME} --alias paper")(
        rollback
    )
    app.add_typer(group, name="models")


def list_registered(home: HomeOption = HOME, json: JsonOption = False) -> None:
    """List every version, the aliases its certificate grants, and the gates that refuse others."""
    prepare_environment(Home(home))
    from online.adapters.key_files import read_trust
    from pipelines.model_views import list_models
    from pipelines.registries import open_registry

    with mlflow_server(Home(home)) as mlflow_uri:
        trust = read_trust(Home(home).trusted)
        rows = list_models(open_registry(Home(home), mlflow_uri), trust)
    if json:
        write_json(rows)
        return
    if not rows:
        console.print("No model is registered; make one with `sextant train`.")
        return
    console.print(rows_table("Registered models", rows))


def compare(
    name: NameArgument = NAME,
    versions: Annotated[
        list[str] | None, typer.Argument(help="Versions; all if none is named.")
    ] = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Show versions of a model side by side, out of fold and after costs."""
    prepare_environment(Home(home))
    from online.adapters.key_files import read_trust
    from pipelines.model_views import compare_versions
    from pipelines.registries import open_registry

    with mlflow_server(Home(home)) as mlflow_uri:
        registry, trust = open_registry(Home(home), mlflow_uri), read_trust(Home(home).trusted)
        rows = compare_versions(registry, trust, name, versions or ())
    if json:
        write_json(rows)
        return
    figures = list(dict.fromkeys(figure for row in rows for figure in row))
    turned = [
        {"": figure, **{f"version {row['version']}": row.get(figure, "") for row in rows}}
        for figure in figures
        if figure not in {"model", "version"}
    ]
    console.print(rows_table(f"{name}, out of fold, after costs", turned))


def card(
    name: NameArgument = NAME,
    version: Annotated[str | None, typer.Argument(help="Instead of the newest.")] = None,
    home: HomeOption = HOME,
) -> None:
    """Print a version's model card, as Markdown."""
    prepare_environment(Home(home))
    from pipelines.model_views import read_card
    from pipelines.registries import open_registry

    with mlflow_server(Home(home)) as mlflow_uri:
        text = read_card(open_registry(Home(home), mlflow_uri), name, version)
    console.file.write(f"{text}\n")


def certificate(
    name: NameArgument = NAME,
    version: Annotated[str | None, typer.Argument(help="Instead of the newest.")] = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Verify a version's certificate and show which alias it grants, and why not the others."""
    prepare_environment(Home(home))
    from online.adapters.key_files import read_trust
    from pipelines.model_views import read_proof
    from pipelines.registries import open_registry

    with mlflow_server(Home(home)) as mlflow_uri:
        registry = open_registry(Home(home), mlflow_uri)
        proof = read_proof(registry, read_trust(Home(home).trusted), name, version)
    if json:
        write_json(proof)
        return
    console.print(rows_table("Gates, as signed", proof.gates))
    console.print(
        f"{proof.model} version {proof.version}, bundle {proof.bundle_sha256}: passes "
        f"{proof.policy or 'no policy'}, approved by {proof.approver or 'nobody'}.",
        soft_wrap=True,
    )
    for alias, granted in proof.may_be.items():
        console.print(f"{alias}: {granted}", soft_wrap=True)


def rollback(
    name: NameArgument = NAME,
    alias: Annotated[str, typer.Option(help="champion, challenger or paper.")] = "champion",
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Move an alias back to the version it pointed at before."""
    prepare_environment(Home(home))
    with flow_servers(Home(home)) as mlflow_uri, notes.status(f"rolling {alias} back"):
        from pipelines.promote import rollback as run_rollback

        report = run_rollback(home, name, alias, mlflow_uri)
    if json:
        write_json(report)
        return
    console.print(report.headline, soft_wrap=True)
