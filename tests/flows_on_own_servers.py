"""A flow on the servers that a command starts, one of which is then killed.

``python -m tests.flows_on_own_servers HOME`` says on standard output which commands had imported
Prefect before its environment was made, what the first flow gave, and how the second one failed.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from online.domain.errors import Unavailable
from pipelines import cli
from pipelines.commands import backtest, flows, ingesting, models
from pipelines.commands.environment import flow_servers, prepare_environment
from pipelines.home import Home
from pipelines.platform.state import read_state

COMMANDS = (
    (ingesting, ["ingest"]),
    (flows, ["features"]),
    (flows, ["train", "--family", "logistic"]),
    (flows, ["promote"]),
    (models, ["models", "rollback"]),
    (backtest, ["backtest"]),
)


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Run them."""
    home = Home(Path(sys.argv[1]))

    def stop(_: Home) -> None:
        say(f"early: {'prefect' in sys.modules}")
        raise KeyboardInterrupt

    for module, words in COMMANDS:
        known = module.prepare_environment
        module.prepare_environment = stop  # type: ignore[attr-defined] # each has imported it
        cli.run([*words, "--home", str(home.root)])
        module.prepare_environment = known  # type: ignore[attr-defined] # each has imported it
    prepare_environment(home)
    try:
        with flow_servers(home):
            from prefect import flow  # noqa: PLC0415 - it reads its environment once

            @flow
            def answer() -> int:
                return 42

            say(f"gave: {answer()}")
            state = read_state(home.run / "platform.json")
            assert state is not None
            os.kill(state.parts[0].pid, signal.SIGKILL)
            answer()
    except Unavailable as error:
        say(f"failed: {error.code} {error}")


if __name__ == "__main__":
    main()
