"""Putting a journal aside, whole: a replay begins with a new account, so with a new journal."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path


def put_aside(journal: Path) -> Path | None:
    """Move a journal and what SQLite keeps beside it into ``archive/``.

    Parameters
    ----------
    journal
        Its file; nobody may have it open.

    Returns
    -------
    Path or None
        The folder it lies in now; None if there was none.
    """
    if not journal.exists():
        return None
    folder = journal.parent / "archive" / f"{datetime.now(tz=UTC):%Y%m%dT%H%M%S%f}Z"
    folder.mkdir(parents=True)
    for path in sorted(journal.parent.glob(f"{journal.name}*")):
        path.rename(folder / path.name)
    return folder
