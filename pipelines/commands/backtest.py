"""`sextant backtest`: a registered model over past bars, by the code that trades."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from pipelines.commands.days import bounds_ns
from pipelines.commands.environment import flow_servers, prepare_environment
from pipelines.commands.options import (
    HOME,
    HomeOption,
    JsonOption,
    SlippageOption,
    SpreadOption,
    SwapOption,
)
from pipelines.commands.terminal import console, notes, rows_table, write_json
from pipelines.home import Home

_DAY = ["%Y-%m-%d"]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "backtest",
        epilog="Example: sextant backtest EURUSD.H1.barrier --since 2017-10-01 --home var/demo. "
        "Several names trade one account: sextant backtest EURUSD.H1.barrier GBPUSD.H1.barrier",
    )(backtest)


def backtest(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Registered names; EURUSD.H1.barrier if none is given."),
    ] = None,
    alias: Annotated[str, typer.Option(help="champion, challenger or paper.")] = "paper",
    since: Annotated[
        datetime | None,
        typer.Option(formats=_DAY, help="First day (UTC); else behind the training window."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=_DAY, help="Day (UTC) the bars end before.")
    ] = None,
    spread_points: SpreadOption = None,
    slippage: SlippageOption = None,
    swap: SwapOption = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out Monte Carlo, coins and other choices.")
    ] = False,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Trade past bars with registered models through the scorer's own code, and report."""
    start_ns, end_ns = bounds_ns(since, until)
    prepare_environment(Home(home))
    wanted = names or ["EURUSD.H1.barrier"]
    told = f"backtesting {', '.join(wanted)}"
    with flow_servers(Home(home)) as mlflow_uri, notes.status(told):
        from pipelines.backtest import backtest as run

        report = run(
            *(home, wanted, alias, start_ns, end_ns, mlflow_uri, spread_points),
            slippage_points=slippage,
            swap_points=swap,
            quick=quick,
        )
    if json:
        write_json(report)
        return
    rows = [{"run": "model", **report.figures}, {"run": "rules", **report.baseline_figures}]
    console.print(rows_table(f"{report.bars:,} bars, after all costs", rows))
    if len(report.by_symbol) > 1:
        shares = [{"symbol": symbol, "net": net} for symbol, net in report.by_symbol.items()]
        console.print(rows_table("Closed trades by symbol", shares))
    console.print(rows_table("What the closed trades cost", report.bill))
    console.print(report.headline, soft_wrap=True)
    console.print(report.costs, soft_wrap=True)
    console.print(f"Report: {report.page}", soft_wrap=True)
