"""The supervisor: starts services, waits until they are ready, and leaves nothing behind.

::

    with Platform(home) as platform:
        platform.start(valkey(home), mlflow(home, port))    # together; returns when both are ready
        platform.run("bootstrap", (...))                    # a job, to its end
        platform.watch()                                    # until Ctrl-C, or until a service ends
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any, Self

from online.domain.errors import InvalidInput, SextantError, Unavailable
from pipelines.home import Home
from pipelines.platform import processes
from pipelines.platform.service import Service
from pipelines.platform.state import Part, State, read_state, write_state

PROBE_EVERY_S = 0.1
WATCH_EVERY_S = 0.5
LOG_TAIL_LINES = 15

Handler = Callable[[int, FrameType | None], Any] | int | None


@dataclass(slots=True)
class _Child:
    service: Service
    process: subprocess.Popen[bytes]
    part: Part


class Platform:
    """Runs services below one home; leaving the block stops them all.

    SIGTERM and SIGHUP end the block as Ctrl-C does. A second platform on the same home is refused;
    what a killed one left behind is ended and cleaned up. If this process is killed itself, a
    reaper ends the services.

    Parameters
    ----------
    home
        Logs go to ``<home>/run/logs``, the state to ``<home>/run/platform.json``.
    expected
        Names of all services that will be started, for ``sextant status``; those started without
        being expected are added.
    """

    def __init__(self, home: Home, expected: tuple[str, ...] = ()) -> None:
        self._home = home
        self.run_id = uuid.uuid4().hex
        self._expected = expected
        self._children: list[_Child] = []
        self._lock: IO[str] | None = None
        self._reaper: subprocess.Popen[bytes] | None = None
        self._handlers: dict[signal.Signals, Handler] = {}

    def __enter__(self) -> Self:
        """Take the home, clean up after an earlier run, and stand guard.

        Raises
        ------
        InvalidInput
            With code ``ALREADY_RUNNING`` if a platform runs on this home.
        """
        self._home.run.mkdir(parents=True, exist_ok=True)
        self._lock = (self._home.run / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise InvalidInput(
                f"a platform already runs on {self._home.root}",
                code="ALREADY_RUNNING",
                remedy="Stop it first, or give another --home.",
            ) from None
        self._clean_up_after_the_dead()
        self._reaper = subprocess.Popen(  # noqa: S603 - our own module
            (
                *(sys.executable, "-m", "pipelines.platform.reaper"),
                *(self.run_id, str(self.state_file.resolve())),
            ),
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": _import_path()},
            start_new_session=True,
        )
        if threading.current_thread() is threading.main_thread():
            # SIGINT too: a shell starts its background jobs with SIGINT ignored.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                self._handlers[number] = signal.signal(number, _interrupt)
        self._write_state()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop everything, newest first; a second Ctrl-C does not interrupt it."""
        if threading.current_thread() is threading.main_thread():
            for number in self._handlers:
                signal.signal(number, signal.SIG_IGN)
        try:
            for child in reversed(self._children):
                self._stop(child)
            processes.end(processes.marked(self.run_id), within_s=2.0)
            (self._home.run / "platform.json").unlink(missing_ok=True)
            if self._reaper is not None and self._reaper.stdin is not None:
                self._reaper.stdin.close()
                self._reaper.wait(timeout=30.0)
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)
            if self._lock is not None:
                self._lock.close()

    @property
    def state_file(self) -> Path:
        """What ``sextant status`` reads."""
        return self._home.run / "platform.json"

    def log(self, name: str) -> Path:
        """Return the log file of a service or job."""
        return self._home.run / "logs" / f"{name}.log"

    def start(self, *services: Service) -> None:
        """Start services together and wait until each is ready.

        Raises
        ------
        Unavailable
            With code ``SERVICE_ENDED`` or ``SERVICE_NOT_READY`` and the end of its log.
        """
        for service in services:
            for path in service.clear:
                path.unlink(missing_ok=True)
            process = self._spawn(service.name, service.command, service.environment)
            part = Part(
                name=service.name,
                url=service.url,
                log=str(self.log(service.name)),
                pid=process.pid,
                started_at_s=processes.start_time_s(process.pid),
                probe=service.probe,
            )
            self._children.append(_Child(service, process, part))
            if service.name not in self._expected:
                self._expected = (*self._expected, service.name)
            self._write_state()
        started = {service.name for service in services}
        for child in self._children:
            if child.service.name in started:
                self._await_ready(child)

    def run(
        self, name: str, command: tuple[str, ...], environment: Mapping[str, str] | None = None
    ) -> None:
        """Run a job to its end while the services are watched.

        Raises
        ------
        SextantError
            With code ``JOB_FAILED`` and the end of its log, if it does not exit with 0.
        Unavailable
            With code ``SERVICE_ENDED`` if a service ends meanwhile.
        """
        process = self._spawn(name, command, environment or {})
        while True:
            try:
                status = process.wait(timeout=WATCH_EVERY_S)
            except subprocess.TimeoutExpired:
                self._check_children()
                continue
            if status != 0:
                raise SextantError(
                    f"{name} failed with exit status {status}:\n{tail(self.log(name))}",
                    code="JOB_FAILED",
                    remedy=f"Read {self.log(name)}.",
                )
            return

    def watch(self) -> None:
        """Stay until a service ends or a signal comes (KeyboardInterrupt).

        Raises
        ------
        Unavailable
            With code ``SERVICE_ENDED`` and the end of the service's log.
        """
        while self._children:
            self._check_children()
            try:
                self._children[0].process.wait(timeout=WATCH_EVERY_S)
            except subprocess.TimeoutExpired:
                continue

    def _spawn(
        self, name: str, command: tuple[str, ...], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        marks = {processes.RUN_VARIABLE: self.run_id, "PYTHONPATH": _import_path()}
        self.log(name).unlink(missing_ok=True)
        return processes.start(command, {**environment, **marks}, self.log(name))

    def _await_ready(self, child: _Child) -> None:
        deadline = time.monotonic() + child.service.ready_within_s
        while True:
            health = child.service.probe.check()
            if health.ready and self._speaks_for_itself(child):
                return
            with contextlib.suppress(subprocess.TimeoutExpired):  # it still runs, as hoped
                child.process.wait(timeout=PROBE_EVERY_S)
            self._check_children()
            if time.monotonic() > deadline:
                name = child.service.name
                raise Unavailable(
                    f"{name} was not ready within {child.service.ready_within_s:.0f} s: "
                    f"{health.detail}\n{tail(self.log(name))}",
                    code="SERVICE_NOT_READY",
                    remedy=f"Read {self.log(name)}.",
                )

    @staticmethod
    def _speaks_for_itself(child: _Child) -> bool:
        """Return True unless another program answers on the service's port."""
        port = child.service.port
        return port is None or processes.listens(child.process.pid, port)

    def _check_children(self) -> None:
        for child in self._children:
            status = child.process.poll()
            if status is not None:
                name = child.service.name
                raise Unavailable(
                    f"{name} ended with exit status {status}:\n{tail(self.log(name))}",
                    code="SERVICE_ENDED",
                    remedy=f"Read {self.log(name)}.",
                )

    def _stop(self, child: _Child) -> None:
        processes.end(processes.family(child.process.pid), child.service.stop_within_s)
        child.process.wait(timeout=child.service.stop_within_s)
        for path in child.service.clear:
            path.unlink(missing_ok=True)

    def _clean_up_after_the_dead(self) -> None:
        earlier = read_state(self.state_file)
        if earlier is not None:
            processes.end(processes.left_of(earlier.run_id, earlier.parts), within_s=5.0)
            self.state_file.unlink(missing_ok=True)

    def _write_state(self) -> None:
        parts = tuple(child.part for child in self._children)
        write_state(self.state_file, State(self.run_id, os.getpid(), self._expected, parts))


def tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """Return the last lines of a log, indented; a note if there is nothing."""
    try:
        text = log.read_text(errors="replace").splitlines()[-lines:]
    except OSError as error:
        return f"    (no log: {error})"
    return "\n".join(f"    {line}" for line in text) or "    (the log is empty)"


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _import_path() -> str:
    """Return a search path on which the services find Sextant even where it is not installed."""
    root = str(Path(__file__).resolve().parents[2])
    given = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join([root, *(p for p in given.split(os.pathsep) if p and p != root)])
