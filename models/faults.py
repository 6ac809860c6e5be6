"""Faults of MLflow and of the disk, named as ours."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from requests import RequestException

from models.tracking import MlflowException
from online.domain.errors import InvalidInput, Unavailable

REFUSED = "INVALID_PARAMETER_VALUE"
"""What MLflow calls a request that it does not take."""


@contextmanager
def named_mlflow(uri: str) -> Iterator[None]:
    """Name MLflow's errors as ours."""
    try:
        yield
    except MlflowException as error:
        if error.error_code == REFUSED:
            raise InvalidInput(f"MLflow refuses: {error}", code="MLFLOW_REFUSED") from error
        raise Unavailable(f"MLflow at {uri} does not answer: {error}") from error
    except RequestException as error:  # of a file: MLflow gives its client's own errors away
        raise Unavailable(f"MLflow at {uri} does not take or give a file: {error}") from error


@contextmanager
def named_disk() -> Iterator[None]:
    """Name a full disk, whatever library met it."""
    try:
        yield
    except Exception as error:  # a database or an artifact store wraps it in errors of its own
        if not is_disk_full(error):
            raise
        raise Unavailable(
            f"nothing can be written: {error}",
            code="DISK_FULL",
            remedy="Free space and train again; nothing was registered, and a search goes on.",
        ) from error


def is_disk_full(error: BaseException) -> bool:
    """Tell whether an error, or one behind it, says that a disk is full."""
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, OSError) and behind.errno in {errno.ENOSPC, errno.EDQUOT}:
            return True
        code = getattr(behind, "sqlite_errorcode", None)
        if isinstance(behind, sqlite3.Error) and code == sqlite3.SQLITE_FULL:
            return True
        behind = behind.__cause__ or behind.__context__
    return False
