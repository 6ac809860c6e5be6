"""`sextant ingest`, `features`, `train`, `promote`, `backtest`: the flows, run here and now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from online.domain.errors import InvalidInput
from pipelines.commands.environment import prepare_environment
from pipelines.commands.options import HOME, SYMBOL, HomeOption, JsonOption, SymbolOption
from pipelines.commands.terminal import console, notes, write_json
from pipelines.home import Home

INGEST_EXAMPLES = (
    "Examples: sextant ingest --source demo · "
    "sextant ingest --source csv --preset histdata --path EURUSD_2018.zip --symbol EURUSD"
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command("ingest", epilog=INGEST_EXAMPLES)(ingest)


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
