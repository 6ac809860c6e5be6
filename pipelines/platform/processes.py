"""Processes: started in a session of their own, ended with everything they started.

Flow runs open sessions of their own, so groups alone do not find them: every process of a run
carries `RUN_VARIABLE` in its environment, and those that do are found and ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from pipelines.platform.state import Part

RUN_VARIABLE = "RUN_OF_SEXTANT"
START_TIME_TOLERANCE_S = 0.05


def start(
    command: tuple[str, ...], environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, its output appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - the platform's own command lines, no shell
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def marked(run_id: str) -> list[psutil.Process]:
    """Return the living processes of a run, by the mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if (
                process.pid != os.getpid()
                and process.environ().get(RUN_VARIABLE) == run_id
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def left_of(run_id: str, parts: Iterable[Part]) -> list[psutil.Process]:
    """Return the living processes of a run, by their mark or by the state file's word."""
    found = {process.pid: process for process in marked(run_id)}
    for part in parts:
        if abs(start_time_s(part.pid) - part.started_at_s) < START_TIME_TOLERANCE_S:
            found |= {process.pid: process for process in family(part.pid)}
    return list(found.values())


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all its descendants that live; empty if it has ended."""
    try:
        parent = psutil.Process(pid)
        members = [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []
    return [member for member in members if _lives(member)]


def _lives(process: psutil.Process) -> bool:
    """Tell whether a process is there and no zombie; a child may end while its kin are seen."""
    try:
        alive: bool = process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
    return alive


def listens(pid: int, port: int) -> bool:
    """Return True if a process or one of its descendants listens on a TCP port."""
    for member in family(pid):
        try:
            found = member.net_connections(kind="tcp")
        except psutil.Error:
            continue
        if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in found):
            return True
    return False


def end(processes: Iterable[psutil.Process], within_s: float) -> None:
    """Ask processes to end, wait for them, and kill what is left.

    Parameters
    ----------
    within_s
        Time to end after SIGTERM (>= 0).
    """
    asked = list(processes)
    for process in asked:
        _signal(process, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(asked, timeout=within_s)
    for process in stubborn:
        _signal(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=5.0)


def start_time_s(pid: int) -> float:
    """Return when a process started, seconds since 1970; 0.0 if it has ended already."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return 0.0


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return
