"""Prefect's cache of checked readings: named by content and code, and kept small.

A run that failed after reading, or a second lake filled from the same files, does not read again.
Prefect prunes nothing by itself, and a year of minutes takes 30 MB; so after each reading only the
newest stay, up to `BYTES_MAX` together.
"""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from prefect.context import TaskRunContext
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH

from online.domain.errors import NotFound
from online.instruments import find_instrument
from pipelines.sources.source import open_source
from pipelines.sources.terminal import TerminalConfig

PREFIX = "sextant-reading-"
BYTES_MAX = 128 * 1024**2


def name_of_content(_context: TaskRunContext, parameters: dict[str, Any]) -> str | None:
    """Return the cache key of a reading: settings, instrument, the files' bytes, our code, the day.

    The day is in it because bars that close in the future are refused. None, which is never
    cached, if a file cannot be read: the task then says so itself; nor is a reading cached whose
    clock is compared with a series of the lake, which may have grown, or which comes of a live
    terminal, which tells more each time.
    """
    source = parameters["source"]
    if parameters.get("known") is not None or isinstance(source, TerminalConfig):
        return None
    try:
        contents = [_sha256(path) for path in open_source(source).files()]
        instrument = repr(find_instrument(parameters["symbol"]))
    except (OSError, NotFound):
        return None
    day = str(time.time_ns() // (86_400 * 10**9))
    named = [source.model_dump_json(), instrument, *contents, _code_digest(), day]
    return PREFIX + hashlib.sha256("|".join(named).encode()).hexdigest()


def prune_readings(folder: Path | None = None, bytes_max: int = BYTES_MAX) -> int:
    """Remove the oldest readings beyond the limit; return how many.

    Parameters
    ----------
    folder
        Where Prefect keeps results; its local storage by default.
    bytes_max
        What may stay, together; the newest reading stays whatever its size.
    """
    storage = PREFECT_LOCAL_STORAGE_PATH.value() if folder is None else folder
    found = [(path, path.stat()) for path in storage.glob(f"{PREFIX}*")]
    found.sort(key=lambda one: one[1].st_mtime_ns, reverse=True)
    kept_bytes, removed = 0, 0
    for place, (path, about) in enumerate(found):
        kept_bytes += about.st_size
        if place and kept_bytes > bytes_max:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=1)
def _code_digest() -> str:
    """Return the digest of the code that reads and judges rows."""
    here = Path(__file__).parent
    sources = [*sorted((here / "sources").glob("*.py")), *sorted(here.glob("quality*.py"))]
    return hashlib.sha256("".join(_sha256(path) for path in sources).encode()).hexdigest()
