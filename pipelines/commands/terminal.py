"""The terminal: one console for results, one for what goes beside them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

PIPED_WIDTH = 160
"""Columns of a table that goes to a file or a program."""

console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
"""Results, on standard output."""

notes = Console(stderr=True, highlight=False)
"""Progress and errors, on standard error."""


def write_json(value: Any) -> None:  # noqa: ANN401 - whatever msgspec can encode
    """Write one JSON value to standard output, plain and indented."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=1).decode()
    console.file.write(f"{text}\n")


@contextmanager
def progress_bar(text: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show steps done, of all, with the time left; yields what is told of each step.

    Parameters
    ----------
    text
        Shown until the first step is done.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),  # leaves room for the time on a narrow terminal
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=notes, transient=True) as shown:
        task = shown.add_task(text, total=None)

        def advance(done: int, total: int, what: str) -> None:
            shown.update(task, completed=done, total=total, description=what)

        yield advance


def rows_table(title: str, rows: Sequence[Mapping[str, object]]) -> Table:
    """Return rows that share their columns as a table; floats with six digits."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        cells = (row.get(name, "") for name in columns)
        table.add_row(*(f"{c:.6g}" if isinstance(c, float) else str(c) for c in cells))
    return table
