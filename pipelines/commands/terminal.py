"""The terminal: one console for results, one for what goes beside them."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
from rich.console import Console

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
