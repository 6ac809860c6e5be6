"""The bearer token of the embedded scorer: made once, readable by its owner alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

TOKEN_BYTES = 32


def ensure_token(path: Path) -> Path:
    """Return `path`, filled with a fresh random token if it is not there yet."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{secrets.token_urlsafe(TOKEN_BYTES)}\n")
    return path
