"""The version of the code that runs, as a model and its run name it."""

from __future__ import annotations

import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


@lru_cache(maxsize=1)
def code_version() -> str:
    """Return the version of Sextant, with the commit where there is a checkout."""
    try:
        installed = package_version("sextant")
    except PackageNotFoundError:
        installed = "unknown"
    if not (_ROOT / ".git").exists():
        return installed
    command = ["git", "-C", str(_ROOT), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603 - a fixed command
    except (OSError, subprocess.SubprocessError):
        return installed
    return f"{installed}+{done.stdout.strip()}"
