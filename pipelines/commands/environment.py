"""The environment in which a command runs a flow: quiet, below the home, on what runs there."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from tempfile import TemporaryFile

from online.domain.errors import Unavailable
from pipelines.commands.terminal import notes
from pipelines.home import Home
from pipelines.platform import services
from pipelines.platform.ports import choose_port
from pipelines.platform.service import Service
from pipelines.platform.state import is_alive, read_state

MLFLOW_VARIABLE, PREFECT_VARIABLE = "MLFLOW_TRACKING_URI", "PREFECT_API_URL"
ROOM_BYTES = 1 << 20
"""Least room that a home must have for a command that records what it does."""
PACKAGES = ("feature_repo", "models", "online", "pipelines")
_PLAIN, _STAMPED = "warning: %(message)s", "%(asctime)s %(levelname)s %(message)s"
DRAIN_SECONDS = 10.0
"""Longest wait for what Prefect has still to send, each of its logs and of its events."""


def prepare_environment(home: Home) -> None:
    """Point Prefect and MLflow at the home's servers if they run, else Prefect at its own files.

    What the user has set already is kept. Call it before Prefect is imported: Prefect reads its
    environment once.

    Raises
    ------
    Unavailable
        With code ``HOME_NOT_WRITABLE`` if nothing can be written to the home: Prefect would try
        for minutes.
    """
    require_room(home)
    tell_warnings()
    wanted = {
        **services.QUIET,
        "PREFECT_HOME": str(home.prefect.resolve()),
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # errors are told once, by the CLI
        "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    }
    urls = _lean_on(home)
    if "prefect" in urls:
        wanted[PREFECT_VARIABLE] = f"{urls['prefect']}/api"
    if "mlflow" in urls:
        wanted[MLFLOW_VARIABLE] = urls["mlflow"]
    for name, value in wanted.items():
        os.environ.setdefault(name, value)


def tell_warnings(*, stamped: bool = False) -> None:
    """Let what our code warns of be seen: Prefect's console is told to be silent.

    Parameters
    ----------
    stamped
        With the time and the level, as what runs for days wants them.
    """
    told = _Notes(logging.WARNING)
    told.setFormatter(logging.Formatter(_STAMPED if stamped else _PLAIN))
    for package in PACKAGES:
        log = logging.getLogger(package)
        log.handlers = [each for each in log.handlers if not isinstance(each, _Notes)]
        log.addHandler(told)


class _Notes(logging.Handler):
    """Prints beside a command's progress, on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one line."""
        notes.print(self.format(record), markup=False, soft_wrap=True)


def require_room(home: Home) -> None:
    """Make Prefect's folder, as it makes no parents, and write to it; see `prepare_environment`."""
    try:
        home.prefect.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=home.prefect) as file:
            file.write(bytes(ROOM_BYTES))
    except OSError as error:
        raise Unavailable(
            f"nothing can be written to the home {home.root}: {error.strerror}",
            code="HOME_NOT_WRITABLE",
            remedy="Free space, allow writing, or give another --home.",
        ) from error


def _lean_on(home: Home) -> Mapping[str, str]:
    """Return the addresses of what runs on this home, which stays while this process does."""
    from pipelines.platform.leaning import lean, stand_alone  # POSIX alone, as platforms are

    if running_urls(home):
        lean(home)  # which waits for one that is about to stop
    urls = running_urls(home)
    if not urls:
        stand_alone(home)
    return urls


def running_urls(home: Home) -> Mapping[str, str]:
    """Return the addresses of the platform that runs on this home; empty if none does."""
    state = read_state(home.run / "platform.json")
    if state is None or not is_alive(state.supervisor_pid):
        return {}
    return {part.name: part.url for part in state.parts}


@contextmanager
def online_store(home: Home) -> Iterator[None]:
    """Have the home's online store run within the block; it is started if it does not."""
    wanted = () if "valkey" in running_urls(home) else (services.valkey(home),)
    with _with_services(home, *wanted):
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
    with _with_services(home, service), _variable(MLFLOW_VARIABLE, service.url):
        yield service.url


@contextmanager
def flow_servers(home: Home) -> Iterator[str]:
    """Have MLflow and Prefect within the block, for a flow, and yield MLflow's address.

    Servers that the user names or that run on this home are taken; the home's own are started
    otherwise, together. Left to itself Prefect starts one as soon as a client asks, and tells the
    next client its address before it answers there: on a busy machine that client fails. Import
    Prefect within the block: it reads its environment once.

    Raises
    ------
    Unavailable
        If a server is not ready in time, or Prefect's goes away within the block.
    """
    wanted: list[Service] = []
    mlflow_uri, prefect_uri = os.environ.get(MLFLOW_VARIABLE), None
    if not mlflow_uri:
        wanted.append(services.mlflow(home, choose_port(services.MLFLOW_PORT)))
        mlflow_uri = wanted[0].url
    if not _prefect_is_given():
        # Not called "prefect": other commands on this home must not lean on what ends with this.
        own = replace(services.prefect(home, choose_port(services.PREFECT_PORT)), name="flows")
        wanted.append(own)
        prefect_uri = own.url
    with (
        _with_services(home, *wanted),
        _variable(MLFLOW_VARIABLE, mlflow_uri),
        _prefect_at(prefect_uri),
    ):
        yield mlflow_uri


def _prefect_is_given() -> bool:
    """Return whether a server of Prefect's was named, in the environment or to Prefect itself."""
    if os.environ.get(PREFECT_VARIABLE):
        return True
    if "prefect" not in sys.modules:
        return False
    from prefect.settings import PREFECT_API_URL

    return PREFECT_API_URL.value() is not None


@contextmanager
def _prefect_at(url: str | None) -> Iterator[None]:
    """Let flows report to a server of ours; None leaves it to Prefect."""
    if url is None:
        yield
        return
    with _variable(PREFECT_VARIABLE, f"{url}/api"):
        from httpx import TransportError
        from prefect.settings import PREFECT_API_URL, temporary_settings

        with temporary_settings({PREFECT_API_URL: f"{url}/api"}):
            try:
                yield
            except TransportError as error:
                raise Unavailable(
                    f"Prefect's server at {url} does not answer: {error}",
                    remedy="Run it again; what a search or a study had found is kept.",
                ) from error
            finally:
                _drain_prefect()


def _drain_prefect() -> None:
    """Let Prefect send what waits to be sent while its server runs, but not for ever."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=DRAIN_SECONDS, at_exit=False)


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment within the block."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextmanager
def _with_services(home: Home, *wanted: Service) -> Iterator[None]:
    if not wanted:
        yield
        return
    from pipelines.commands.terminal import notes
    from pipelines.platform.leaning import await_leaning
    from pipelines.platform.supervisor import Platform  # needs psutil: not in the lean part

    with ExitStack() as afterwards, Platform(home) as platform:
        platform.start(*wanted)
        try:
            yield
        except KeyboardInterrupt:  # waits for nobody
            raise
        except BaseException:
            afterwards.callback(await_leaning(home, notes.print).close)
            raise
        afterwards.callback(await_leaning(home, notes.print).close)
