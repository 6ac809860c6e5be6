"""Options that the audit commands share."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated

import typer

from online.domain.errors import InvalidInput
from online.domain.market import NANOSECONDS_PER_SECOND
from pipelines.home import Home

JournalOption = Annotated[
    Path | None,
    typer.Option("--journal", help="The journal's file; the home's if not given.", dir_okay=False),
]


def find_journal(home: Path, journal: Path | None) -> Path:
    """Return the journal named, or the home's."""
    return Home(home).journal if journal is None else journal


def parse_day(text: str) -> int:
    """Return the first nanosecond of a UTC day.

    Parameters
    ----------
    text
        ``YYYY-MM-DD``.

    Raises
    ------
    InvalidInput
        If it is no day from 1970 on.
    """
    try:
        day = date.fromisoformat(text)
        seconds = int(datetime.combine(day, time(), tzinfo=UTC).timestamp())
    except ValueError as error:
        raise InvalidInput(f"a day is YYYY-MM-DD, got {text!r}: {error}") from error
    if seconds < 0:
        raise InvalidInput(f"a day is of 1970 or later, got {text!r}")
    return seconds * NANOSECONDS_PER_SECOND
