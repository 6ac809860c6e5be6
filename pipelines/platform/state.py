"""The state file: what runs, where, under which process ids."""

from __future__ import annotations

from pathlib import Path

import msgspec

from online.domain.errors import NotFound
from pipelines.platform.probes import Health, Probe


class Part(msgspec.Struct, frozen=True):
    """One running service.

    Parameters
    ----------
    name, url, log
        As the service says; `log` is its file.
    pid
        Of its first process, which leads a session of its own.
    started_at_s
        The system's start time of that process, seconds since 1970; tells a reused id apart.
    probe
        How to learn that it is ready.
    """

    name: str
    url: str
    log: str
    pid: int
    started_at_s: float
    probe: Probe


class State(msgspec.Struct, frozen=True):
    """A running platform.

    Parameters
    ----------
    run_id
        Marks every process of this run in its environment.
    supervisor_pid
        The process that started the parts.
    expected
        Names of all parts, those still to come included.
    parts
        In the order they were started.
    """

    run_id: str
    supervisor_pid: int
    expected: tuple[str, ...]
    parts: tuple[Part, ...]


class PartStatus(msgspec.Struct, frozen=True):
    """One line of ``sextant status``."""

    name: str
    ready: bool
    url: str
    pid: int | None
    detail: str


def write_state(path: Path, state: State) -> None:
    """Write the state, whole or not at all; only its owner may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=1))
    fresh.chmod(0o600)
    fresh.replace(path)


def read_state(path: Path) -> State | None:
    """Return the state of the last run; None if there is none or it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except (OSError, msgspec.DecodeError):
        return None


def judge_parts(path: Path) -> tuple[PartStatus, ...]:
    """Ask every part of the platform described in `path` whether it is ready.

    Raises
    ------
    NotFound
        With code ``NOT_RUNNING`` if no platform runs there.
    """
    state = read_state(path)
    if state is None:
        raise NotFound(
            f"no platform runs here: {path} is absent",
            code="NOT_RUNNING",
            remedy="Start one with `sextant up`.",
        )
    running = {part.name: part for part in state.parts}
    return tuple(_judge(name, running.get(name)) for name in state.expected)


def _judge(name: str, part: Part | None) -> PartStatus:
    if part is None:
        return PartStatus(name=name, ready=False, url="", pid=None, detail="not started yet")
    health = (
        part.probe.check()
        if is_alive(part.pid)
        else Health(ready=False, detail=f"process {part.pid} has ended; see {part.log}")
    )
    return PartStatus(name, health.ready, part.url, part.pid, health.detail)


def is_alive(pid: int) -> bool:
    """Return True if a process has this id (a zombie of another parent counts)."""
    return Path(f"/proc/{pid}").exists() if Path("/proc").is_dir() else _answers(pid)


def _answers(pid: int) -> bool:
    import os  # noqa: PLC0415 - needed only where there is no /proc

    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
