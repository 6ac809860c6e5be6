"""Tell which share of each folder's branches the tests take; fail where it is too small.

Run as ``python -m tests.branches REPORT``, REPORT being what ``coverage json`` writes
(`make coverage` does both).
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

FOLDERS = ("online", "feature_repo")
LEAST_SHARE = 0.9


class Summary(msgspec.Struct, frozen=True):
    """A file's branches; each way out of a condition is one."""

    num_branches: int
    covered_branches: int


class File(msgspec.Struct, frozen=True):
    """One measured file."""

    summary: Summary


class Report(msgspec.Struct, frozen=True):
    """What was measured, by path from the repository's root."""

    files: dict[str, File]


def branches_of(report: Report, folder: str) -> tuple[int, int]:
    """Return how many branches of a folder were taken, and how many there are."""
    told = [
        file.summary for path, file in report.files.items() if Path(path).parts[:1] == (folder,)
    ]
    return sum(one.covered_branches for one in told), sum(one.num_branches for one in told)


def main(path: Path) -> int:
    """Print a line for each folder; return 1 if one has too few branches taken."""
    report, low = msgspec.json.decode(path.read_bytes(), type=Report), False
    for folder in FOLDERS:
        taken, there = branches_of(report, folder)
        share = taken / there if there else 0.0
        low |= share < LEAST_SHARE
        told = f"{folder}: {taken:,} of {there:,} branches taken, {share:.1%}"
        sys.stdout.write(f"{told}; at least {LEAST_SHARE:.0%} wanted\n")
    return int(low)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
