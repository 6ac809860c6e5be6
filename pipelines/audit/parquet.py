"""Parquet, where pyarrow is installed: the scorer's host does without."""

from __future__ import annotations

import importlib
from typing import Any

from online.domain.errors import InvalidInput


def load_pyarrow() -> tuple[Any, Any]:
    """Return the modules ``pyarrow`` and ``pyarrow.parquet``.

    Raises
    ------
    InvalidInput
        With code ``PARQUET_UNAVAILABLE`` where pyarrow is not installed.
    """
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError as error:
        raise InvalidInput(
            "Parquet needs pyarrow, which the scorer's environment does not hold",
            code="PARQUET_UNAVAILABLE",
            remedy="Run it where Sextant is installed whole, on a copy of the journal; "
            "`audit export --format csv` needs nothing more.",
        ) from error
