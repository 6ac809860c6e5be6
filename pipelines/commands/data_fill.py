"""`sextant data fill`: a whole folder of market data into the lake, by a recipe."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from online.domain.errors import InvalidInput
from online.domain.market import Timeframe
from pipelines.commands.environment import prepare_environment
from pipelines.commands.ingesting import (
    describe_source,
    ingest_source,
    parse_timeframes,
    show_report,
)
from pipelines.commands.options import HOME, HomeOption, JsonOption
from pipelines.commands.terminal import console, notes, write_json
from pipelines.home import Home

_REMEDY = "A recipe is a TOML file such as pipelines/sources/recipe.toml."


class _Table(msgspec.Struct, frozen=True):
    """What every table of a recipe has, whatever its source; the rest is the source's."""

    symbol: str
    source: str
    path: Annotated[str, msgspec.Meta(min_length=1)]
    timeframes: str = ""
    priority: int = 0
    reference: str | None = None


class _Step(NamedTuple):
    """One file, or folder of quotes, to bring in."""

    symbol: str
    config: Any
    timeframes: tuple[Timeframe, ...]
    priority: int
    reference: str | None


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    group.command(
        "fill",
        epilog="Example: sextant data fill pipelines/sources/recipe.toml --data ../shared/data",
    )(fill)


def fill(
    recipe: Annotated[Path, typer.Argument(help="TOML file, a table named source for each.")],
    data: Annotated[Path, typer.Option(help="Folder that the recipe's paths are relative to.")],
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Bring in every source of a recipe; what is there already adds nothing."""
    steps = read_recipe(recipe, data)
    prepare_environment(Home(home))
    reports = []
    for number, step in enumerate(steps, start=1):
        with notes.status(f"{number} of {len(steps)}: ingesting {step.symbol}"):
            reports.append(
                ingest_source(
                    step.config, step.symbol, step.timeframes, step.priority, step.reference, home
                )
            )
        if not json:
            show_report(reports[-1])
    if json:
        write_json(reports)
    else:
        console.print(f"{len(steps)} files and folders; `sextant data list` shows what is there.")


def read_recipe(recipe: Path, data: Path) -> list[_Step]:
    """Return what a recipe asks for, in its order; everything is checked before anything is read.

    Raises
    ------
    InvalidInput
        If the recipe cannot be read, or a source of it cannot be; the message tells which.
    """
    try:
        tables = tomllib.loads(recipe.read_text(encoding="utf-8"))["source"]
    except OSError as error:
        why = f"recipe {recipe} cannot be read: {error.strerror}"
        raise InvalidInput(why, remedy=_REMEDY) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"recipe {recipe} cannot be read: {error}", remedy=_REMEDY) from error
    except KeyError:
        tables = None
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise InvalidInput(f"recipe {recipe} has no tables [[source]]", remedy=_REMEDY)
    steps = []
    for number, table in enumerate(tables, start=1):
        try:
            steps += _steps(table, data)
        except (InvalidInput, msgspec.ValidationError) as error:
            code = error.code if isinstance(error, InvalidInput) else None
            why = f"recipe {recipe}, source {number}: {error}"
            raise InvalidInput(why, code=code, remedy=_REMEDY) from error
    return steps


def _steps(table: dict[str, Any], data: Path) -> list[_Step]:
    asked = msgspec.convert(table, _Table)
    timeframes = parse_timeframes(asked.timeframes)
    if Path(asked.path).is_absolute():
        raise InvalidInput(f"path is relative to the folder of --data, got {asked.path}")
    paths = sorted(data.glob(asked.path))
    if not paths:
        raise InvalidInput(f"no file {asked.path} below {data}", code="FILE_NOT_FOUND")
    own = {name: value for name, value in table.items() if name not in _Table.__struct_fields__}
    configs = [describe_source(asked.source, own, path) for path in paths]
    rest = (timeframes, asked.priority, asked.reference)
    return [_Step(asked.symbol, config, *rest) for config in configs]
