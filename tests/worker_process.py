"""A gateway's worker that fares as a test has planned: ``python -m tests.worker_process PLAN``.

The plan is a file of words, one a start; once they are used up every worker is ready. What becomes
of an errand is the symbol that it asks for.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from online.gateway.errands import Errand, Probe, Probed, Ready, Trouble
from online.gateway.frames import MAX_TO_SCORER_BYTES, FrameReader, FrameWriter
from online.gateway.market_desk import Health

HOLDER = """
import pathlib, sys, time
until = time.monotonic() + 600
while pathlib.Path(sys.argv[1]).exists() and time.monotonic() < until:
    time.sleep(0.05)
"""
"""Holds the pipes of the worker that has left it, until the plan is gone."""


def main() -> None:
    """Fare as planned."""
    plan = Path(sys.argv[1])
    how, *rest = plan.read_text().split() or ["ready"]
    plan.write_text(" ".join(rest))
    writer = FrameWriter()
    for errand in _errands():
        answer = _fare(errand.symbol if isinstance(errand, Probe) else how)
        if answer is None:
            return
        os.write(1, writer.pack(answer))


def _errands() -> Iterator[Errand]:
    reader: FrameReader[Errand] = FrameReader(Errand, MAX_TO_SCORER_BYTES)
    while data := os.read(0, 65_536):
        yield from reader.feed(data)


def _fare(how: str) -> object:
    match how:
        case "ready":
            return Ready(7, "Demo", real=False)
        case "other":
            return Ready(8, "Demo", real=False)
        case "refuses":
            return Trouble("TERMINAL_UNAVAILABLE", "the terminal is closed")
        case "odd":
            return Probed(_well())
        case "babbles":
            os.write(1, b"\xff" * 64)
            _hang()
        case "leaves":  # a process behind, as the terminal that it has started
            subprocess.Popen([sys.executable, "-c", HOLDER, sys.argv[1]])
            _hang()
        case "hangs":
            _hang()
        case "dies":
            pass
        case _:
            return Probed(_well())
    return None


def _well() -> Health:
    return Health(connected=True, trade_allowed=True, quote_age_seconds=None)


def _hang() -> NoReturn:
    while True:
        time.sleep(600.0)


if __name__ == "__main__":
    main()
