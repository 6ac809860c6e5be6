"""`sextant features`, `train` and `promote`: the flows, run here and now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from online.domain.errors import InvalidInput
from online.domain.market import Timeframe
from pipelines.commands import catalogue
from pipelines.commands.days import bounds_ns, first_moment_ns
from pipelines.commands.environment import flow_servers, online_store, prepare_environment
from pipelines.commands.options import (
    HOME,
    SYMBOL,
    TIMEFRAME,
    DayOption,
    HomeOption,
    JsonOption,
    SlippageOption,
    SpreadOption,
    SwapOption,
    SymbolOption,
    TimeframeOption,
)
from pipelines.commands.terminal import console, notes, progress_bar, rows_table, write_json
from pipelines.home import Home

if TYPE_CHECKING:
    from pipelines.feature_report import FeaturizeReport


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(invoke_without_command=True)
    group.callback()(features)
    catalogue.add_to(group)
    app.add_typer(
        group, name="features", epilog="Example: sextant features --symbol EURUSD --timeframe H1"
    )
    app.command(
        "train", epilog="Example: sextant train --until 2017-10-01 --features default,higher,cross"
    )(train)
    short = "Example: sextant promote EURUSD.H1.barrier --alias paper"
    app.command("promote", hidden=True, epilog=short)(promote)  # `sextant models promote`, in short


def features(
    context: typer.Context,
    symbol: SymbolOption = SYMBOL,
    timeframe: TimeframeOption = TIMEFRAME,
    until: DayOption = None,
    symbols: Annotated[
        str | None, typer.Option(help="Many at once, such as EURUSD,GBPUSD, on Dask.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="With --symbols: processes on this machine.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="With --symbols: a Dask cluster, tcp://host:8786.")
    ] = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Compute features from the lake, store them for training, and serve the newest."""
    if context.invoked_subcommand is not None:
        return
    many = [] if symbols is None else [name.strip() for name in symbols.split(",") if name.strip()]
    if not many and (symbols is not None or workers is not None or scheduler is not None):
        raise InvalidInput("--workers and --scheduler belong to --symbols, such as EURUSD,GBPUSD")
    if many and until is not None:
        raise InvalidInput("--until belongs to one --symbol, not to --symbols")
    prepare_environment(Home(home))
    if many:
        _featurize_many(many, timeframe, scheduler, workers, home, json=json)
        return
    from pipelines.featurize import featurize

    with (
        online_store(Home(home)),
        notes.status(f"computing the features of {symbol} {timeframe}"),
    ):
        report = featurize(home, symbol, timeframe, first_moment_ns(until))
    if json:
        write_json(report)
    else:
        _show_features(report)


def _featurize_many(
    symbols: list[str],
    timeframe: str,
    scheduler: str | None,
    workers: int | None,
    home: Path,
    *,
    json: bool,
) -> None:
    from pipelines.featurize_many import featurize_many

    with (
        online_store(Home(home)),
        notes.status(f"computing the features of {len(symbols)} symbols"),
    ):
        reports = featurize_many(home, symbols, timeframe, scheduler, workers)
    if json:
        write_json(reports)
        return
    for report in reports:
        _show_features(report)


def _show_features(report: FeaturizeReport) -> None:
    console.print(
        f"{len(report.coverage)} features over {report.bars:,} bars of {report.symbol} "
        f"{report.timeframe}: {report.quarters_computed} quarters computed, "
        f"{report.quarters_current} current already",
        soft_wrap=True,
    )
    console.print(f"Report: {report.page}", soft_wrap=True)


