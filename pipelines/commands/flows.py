"""`sextant ingest`, `features`, `train` and `promote`: the flows, run here and now."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from online.domain.errors import InvalidInput
from online.domain.market import NANOSECONDS_PER_SECOND
from pipelines.commands.environment import mlflow_server, online_store, prepare_environment
from pipelines.commands.options import (
    HOME,
    SYMBOL,
    TIMEFRAME,
    HomeOption,
    JsonOption,
    SymbolOption,
    TimeframeOption,
)
from pipelines.commands.terminal import console, notes, rows_table, write_json
from pipelines.home import Home

DateOption = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="Day (UTC) that bounds the bars."),
]
INGEST_EXAMPLES = (
    "Examples: sextant ingest --source demo · "
    "sextant ingest --source csv --preset histdata --path EURUSD_2018.zip --symbol EURUSD"
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("ingest", epilog=INGEST_EXAMPLES)(ingest)
    app.command("features", epilog="Example: sextant features --symbol EURUSD --timeframe H1")(
        features
    )
    app.command("train", epilog="Example: sextant train --until 2017-10-01")(train)
    app.command("promote", epilog="Example: sextant promote EURUSD.H1.barrier --alias paper")(
        promote
    )


def ingest(
    source: Annotated[str, typer.Option(help="Kind of source: demo or csv.")] = "demo",
    preset: Annotated[
        str | None, typer.Option(help="Whose CSV export it is, such as histdata.")
    ] = None,
    path: Annotated[Path | None, typer.Option(help="The CSV file, or a zip of one.")] = None,
    symbol: SymbolOption = SYMBOL,
    timeframe: Annotated[
        str | None, typer.Option(help="Length of the bars, where the preset does not say it.")
    ] = None,
    clock: Annotated[
        str | None, typer.Option(help="Clock of the file's stamps, instead of the preset's.")
    ] = None,
    priority: Annotated[
        int, typer.Option(help="Rank of the source where sources disagree; higher wins.")
    ] = 0,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Bring market data into the lake, with a quality report."""
    prepare_environment(Home(home))
    given = {
        "kind": source,
        "preset": preset,
        "path": path,
        "timeframe": timeframe,
        "clock": clock,
    }
    config = _source_config({name: value for name, value in given.items() if value is not None})
    from pipelines.ingest import ingest as run_ingest

    with notes.status(f"ingesting {symbol} from {source}"):
        report = run_ingest(home, config, symbol, priority=priority)
    if json:
        write_json(report)
        return
    console.print(report.headline, soft_wrap=True)
    for reason, count in report.quarantined.items():
        console.print(f"  {count:,} rows in quarantine: {reason}")
    console.print(f"Report: {report.report_html}", soft_wrap=True)


def features(
    symbol: SymbolOption = SYMBOL,
    timeframe: TimeframeOption = TIMEFRAME,
    until: DateOption = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Compute features from the lake, store them for training, and serve the newest."""
    prepare_environment(Home(home))
    from pipelines.featurize import featurize

    with (
        online_store(Home(home)),
        notes.status(f"computing the features of {symbol} {timeframe}"),
    ):
        report = featurize(home, symbol, timeframe, _nanoseconds(until))
    if json:
        write_json(report)
        return
    console.print(
        f"{len(report.coverage)} features over {report.bars:,} bars of {symbol} {timeframe}: "
        f"{report.quarters_computed} quarters computed, {report.quarters_current} current already",
        soft_wrap=True,
    )
    console.print(f"Report: {report.page}", soft_wrap=True)


def train(
    symbol: SymbolOption = SYMBOL,
    timeframe: TimeframeOption = TIMEFRAME,
    family: Annotated[str, typer.Option(help="What is fitted, such as xgboost.")] = "xgboost",
    since: DateOption = None,
    until: DateOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 7,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Fit, judge and register a model; `sextant promote` lets it trade."""
    prepare_environment(Home(home))
    from models.families.build import parse_family
    from models.recipe import Recipe
    from pipelines.train import train as run_train

    recipe = Recipe(family=parse_family(family), seed=seed)
    start_ns, end_ns = _nanoseconds(since), _nanoseconds(until)
    with (
        mlflow_server(Home(home)) as mlflow_uri,
        notes.status(f"training {family} on {symbol} {timeframe}"),
    ):
        report = run_train(home, symbol, timeframe, start_ns, end_ns, mlflow_uri, recipe)
    if json:
        write_json(report)
        return
    console.print(rows_table("Out of fold, after costs", report.comparison))
    console.print(rows_table("Gates", report.gates))
    console.print(report.headline, soft_wrap=True)
    best = report.best_alias or "none"
    console.print(f"{report.name} version {report.version} is registered; best alias: {best}.")


def promote(
    name: Annotated[str, typer.Argument(help="Registered name.")] = "EURUSD.H1.barrier",
    version: Annotated[str | None, typer.Option(help="Instead of the newest.")] = None,
    alias: Annotated[
        str | None,
        typer.Option(help="champion, challenger or paper, instead of the best the gates allow."),
    ] = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Point an alias at a registered model, if its gates allow it."""
    prepare_environment(Home(home))
    from pipelines.promote import promote as run_promote

    with mlflow_server(Home(home)) as mlflow_uri, notes.status(f"promoting {name}"):
        report = run_promote(home, name, version, alias, mlflow_uri)
    if json:
        write_json(report)
        return
    console.print(rows_table("Gates", report.gates))
    console.print(report.headline, soft_wrap=True)


def _nanoseconds(day: datetime | None) -> int | None:
    """Return a day's first moment, nanoseconds since 1970 UTC."""
    if day is None:
        return None
    return int(day.replace(tzinfo=UTC).timestamp()) * NANOSECONDS_PER_SECOND


def _source_config(given: dict[str, Any]) -> Any:  # noqa: ANN401 - a union from pipelines.sources
    """Return the settings of a source.

    Raises
    ------
    InvalidInput
        Naming each option that is missing, unknown or wrong.
    """
    from pydantic import TypeAdapter, ValidationError

    from pipelines.sources.source import SourceConfig

    try:
        return TypeAdapter(SourceConfig).validate_python(given)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(step) for step in fault['loc']) or 'source'}: {fault['msg']}"
            for fault in error.errors()
        )
        raise InvalidInput(f"the source is not described well: {wrong}") from error
