"""Layers of settings: read from files and variables, laid one over another; not judged here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from online.domain.errors import InvalidSettings

Tree = dict[str, Any]

ADDRESSES = frozenset({"url", "socket_path"})
"""Of one server: a layer that names one of them does not mean the other of the layer below."""


def nest(named: Iterable[tuple[str, str]]) -> Tree:
    """Return ``A__B=x`` as ``{"a": {"b": "x"}}``; a value that begins with [ or { is JSON.

    Raises
    ------
    InvalidSettings
        If a name is a value and a table, or a value only begins like JSON.
    """
    tree: Tree = {}
    for name, value in named:
        *tables, leaf = name.lower().split("__")
        branch = tree
        for table in tables:
            branch = branch.setdefault(table, {})
            if not isinstance(branch, dict):
                raise InvalidSettings(f"{name} is set both as a value and as a table")
        if isinstance(branch.get(leaf), dict):
            raise InvalidSettings(f"{name} is set both as a value and as a table")
        branch[leaf] = _read_value(name, value)
    return tree


def _read_value(name: str, text: str) -> object:
    if not text.startswith(("[", "{")):
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidSettings(f"{name} begins like JSON and is none: {error}") from error


def join(low: Tree, high: Tree) -> Tree:
    """Lay one layer over another.

    A table of another kind replaces the lower one, and one address the other (`ADDRESSES`).
    """
    addressed = not ADDRESSES.isdisjoint(high)
    joined = {name: v for name, v in low.items() if not (addressed and name in ADDRESSES)}
    for name, value in high.items():
        below = joined.get(name)
        if isinstance(below, dict) and isinstance(value, dict):
            replaces = value.get("kind", below.get("kind")) != below.get("kind")
            joined[name] = value if replaces else join(below, value)
        else:
            joined[name] = value
    return joined


def read_toml(path: Path) -> Tree:
    """Return a TOML file.

    Raises
    ------
    InvalidSettings
        If it cannot be read, or is none.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{path} cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidSettings(f"{path} is not TOML: {error}") from error


def read_secrets(folder: Path) -> list[tuple[str, str]]:
    """Return name and text of every file in a folder.

    Raises
    ------
    InvalidSettings
        If one cannot be read.
    """
    try:
        files = [path for path in sorted(folder.iterdir()) if path.is_file()]
        return [(path.name, path.read_text(encoding="utf-8").strip()) for path in files]
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"secrets_folder {folder} cannot be read: {error}") from error
