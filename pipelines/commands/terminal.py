"""The terminal: one console for results, one for what goes beside them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
from rich.console import Console, ConsoleOptions
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

PIPED_WIDTH = 160
"""Columns of a table that goes to a file or a program."""

_STEP = Column(no_wrap=True, overflow="ellipsis", max_width=34)
"""Of a progress bar; the rest of 80 columns is for the bar, the steps and the time."""

_NUMBER = re.compile(r"[-+]?[\d,]+(\.\d+)?(e[-+]\d+)?%?|")
"""A cell that is set to the right where all of its column are."""

console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
"""Results, on standard output."""

notes = Console(stderr=True, highlight=False)
"""Progress and errors, on standard error."""


def write_json(value: Any) -> None:  # noqa: ANN401 - whatever msgspec can encode
    """Write one JSON value to standard output, plain and indented."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=1).decode()
    console.file.write(f"{text}\n")


class _TimeLeft(TimeRemainingColumn):
    """Says that it is the time left, as soon as there is something to count."""

    def render(self, task: Task) -> Text:
        """Return the time with its word."""
        told = super().render(task)
        return told if task.total is None else told.append(" left")


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
        TextColumn("{task.description}", table_column=_STEP),
        BarColumn(bar_width=20),  # leaves room for the time on a narrow terminal
        MofNCompleteColumn(),
        _TimeLeft(),
    )
    with Progress(*columns, console=notes, transient=True) as shown:
        task = shown.add_task(text, total=None)

        def advance(done: int, total: int, what: str) -> None:
            shown.update(task, completed=done, total=total, description=what)

        yield advance


def rows_table(title: str, rows: Sequence[Mapping[str, object]]) -> FittingTable:
    """Return rows that share their columns as a table; floats with six digits."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    body = [[_cell(row.get(name, "")) for name in columns] for row in rows]
    return FittingTable(title, [columns, *body])


@dataclass(frozen=True, slots=True)
class FittingTable:
    """A table whose words are whole however narrow the terminal is.

    Where its columns have no room for their words it is turned on its side, and where not even
    that fits each row becomes a table by itself; words are broken as a last resort, never cut.

    Parameters
    ----------
    title
        Above it.
    lines
        Head and rows, as many cells each.
    """

    title: str
    lines: Sequence[Sequence[str]]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> Iterator[Table]:
        """Yield it as it fits."""
        turned = [list(cells) for cells in zip(*self.lines, strict=True)]
        for lines in (self.lines, turned):
            if _least_width(lines) <= options.max_width:
                yield _fitting(self.title, lines, options.max_width)
                return
        head, *rows = self.lines
        for row in rows:
            lines = list(zip(head, row, strict=True))
            yield _fitting(self.title, [("", ""), *lines], options.max_width, has_head=False)


def _fitting(
    title: str, lines: Sequence[Sequence[str]], max_width: int, *, has_head: bool = True
) -> Table:
    """Return a table whose columns are at least as wide as their longest words, if those fit."""
    table = Table(title=title, title_justify="left", show_header=has_head)
    widths = _widths(lines, max_width) if _least_width(lines) <= max_width else None
    for place, (name, *cells) in enumerate(zip(*lines, strict=True)):
        table.add_column(
            name,
            overflow="fold",
            width=None if widths is None else widths[place],
            justify="right" if cells and all(map(_NUMBER.fullmatch, cells)) else "left",
        )
    for row in lines[1:]:
        table.add_row(*row)
    return table


def _cell(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _widths(lines: Sequence[Sequence[str]], max_width: int) -> list[int]:
    """Return the columns' widths: of their longest lines, the most breakable ones narrowed."""
    columns = list(zip(*lines, strict=True))
    widths = [max(len(line) for cell in c for line in cell.split("\n")) for c in columns]
    least = list(map(_longest, columns))
    excess = sum(widths) + 3 * len(widths) + 1 - max_width
    for _ in range(excess):
        slack = [width - word for width, word in zip(widths, least, strict=True)]
        widths[slack.index(max(slack))] -= 1
    return widths


def _longest(cells: Iterable[str]) -> int:
    return max((len(word) for cell in cells for word in cell.split()), default=0)


def _least_width(lines: Sequence[Sequence[str]]) -> int:
    """Return the columns of a terminal that hold every word whole."""
    words = [_longest(cells) for cells in zip(*lines, strict=True)]
    return sum(words) + 3 * len(words) + 1
