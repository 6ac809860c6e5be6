"""The environment in which a command runs a flow: quiet, below the home, on what runs there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pipelines.home import Home
from pipelines.platform import services
from pipelines.platform.ports import choose_port
from pipelines.platform.service import Service
from pipelines.platform.state import is_alive, read_state

MLFLOW_VARIABLE = "MLFLOW_TRACKING_URI"


def prepare_environment(home: Home) -> None:
    """Point Prefect and MLflow at the home's servers if they run, else Prefect at its own files.

    What the user has set already is kept. Call it before Prefect is imported: Prefect reads its
    environment once.
    """
    wanted = {
        **services.QUIET,
        "PREFECT_HOME": str(home.prefect.resolve()),
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # errors are told once, by the CLI
        "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    }
    home.prefect.mkdir(parents=True, exist_ok=True)  # Prefect makes no parents, and warns
    urls = running_urls(home)
    if "prefect" in urls:
        wanted["PREFECT_API_URL"] = f"{urls['prefect']}/api"
    if "mlflow" in urls:
        wanted[MLFLOW_VARIABLE] = urls["mlflow"]
    for name, value in wanted.items():
        os.environ.setdefault(name, value)


def running_urls(home: Home) -> Mapping[str, str]:
    """Return the addresses of the platform that runs on this home; empty if none does."""
    state = read_state(home.run / "platform.json")
    if state is None or not is_alive(state.supervisor_pid):
        return {}
    return {part.name: part.url for part in state.parts}


@contextmanager
def online_store(home: Home) -> Iterator[None]:
    """Have the home's online store run within the block; it is started if it does not."""
    with _with_service(home, None if "valkey" in running_urls(home) else services.valkey(home)):
        yield


@contextmanager
def mlflow_server(home: Home) -> Iterator[str]:
    """Have an MLflow server within the block and yield its address.

    One that the user names in ``MLFLOW_TRACKING_URI`` or that runs on this home is taken, else the
    home's own is started: through a server, whatever was recorded earlier stays readable.
    """
    given = os.environ.get(MLFLOW_VARIABLE)
    if given:
        yield given
        return
    service = services.mlflow(home, choose_port(services.MLFLOW_PORT))
    with _with_service(home, service):
        os.environ[MLFLOW_VARIABLE] = service.url
        try:
            yield service.url
        finally:
            del os.environ[MLFLOW_VARIABLE]


@contextmanager
def _with_service(home: Home, service: Service | None) -> Iterator[None]:
    if service is None:
        yield
        return
    from pipelines.platform.supervisor import Platform  # needs psutil: not in the lean part

    with Platform(home) as platform:
        platform.start(service)
        yield
