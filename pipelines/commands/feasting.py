"""`sextant feast`: Feast's own commands, on the home's store or the servers it is told to use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from online.domain.errors import NotFound
from pipelines.commands.environment import online_store
from pipelines.commands.options import HOME, HomeOption
from pipelines.home import Home

if TYPE_CHECKING:
    from feature_repo.store import StorePaths

REPOSITORY = Path(__file__).resolve().parents[2] / "feature_repo"
SETTINGS_FILE = "feature_store.yaml"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command(
        "feast",
        epilog="Example: sextant feast plan",
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(feast)


def feast(context: typer.Context, home: HomeOption = HOME) -> None:
    """Run a Feast command, such as plan, apply, ui or feature-views list, on the home's store."""
    from feature_repo.store_settings import read_store_settings
    from pipelines.feature_steps import store_paths

    if find_spec("feast") is None:
        raise NotFound("Feast is not installed", remedy="Install it: pip install 'sextant[demo]'.")
    place = Home(home)
    file = write_settings(store_paths(place), place.feast / SETTINGS_FILE)
    environment = {
        **os.environ,
        "FEAST_FS_YAML_FILE_PATH": str(file),
        "FEAST_OFFLINE_ROOT": str((place.lake / "features").resolve()),
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY.parent), os.environ.get("PYTHONPATH", "")]),
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-P", "-m", "feature_repo.quick_feast", *guard(context.args)]
    if read_store_settings(place.feast / "stores.toml", os.environ).redis_url is not None:
        done = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False)  # noqa: S603 - the user's own arguments
    else:
        with online_store(place):
            done = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False)  # noqa: S603 - as above
    raise typer.Exit(done.returncode)


def guard(words: list[str]) -> list[str]:
    """Keep Feast's interface on this machine, unless an address is named: it asks nobody who he is.

    Examples
    --------
    >>> guard(["ui", "--port", "9000"])
    ['ui', '--host', '127.0.0.1', '--port', '9000']
    """
    place = 0
    while words[place : place + 1] and words[place].startswith("-"):  # of every command
        is_whole = "=" in words[place] or (words[place][2:] and words[place][1] != "-")
        place += 1 if is_whole else 2  # each of these options has a value
    before, command, after = words[:place], words[place : place + 1], words[place + 1 :]
    if command != ["ui"] or any(word.startswith(("--host", "-h")) for word in after):
        return words
    return [*before, "ui", "--host", "127.0.0.1", *after]


def write_settings(paths: StorePaths, file: Path) -> Path:
    """Write what Feast's commands read, for its owner alone: URLs may hold passwords."""
    from feature_repo.store import describe_store

    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(json.dumps(describe_store(paths), indent=1) + "\n")  # JSON is YAML
    return file.resolve()
