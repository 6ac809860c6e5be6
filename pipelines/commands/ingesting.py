"""`sextant ingest`: market data of every kind of source into the lake."""

from __future__ import annotations

import json as jsons
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from online.domain.errors import InvalidInput
from online.domain.market import Timeframe
from pipelines.commands.environment import prepare_environment
from pipelines.commands.options import HOME, SYMBOL, HomeOption, JsonOption, SymbolOption
from pipelines.commands.terminal import console, notes, write_json
from pipelines.home import Home

TICKS = "ticks"
KINDS = {
    "demo": "a year of hourly EURUSD, installed with the extra `demo`",
    "csv": "a CSV file or a zip of one: --preset --path [--timeframe --clock]",
    "parquet": "a Parquet file, such as of copy_rates: --path --timeframe [--clock]",
    TICKS: "a folder of daily quote zips: --path --feed --clock [--timeframes]",
    "terminal": "closed bars of the live terminal, by its gateway: --timeframe [--since --host]",
    "terminal-ticks": "its ticks, by whole days: --since [--timeframes --host --certificates]",
    "synthetic": "a market drawn from a seed: --seed --bars --timeframe --start",
}
_QUOTES = (TICKS, "terminal-ticks")
_TERMINAL = ("terminal", "terminal-ticks")
_OPTIONS = frozenset(
    {
        *("path", "preset", "timeframe", "clock", "feed", "seed", "bars", "start"),
        *("host", "port", "certificates", "since"),
    }
)
_FIELDS = {"folder": "path"}
"""Settings whose option has another name."""

_GENERIC_EXAMPLE = (
    "sextant ingest --source csv --preset generic --timeframe H1 --path mine.csv "
    "--set 'layout.stamp=\\[\"time\"]' --set 'layout.stamp_format=%Y-%m-%d %H:%M' "
    "--set layout.clock=UTC --set layout.side=bid"
)
_EPILOG = "\n\n".join(
    (
        "Kinds of source and what each needs:",
        *(f"{kind}: {meaning}" for kind, meaning in KINDS.items()),
        "Examples:",
        "sextant ingest --source demo",
        "sextant ingest --source csv --preset histdata --symbol EURUSD --path EURUSD_2017.zip",
        "sextant ingest --source csv --preset mt5 --timeframe M15 --symbol EURUSD --path bars.csv",
        _GENERIC_EXAMPLE,
        "sextant ingest --source parquet --timeframe M15 --symbol USDCAD --path USDCAD.parquet",
        "sextant ingest --source ticks --feed oanda --clock UTC --timeframes M1,H1 --path eurusd",
        "sextant ingest --source terminal --symbol EURUSD --timeframe M15 --since 2026-01-01",
        "sextant ingest --source terminal-ticks --since 2026-11-16 --timeframes M1",
        "sextant ingest --source synthetic --seed 7 --bars 5000 --timeframe H1 --start 2019-01-01",
    )
)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("ingest", epilog=_EPILOG)(ingest)


