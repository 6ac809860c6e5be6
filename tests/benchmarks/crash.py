"""Orders under accidents: scorer, gateway, worker and terminal die or fail at every step.

Each run is one order, one accident, a restart and a search for the order's fate. In the end every
journaled order is compared with the terminal's deals: lost is a fate in the journal that the
terminal contradicts, doubled is more than one deal, unresolved is a fate nobody knows.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.benchmarks.report import Target, render
from tests.gateway_crashes import SCENARIOS, Harness
from tests.gateway_world import running_terminal, running_world

RUNS, FULL_RUNS = 204, 1_020
TARGETS = (
    Target("runs", ">=", 200),
    Target("lost", "<=", 0),
    Target("doubled", "<=", 0),
    Target("unresolved", "<=", 0),
)


def main() -> None:
    """Crash, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="kept for `sextant bench`")
    parser.add_argument("--full", action="store_true", help=f"{FULL_RUNS} runs, not {RUNS}")
    runs = FULL_RUNS if parser.parse_args().full else RUNS
    started = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        running_terminal(balance=1e9) as terminal,
        running_world(Path(folder), terminal, heartbeat=1.0) as world,
    ):
        harness = Harness(world, terminal)
        for number in range(runs):
            scenario = SCENARIOS[number % len(SCENARIOS)]
            harness.run(scenario)
            sys.stderr.write(f"\r{number + 1} of {runs}: {scenario:<30}")
        verdict = harness.judge()
    sys.stderr.write("\n")
    figures = {
        **asdict(verdict),
        "scenarios": float(len(SCENARIOS)),
        "seconds": time.perf_counter() - started,
    }
    peer = "none: no peer has an order path that survives a crash at every step"
    sys.stdout.write(render("crash", figures, TARGETS, peer, ("msgspec", "cryptography")) + "\n")


if __name__ == "__main__":
    main()
