"""The embedded platform: every part on this machine, in order, from nothing to trading.

1. Valkey, MLflow and Prefect start together.
2. The flows are served as deployments (`pipelines.deployments`).
3. Without a promoted model, one is made (`pipelines.bootstrap`): its runs show in Prefect.
4. The scorer starts on that model (`online.app`), on a journal of its own.
5. The feed replays the last quarter into it (`pipelines.feed`).
6. Where a PostgreSQL was named, a relay copies the journal there (`pipelines.audit.relay`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

import httpx

from online.adapters.journal_shelf import put_aside
from online.domain.errors import Unavailable
from online.domain.market import Timeframe
from pipelines.home import Home
from pipelines.platform import services
from pipelines.platform.ports import choose_port
from pipelines.platform.secrets import ensure_token
from pipelines.platform.state import PartStatus, judge_parts
from pipelines.platform.supervisor import Platform

PARTS = ("valkey", "mlflow", "prefect", "flows", "scorer", "feed")
MODEL_NAME, MODEL_ALIAS = "EURUSD.H1.barrier", "paper"
REPLAY_PROJECT = "replay"
"""Feast's project of the replay: Redis keeps no stamp older than one it holds."""


@dataclass(frozen=True, slots=True)
class Ports:
    """TCP ports of the parts that have one."""

    prefect: int
    mlflow: int
    scorer: int


def choose_ports() -> Ports:
    """Return the usual ports, or free ones where they are taken."""
    prefect = choose_port(services.PREFECT_PORT)
    mlflow = choose_port(services.MLFLOW_PORT, frozenset({prefect}))
    scorer = choose_port(services.SCORER_PORT, frozenset({prefect, mlflow}))
    return Ports(prefect, mlflow, scorer)


def run_platform(
    home: Home,
    bar_seconds: float,
    retraining: tuple[str, ...] = (),
    copying: tuple[str, ...] | None = None,
    *,
    say: Callable[[str], None],
    show: Callable[[tuple[PartStatus, ...]], None],
) -> None:
    """Start everything and stay until Ctrl-C; before all is ready it is a KeyboardInterrupt.

    Parameters
    ----------
    bar_seconds
        Between two replayed bars (> 0).
    retraining
        Options of `pipelines.deployments`: when models are retrained, and on how much.
    copying
        Options of `sextant audit relay`; None copies the journal nowhere.
    say
        Told what is being done.
    show
        Told what runs, once all is ready.

    Raises
    ------
    SextantError
        If a part does not start, or ends by itself.
    """
    ports = choose_ports()
    client = services.client_environment(home, ports.prefect, ports.mlflow)
    settings = scorer_settings(home, client["MLFLOW_TRACKING_URI"], ports.scorer)
    parts = PARTS if copying is None else (*PARTS, "relay")
    with Platform(home, parts) as platform:
        ensure_token(home.token)
        say("starting Valkey, MLflow and Prefect")
        platform.start(
            services.valkey(home),
            services.mlflow(home, ports.mlflow),
            services.prefect(home, ports.prefect),
        )
        if not has_model(client["MLFLOW_TRACKING_URI"]):
            say(f"no model is promoted yet: making one (log: {platform.log('bootstrap')})")
            command = (sys.executable, "-m", "pipelines.bootstrap", str(home.root.resolve()))
            platform.run("bootstrap", command, {**client, **settings})
        # Only now: what is due while the first model is made would find half a lake, and fail.
        say("serving the flows")
        platform.start(
            services.flows(home, {**client, **settings}, services.DEPLOYMENTS, retraining)
        )
        say("starting the scorer and the feed")
        put_aside(home.journal)
        platform.start(services.scorer(ports.scorer, {**settings, **replay_clock(home)}))
        feeding = feed_command(home, ports.scorer, bar_seconds)
        platform.start(services.feed(home, feeding, {**client, **settings}))
        if copying is not None:
            say("starting the relay")
            platform.start(services.relay(home, copying))
        show(judge_parts(platform.state_file))
        with suppress(KeyboardInterrupt):  # how it is meant to end
            platform.watch()
        say("stopping everything")


def has_model(mlflow_url: str) -> bool:
    """Return True if MLflow knows a model under the alias the platform trades by.

    Raises
    ------
    Unavailable
        If MLflow does not answer.
    """
    try:
        reply = httpx.get(
            f"{mlflow_url}/api/2.0/mlflow/registered-models/alias",
            params={"name": MODEL_NAME, "alias": MODEL_ALIAS},
            trust_env=False,
        )
    except httpx.HTTPError as error:
        raise Unavailable(f"MLflow at {mlflow_url} does not answer: {error}") from error
    return reply.status_code == HTTPStatus.OK


def scorer_settings(home: Home, mlflow_url: str, port: int) -> Mapping[str, str]:
    """Return the scorer's settings in replay mode, as variables of its environment."""
    return {
        "SEXTANT_MODE": "replay",
        "SEXTANT_HTTP__PORT": str(port),
        "SEXTANT_TOKEN_FILE": str(home.token.resolve()),
        "SEXTANT_FEATURES__KIND": "feast_redis",
        "SEXTANT_FEATURES__SOCKET_PATH": str(home.valkey_socket.resolve()),
        "SEXTANT_FEATURES__PROJECT": REPLAY_PROJECT,
        "SEXTANT_MODELS__KIND": "mlflow",
        "SEXTANT_MODELS__URL": mlflow_url,
        "SEXTANT_MODELS__CACHE": str((home.bundles / "scorer").resolve()),
        "SEXTANT_MODELS__TRUST": str(home.trusted.resolve()),
        "SEXTANT_MODEL__NAME": MODEL_NAME,
        "SEXTANT_MODEL__ALIAS": MODEL_ALIAS,
        "SEXTANT_JOURNAL__PATH": str(home.journal.resolve()),
    }


def replay_clock(
    home: Home, symbol: str = "EURUSD", timeframe: Timeframe = Timeframe.H1
) -> Mapping[str, str]:
    """Return the settings of a scorer's clock that stands before the replay's first bar.

    What it journals before that bar is then stamped by the replay's time.
    """
    from pipelines.feed import find_replay_start_ns  # noqa: PLC0415 - it imports this file

    starts_at_ns = find_replay_start_ns(home, symbol, timeframe) - timeframe.duration_ns
    return {
        "SEXTANT_CLOCK__KIND": "virtual",
        "SEXTANT_CLOCK__STARTS_AT_NS": str(starts_at_ns),
    }


def feed_command(home: Home, scorer_port: int, bar_seconds: float) -> tuple[str, ...]:
    """Return the feed's command line."""
    url = f"http://127.0.0.1:{scorer_port}"
    return (
        *(sys.executable, "-m", "pipelines.feed", str(home.root.resolve()), url),
        *("--bar-seconds", str(bar_seconds)),
    )
