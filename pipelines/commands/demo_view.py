"""What `sextant demo` shows while it runs and when it has finished."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pipelines.commands.terminal import console, notes


class DemoView:
    """Prints each stage with the seconds since the start, and a bar for counted parts."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._progress = Progress(
            TextColumn("        {task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=notes,
            transient=True,
        )

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the progress bars away."""
        self._progress.stop()

    def stage(self, text: str) -> None:
        """Say what begins."""
        notes.print(f"[dim]{time.monotonic() - self._began:6.1f} s[/] {text}")

    def count(self, text: str, total: int) -> Callable[[int], None]:
        """Begin a counted part; return what is called with the number of items done."""
        task = self._progress.add_task(text, total=total)
        return lambda done: self._progress.advance(task, done)


def show_summary(data: dict[str, Any], paths: tuple[str, ...], example: str, home: str) -> None:
    """Print the figures a newcomer looks for, and where to go on."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    model, parity, currency = data["model"], data["parity"], data["costs"]["currency"]
    rows = {
        "Market": f"{data['symbol']} {data['timeframe']}, {data['bars']:,} real bars",
        "Features": f"{data['features']} in Feast",
        "Model": f"{model['name']} version {model['version']}, alias {model['alias']}, "
        f"{data['folds']} purged folds",
        "Edge": model["headline"],
        "Decisions": f"{data['decisions']:,}, of them {data['vetoes']} vetoed",
        "Orders": f"{data['orders']}, filled {data['fills']}",
        "Net P&L": f"{data['pnl_net']:+,.2f} {currency}; "
        f"rule baseline {data['baseline_pnl_net']:+,.2f} {currency}",
        "Costs": f"{data['costs']['spread']} Commission "
        f"{data['costs']['commission_per_lot_and_side']:g} {currency} a lot and side.",
        "Parity": f"{parity['compared']:,} items compared between live and backtest, "
        f"{parity['different']} different",
    }
    for name, text in rows.items():
        table.add_row(f"[bold]{name}[/]", text)
    console.print(table)
    for path in paths:
        console.print(f"Report: {path}")
    console.print(f"Why an order? sextant explain {example} --home {home}")
