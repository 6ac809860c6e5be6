"""A service of the embedded platform, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.platform.probes import Probe


@dataclass(frozen=True, slots=True)
class Service:
    """A program that runs until it is stopped.

    Parameters
    ----------
    name
        Unique on the platform; also the name of its log.
    command
        Program and arguments.
    probe
        How to learn that it is ready.
    url
        Where people or programs reach it; empty if nowhere.
    port
        TCP port it listens on itself; an answer of another program there does not count.
    environment
        Added to the supervisor's own environment.
    ready_within_s
        How long it may take to become ready (> 0).
    clear
        Files of an earlier run that are removed before it starts, such as a stale socket.
    stop_within_s
        How long it may take to end after SIGTERM before it is killed (> 0).
    """

    name: str
    command: tuple[str, ...]
    probe: Probe
    url: str = ""
    port: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_within_s: float = 60.0
    clear: tuple[Path, ...] = ()
    stop_within_s: float = 10.0
