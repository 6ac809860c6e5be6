"""What sources of one file share."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, Protocol, TypeVar


class _HasPath(Protocol):
    @property
    def path(self) -> Path: ...


C = TypeVar("C", bound=_HasPath)


class OneFile(Generic[C]):
    """A source that reads one file.

    Parameters
    ----------
    config
        Which file, and how to read it.
    """

    def __init__(self, config: C) -> None:
        self._config = config

    def files(self) -> tuple[Path, ...]:
        """Return the one file."""
        return (self._config.path,)
