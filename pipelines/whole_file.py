"""Files and folders put in place whole, also where several processes put the same one."""

from __future__ import annotations

import logging
import shutil
import uuid
from pathlib import Path

from models.export import Bundle, digest_folder

logger = logging.getLogger(__name__)


def put_file(path: Path, content: bytes, scratch: Path | None = None) -> None:
    """Replace a file in one step; of several that do so at once, the last one's stays.

    Parameters
    ----------
    path, content
        What is written; its folder is made.
    scratch
        Where it is written first, on the same file system; None for beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    new = (scratch or path.parent) / f".{path.name}.{uuid.uuid4().hex}.new"
    try:
        new.write_bytes(content)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def put_bundle(written: Bundle, folder: Path) -> None:
    """Move a bundle to `folder`, unless it is there; one that was changed since is made anew."""
    if folder.exists() and digest_folder(folder) != written.digest:
        logger.warning("bundle %s was changed since it was made: it is made anew", folder)
        shutil.rmtree(folder)
    if folder.exists():
        return
    try:
        written.folder.rename(folder)
    except OSError:  # another training of the same came first
        if not folder.exists() or digest_folder(folder) != written.digest:
            raise