def train(
    symbol: SymbolOption = SYMBOL,
    timeframe: TimeframeOption = TIMEFRAME,
    family: Annotated[
        str, typer.Option(help="What is fitted; name several, by commas, for an ensemble.")
    ] = "xgboost",
    since: DayOption = None,
    until: DayOption = None,
    features: Annotated[
        str | None,
        typer.Option(
            help="What it reads, by commas: names, groups such as higher or cross, and default."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 7,
    target: Annotated[
        str, typer.Option(help="barrier, direction or volatility (never traded).")
    ] = "barrier",
    novelty: Annotated[
        float, typer.Option(help="Share of usual vectors that are let through; 0 for no such rule.")
    ] = 0.0,
    conformal: Annotated[
        float, typer.Option(help="Error at which a direction must be the only one; 0 for no rule.")
    ] = 0.0,
    meta: Annotated[bool, typer.Option(help="Fit a meta-label that may refuse signals.")] = False,
    study: Annotated[
        int, typer.Option(min=0, help="Settings to try for each family before the first test.")
    ] = 0,
    spread_points: SpreadOption = None,
    slippage: SlippageOption = None,
    swap: SwapOption = None,
    window: Annotated[
        str,
        typer.Option(help="What each fold, and what serves, learns from: expanding or rolling:N."),
    ] = "expanding",
    device: Annotated[
        str, typer.Option(help="Where networks are fitted: cpu, or cuda with the extra gpu.")
    ] = "cpu",
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler that judges those settings in parallel.")
    ] = None,
    crew: Annotated[int, typer.Option(min=1, help="Settings judged at once there.")] = 4,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Fit, judge and register a model; `sextant models promote` lets it trade."""
    prepare_environment(Home(home))
    from feature_repo.catalogue import expand
    from models.families.build import on_device, parse_device, parse_families
    from models.progress import listening
    from models.recipe import (
        META_INPUTS,
        LabelChoice,
        Recipe,
        ValidatorChoice,
        parse_training_window,
    )
    from models.targets import parse_target
    from online.instruments import find_instrument

    find_instrument(symbol)  # what is wrong is told before servers are started
    length, bounds = Timeframe.parse(timeframe), bounds_ns(since, until)
    words = None if features is None else [word.strip() for word in features.split(",")]
    names = None if words is None else expand(words, length)
    families = on_device(parse_families(family), parse_device(device))
    asked = parse_target(target)
    recipe = Recipe(
        families=families,
        label=LabelChoice(
            target=asked,
            assumed_spread_points=spread_points,
            slippage_points=slippage,
            swap_points=swap,
        ),
        features=names,
        target=asked,
        seed=seed,
        n_tuning_trials=study,
        validators=ValidatorChoice(novelty, conformal, META_INPUTS if meta else ()),
        rolling_days=parse_training_window(window),
    )
    with (
        progress_bar(f"training {family} on {symbol} {timeframe}") as advance,
        flow_servers(Home(home)) as mlflow_uri,
        listening(lambda step: advance(step.done, step.total, step.what)),
    ):
        from pipelines.train import train as run_train

        report = run_train(
            *(home, symbol, timeframe, *bounds, mlflow_uri, recipe),
            scheduler=scheduler,
            crew_size=crew,
        )
    if json:
        write_json(report)
        return
    if len(report.members) > 1:
        console.print(rows_table("Members", report.members))
    console.print(rows_table("Out of fold, after costs", report.comparison))
    console.print(rows_table("Gates", report.gates))
    console.print(report.headline, soft_wrap=True)
    console.print(report.luck_told, soft_wrap=True)
    best = report.best_alias or "none"
    console.print(f"{report.name} version {report.version} is registered; best alias: {best}.")


def promote(
    name: Annotated[str, typer.Argument(help="Registered name.")] = "EURUSD.H1.barrier",
    version: Annotated[str | None, typer.Option(help="Instead of the newest.")] = None,
    alias: Annotated[
        str | None,
        typer.Option(help="champion, challenger or paper, instead of the best it may carry."),
    ] = None,
    approve: Annotated[
        str | None, typer.Option(metavar="WHO", help="Sign first that it may trade real money.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Private key of WHO, instead of one in the home.")
    ] = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Point an alias at a registered model, if its certificate allows it."""
    prepare_environment(Home(home))
    with flow_servers(Home(home)) as mlflow_uri, notes.status(f"promoting {name}"):
        from pipelines.promote import promote as run_promote

        report = run_promote(home, name, version, alias, mlflow_uri, approve, key)
    if json:
        write_json(report)
        return
    console.print(rows_table("Gates", report.gates))
    console.print(report.headline, soft_wrap=True)
