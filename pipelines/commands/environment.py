"""The environment in which a command runs a flow: quiet, below the home, on what runs there."""

from __future__ import annotations

import os

from pipelines.home import Home
from pipelines.platform.services import QUIET
from pipelines.platform.state import is_alive, read_state


def prepare_environment(home: Home) -> None:
    """Point Prefect and MLflow at the home's servers if they run, else at its own files.

    What the user has set already is kept. Call it before Prefect is imported: Prefect reads its
    environment once.
    """
    wanted = {
        **QUIET,
        "PREFECT_HOME": str(home.prefect.resolve()),
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # errors are told once, by the CLI
        "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        "MLFLOW_TRACKING_URI": f"sqlite:///{home.mlflow.resolve() / 'mlflow.db'}",
    }
    state = read_state(home.run / "platform.json")
    if state is not None and is_alive(state.supervisor_pid):
        urls = {part.name: part.url for part in state.parts}
        if "prefect" in urls:
            wanted["PREFECT_API_URL"] = f"{urls['prefect']}/api"
        if "mlflow" in urls:
            wanted["MLFLOW_TRACKING_URI"] = urls["mlflow"]
    else:
        home.mlflow.mkdir(parents=True, exist_ok=True)
    for name, value in wanted.items():
        os.environ.setdefault(name, value)
