"""The `sextant` command.

Every command imports what it needs when it runs, so that the scorer's host can run its part
(`serve`, `status`, `explain`, `settings`) with the scorer's dependencies alone.
"""

from __future__ import annotations

import importlib
import sys
from typing import Annotated, NoReturn

import typer
from typer.exceptions import Abort, TyperException

from online.domain.errors import SextantError
from pipelines.commands import (
    audit,
    backtest,
    bench,
    data,
    feasting,
    flows,
    following,
    gateway,
    ingesting,
    models,
    orders,
    risk,
    running,
    scoring,
)
from pipelines.commands.terminal import notes

INTERRUPTED_STATUS = 130

app = typer.Typer(
    name="sextant",
    help="Sextant: data, features, models and a scorer that trades, in one line.",
    epilog="Start with: sextant demo",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
running.add_to(app)
ingesting.add_to(app)
following.add_to(app)
flows.add_to(app)
feasting.add_to(app)
models.add_to(app)
backtest.add_to(app)
scoring.add_to(app)
data.add_to(app)
bench.add_to(app)
audit.add_to(app)
gateway.add_to(app)
orders.add_to(app)
risk.add_to(app)


@app.callback()
def options(
    debug: Annotated[  # noqa: FBT002 - Typer reads the program's flags from the signature
        bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")
    ] = False,
) -> None:
    """Sextant: data, features, models and a scorer that trades, in one line."""


def main() -> NoReturn:
    """Run the command line; every failure is one sentence and an exit status.

    Exit status 0 is success, 2 wrong arguments or files, 130 Ctrl-C, 1 everything else.
    """
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit status."""
    try:
        status = app(arguments, prog_name="sextant", standalone_mode=False)
    except TyperException as error:
        return _fail(error.format_message(), _usage(error), error.exit_code)
    except SextantError as error:
        return _fail(f"{error.code}: {error}", error.remedy, error.exit_status)
    except ModuleNotFoundError as error:
        if "--debug" in arguments:
            raise
        return _fail(
            f"this command needs {error.name}, which is not installed",
            "Install the extra that brings it, for example: pip install 'sextant[demo]'.",
            1,
        )
    except (KeyboardInterrupt, Abort):
        status = INTERRUPTED_STATUS
    except Exception as error:  # the process edge: say it and end
        if "--debug" in arguments:
            raise
        if isinstance(error, OSError) and error.filename is not None:
            return _fail(
                f"{error.filename} cannot be used: {error.strerror}",
                "See that it is there and may be written, and that the disk has room.",
                1,
            )
        return _fail(
            f"unexpected {type(error).__name__}: {error}",
            "Run it again as `sextant --debug ...` for the traceback.",
            1,
        )
    if status == INTERRUPTED_STATUS:  # Typer makes it of Ctrl-C within a command
        notes.print("interrupted")
    return status if isinstance(status, int) else 0


def _usage(error: TyperException) -> str:
    """Return how the command is called, where the error knows its command; else nothing."""
    context = getattr(error, "ctx", None)
    if context is None:
        return ""
    usage = " ".join(context.get_usage().split())
    return f"{usage}\nWhat each means: {context.command_path} --help"


def _fail(message: str, remedy: str, status: int) -> int:
    notes.print(f"sextant: {message}", style="bold red", markup=False, soft_wrap=True)
    if remedy:
        notes.print(remedy, markup=False, soft_wrap=True)
    return status


if __name__ == "__main__":
    # Imported again by its name: what pickles or spawns must not find `__main__`.
    importlib.import_module("pipelines.cli").main()