def ingest(
    source: Annotated[
        str, typer.Option(help=f"Kind of source: {', '.join(KINDS)}; see below.")
    ] = "demo",
    path: Annotated[
        list[Path] | None,
        typer.Option(help="File (ticks: folder); again for more, taken one after the other."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(help="csv: whose export, histdata, mt5, cryptodatadownload or generic."),
    ] = None,
    symbol: SymbolOption = SYMBOL,
    timeframe: Annotated[
        str | None, typer.Option(help="Length of the bars, where the file does not say it.")
    ] = None,
    clock: Annotated[
        str | None,
        typer.Option(help="Of the stamps: UTC, UTC-05:00, America/New_York, broker-eu, broker-us."),
    ] = None,
    feed: Annotated[str | None, typer.Option(help="ticks: whose quotes, oanda or fxcm.")] = None,
    timeframes: Annotated[
        str | None, typer.Option(help="ticks: bars to make of them, such as M1,H1.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="synthetic: of every random choice.")] = None,
    bars: Annotated[int | None, typer.Option(help="synthetic: how many.")] = None,
    start: Annotated[str | None, typer.Option(help="synthetic: first day, YYYY-MM-DD.")] = None,
    host: Annotated[str | None, typer.Option(help="terminal: of its gateway.")] = None,
    port: Annotated[int | None, typer.Option(help="terminal: of its gateway.")] = None,
    certificates: Annotated[
        Path | None, typer.Option(help="terminal: folder with authority.pem, reader.pem and key.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="terminal: first day, YYYY-MM-DD.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Any other setting of the source."),
    ] = None,
    priority: Annotated[
        int | None, typer.Option(help="Rank of the source where sources disagree; higher wins.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Series of the lake, such as EURUSD.H1, to prove or infer the clock by."),
    ] = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Bring market data into the lake, with a quality report."""
    given = {
        "preset": preset,
        "timeframe": timeframe,
        "clock": clock,
        "feed": feed,
        "seed": seed,
        "bars": bars,
        "start": None if start is None else f"{start}T00:00:00Z",
        "host": host,
        "port": port,
        "certificates": certificates,
        "since": None if since is None else f"{since}T00:00:00Z",
        "symbol": symbol if source in _TERMINAL else None,
    }
    told = {name: value for name, value in given.items() if value is not None}
    _set(told, settings or [])
    prepare_environment(Home(home))  # what describes a source imports Prefect
    configs = [describe_source(source, told, place) for place in path or (None,)]
    lengths = parse_timeframes(timeframes or "")
    if lengths and source not in _QUOTES:
        raise InvalidInput(f"--timeframes belongs to --source ticks, not to --source {source}")
    if reference is not None and source in _QUOTES:
        raise InvalidInput(f"--reference belongs to sources of bars, not to --source {source}")
    reports = []
    for config in configs:
        with notes.status(f"ingesting {symbol} from {source}"):
            reports.append(ingest_source(config, symbol, lengths, priority or 0, reference, home))
        if not json:
            show_report(reports[-1])
    if json:
        write_json(reports if len(reports) > 1 else reports[0])


def parse_timeframes(text: str) -> tuple[Timeframe, ...]:
    """Return the lengths of bars in a list such as ``M5,H1``; none for the empty string.

    Raises
    ------
    NotFound
        With code ``UNKNOWN_TIMEFRAME``.
    """
    return tuple(Timeframe.parse(name.strip()) for name in text.split(",") if name.strip())


def ingest_source(
    config: Any,  # noqa: ANN401 - settings of any source, imported late
    symbol: str,
    lengths: tuple[Timeframe, ...],
    priority: int,
    reference: str | None,
    home: Path,
) -> Any:  # noqa: ANN401 - one of two reports, imported late
    """Run the flow of a source's kind and return its report."""
    if config.kind in {"lean-ticks", "terminal-ticks"}:
        from pipelines.ingest_ticks import ingest_ticks

        return ingest_ticks(home, config, symbol, lengths, priority)
    from pipelines.ingest import ingest as run_ingest

    return run_ingest(home, config, symbol, priority=priority, reference=reference)


def show_report(report: Any) -> None:  # noqa: ANN401 - one of two reports, imported late
    """Print what an ingestion did."""
    console.print(report.headline, soft_wrap=True)
    for reason, count in report.quarantined.items():
        console.print(f"  {count:,} rows in quarantine: {reason}")
    made = report.bars if isinstance(report.bars, dict) else {}
    for length, count in made.items():
        console.print(f"  {count:,} {length} bars made of the quotes")
    console.print(f"Report: {report.report_html}", soft_wrap=True)


def _set(told: dict[str, Any], settings: list[str]) -> None:
    """Add what `--set` gives: a value is read as JSON where it is JSON, a dotted name nests."""
    for setting in settings:
        name, separator, text = setting.partition("=")
        if not (name and separator):
            raise InvalidInput(f"--set takes NAME=VALUE, got {setting!r}")
        try:
            value = jsons.loads(text)
        except jsons.JSONDecodeError:
            value = text
        *outer, last = name.split(".")
        inner = told
        for step in outer:
            inner = inner.setdefault(step, {})
            if not isinstance(inner, dict):
                raise InvalidInput(f"--set {name}: {step!r} is a value, not a group of settings")
        inner[last] = value


def describe_source(source: str, told: dict[str, Any], path: Path | None) -> Any:  # noqa: ANN401 - see ingest_source
    """Return the settings of a source.

    Raises
    ------
    InvalidInput
        Naming each option that is missing, foreign or wrong.
    """
    if source not in KINDS:
        raise InvalidInput(f"no source {source!r}: expected one of {', '.join(KINDS)}")
    from pydantic import TypeAdapter, ValidationError

    from pipelines.ingest_ticks import TickSourceConfig
    from pipelines.sources.source import SourceConfig

    kind = "lean-ticks" if source == TICKS else source
    field = "folder" if source == TICKS else "path"
    described = {"kind": kind, **told, **({} if path is None else {field: path})}
    union: Any = TickSourceConfig if source in _QUOTES else SourceConfig
    try:
        return TypeAdapter[Any](union).validate_python(described)
    except ValidationError as error:
        told = dict.fromkeys(_complaint(source, fault) for fault in error.errors())
        raise InvalidInput(f"source {source}: {'; '.join(told)}") from error


def _complaint(source: str, fault: Any) -> str:  # noqa: ANN401 - pydantic's description of a fault
    steps = [str(step) for step in fault["loc"] if step not in {source, "lean-ticks"}]
    steps = [step for step in steps if not step.startswith("literal[")]  # a union's part
    name = ".".join(_FIELDS.get(step, step) for step in steps)
    option = f"--{name}" if name in _OPTIONS else f"--set {name}"
    match fault["type"]:
        case "missing":
            return f"{option} is needed"
        case "extra_forbidden":
            return f"{option} is not one of its options"
        case "literal_error" if name == "preset":
            from pipelines.sources.layout import Preset

            known = ", ".join(get_args(Preset))
            return f"--preset: expected {known} or generic, got {fault['input']!r}"
        case _ if not name:
            return str(fault["msg"]).removeprefix("Value error, ")
        case _:
            return f"{option}: {fault['msg']}, got {fault['input']!r}"
