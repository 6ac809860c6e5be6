"""Limits read anew from the settings' own layers, while the scorer runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from online.domain.limits import Limits
from online.settings import Settings


class SettingsLimits:
    """Reads every setting again, checks them as a whole, and returns the limits among them.

    Parameters
    ----------
    reread
        Returns the settings as they are stated now.
    files
        That state them; watched for changes.
    """

    def __init__(self, reread: Callable[[], Settings], files: tuple[Path, ...]) -> None:
        self._reread = reread
        self._files = files

    def read(self) -> Limits:
        """Return the limits as they are stated now.

        Raises
        ------
        InvalidSettings
            If anything of the settings is wrong.
        """
        return self._reread().limits

    def stamp(self) -> tuple[object, ...]:
        """Return what changes when the files do."""
        return tuple(_stamp(path) for path in self._files)


def _stamp(path: Path) -> tuple[int, int, int]:
    try:
        told = path.stat()
    except OSError:
        return (0, 0, 0)
    return (told.st_mtime_ns, told.st_size, told.st_ino)
