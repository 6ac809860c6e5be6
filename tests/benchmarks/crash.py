"""Orders under accidents: scorer, gateway, worker, terminal and both stores die at every step.

Each run is one order, one accident (`kill -9` of real processes), a restart, a search for the
order's fate and a comparison of journal and broker. In the end every journaled order is compared
with the terminal's deals: lost is a fate in the journal that the terminal contradicts, doubled is
more than one deal, unresolved is a fate nobody knows. The journal's chain must verify, and
PostgreSQL must equal it once its relay, which ran all the while, has caught up.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from online.adapters.sqlite_journal import verify
from tests.benchmarks.report import Target, render
from tests.gateway_crashes import SCENARIOS, STORE_SCENARIOS, Harness
from tests.gateway_world import running_terminal, running_world
from tests.store_crashes import running_stores

EVERY = (*SCENARIOS, *STORE_SCENARIOS)
RUNS, FULL_RUNS = 8 * len(EVERY), 40 * len(EVERY)
TARGETS = (
    Target("runs", ">=", 200),
    Target("lost", "<=", 0),
    Target("doubled", "<=", 0),
    Target("unresolved", "<=", 0),
    Target("untold", "<=", 0),
    Target("made_up", "<=", 0),
    Target("not_copied", "<=", 0),
)


def victim_of(scenario: str) -> str:
    """Return who dies, or what fails at the terminal."""
    return scenario.split(maxsplit=1)[0]


def crash(runs: int) -> dict[str, float]:
    """Run every scenario in turn, and return what journal, terminal and copy say of it."""
    victims: Counter[str] = Counter()
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp") as folder,
        running_stores(Path(folder)) as stores,
        running_terminal(balance=1e9) as terminal,
        running_world(Path(folder), terminal, heartbeat=1.0) as world,
    ):
        harness = Harness(world, terminal, stores)
        for number in range(runs):
            scenario = EVERY[number % len(EVERY)]
            harness.run(scenario)
            victims[victim_of(scenario)] += 1
            sys.stderr.write(f"\r{number + 1} of {runs}: {scenario:<30}")
            if stores.relay is None:
                stores.follow(harness.journal)
        verdict, copied = harness.judge(), stores.copied(harness.journal)
        records = verify(harness.journal)
    sys.stderr.write("\n")
    return {
        **asdict(verdict),
        **{f"runs_{victim}": float(count) for victim, count in sorted(victims.items())},
        "scenarios": float(len(EVERY)),
        "records": float(records),
        "not_copied": float(records - copied),
    }


def main() -> None:
    """Crash, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="kept for `sextant bench`")
    parser.add_argument("--full", action="store_true", help=f"{FULL_RUNS} runs, not {RUNS}")
    parser.add_argument("--runs", type=int, default=RUNS, help="as many runs")
    given = parser.parse_args()
    started = time.perf_counter()
    figures = crash(FULL_RUNS if given.full else given.runs)
    figures["seconds"] = time.perf_counter() - started
    peer = "none: no peer has an order path that survives a crash at every step"
    sys.stdout.write(render("crash", figures, TARGETS, peer, ("msgspec", "cryptography")) + "\n")


if __name__ == "__main__":
    main()
