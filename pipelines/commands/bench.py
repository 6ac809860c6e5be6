"""`sextant bench`: run a benchmark in a process of its own; it reports, it does not judge."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from online.domain.errors import NotFound
from pipelines.commands.terminal import console

FOLDER = Path(__file__).resolve().parents[2] / "tests" / "benchmarks"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("bench", epilog="Example: sextant bench decide --json")(bench)


def bench(
    name: Annotated[
        str | None, typer.Argument(help="Benchmark; without a name they are listed.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object and nothing else.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="The large variant.")] = False,
) -> None:
    """Measure a part of Sextant against its targets and its peers (in a checkout)."""
    known = find_benchmarks()
    if name is None:
        for stem, path in known.items():
            console.print(f"{stem:<12} {first_line(path)}", markup=False)
        return
    if name not in known:
        raise NotFound(f"no benchmark {name!r}: there are {', '.join(known) or 'none yet'}")
    words = [word for word, asked in (("--json", json), ("--full", full)) if asked]
    root = str(FOLDER.parents[1])
    finished = subprocess.run(  # noqa: S603 - a module of this checkout, no shell
        [sys.executable, "-m", f"tests.benchmarks.{name}", *words],
        env={**os.environ, "PYTHONPATH": root},
        check=False,
    )
    raise typer.Exit(finished.returncode)


def find_benchmarks() -> dict[str, Path]:
    """Return the benchmarks of this checkout by name.

    Raises
    ------
    NotFound
        If Sextant was not installed from a checkout.
    """
    if not FOLDER.is_dir():
        raise NotFound(
            f"benchmarks run in a checkout only: {FOLDER} is absent",
            remedy="Clone the repository and install it with `make install`.",
        )
    return {
        path.stem: path for path in sorted(FOLDER.glob("*.py")) if "__main__" in path.read_text()
    }


def first_line(path: Path) -> str:
    """Return the first line of a module's docstring."""
    for line in path.read_text().splitlines():
        if line.strip():
            return line.strip().strip('"').strip()
    return ""
