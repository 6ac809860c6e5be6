"""What a running follower tells of itself, for `sextant status`: since when, and its last bars.

Each follower keeps ``<home>/run/follow-<pid>.json`` up to date while it holds the lock beside it;
a file whose lock nobody holds is of one that was killed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pipelines.home import Home

if TYPE_CHECKING:
    from pipelines.follow import Followed


class LastBar(msgspec.Struct, frozen=True):
    """The last closed bar of a followed symbol.

    Parameters
    ----------
    symbol
        Whose.
    closed_at_ns
        Its close, UTC nanoseconds; None before the first.
    served
        Whether the online store holds its vector.
    """

    symbol: str
    closed_at_ns: int | None = None
    served: bool = False


class FollowReport(msgspec.Struct, frozen=True):
    """What a follower tells.

    Parameters
    ----------
    pid
        Its process.
    timeframe
        Of the bars it makes.
    since_ns, looked_at_ns
        When it began and when it last looked at the terminal, UTC nanoseconds.
    bars
        The last one of each symbol.
    trouble
        What went wrong at the last look; empty if nothing did.
    """

    pid: int
    timeframe: str
    since_ns: int
    looked_at_ns: int
    bars: tuple[LastBar, ...]
    trouble: str = ""


class Follower(msgspec.Struct, frozen=True):
    """A follower's report, and whether its process still runs."""

    running: bool
    report: FollowReport


class FollowTeller:
    """Writes one follower's report.

    Parameters
    ----------
    file
        Where.
    report
        What is told first.
    """

    def __init__(self, file: Path, report: FollowReport) -> None:
        self._file, self._report = file, report
        self._write()

    def tell(self, followed: Sequence[Followed], now_ns: int, trouble: str = "") -> None:
        """Tell of one look at the terminal.

        Parameters
        ----------
        followed
            The bars it answered.
        now_ns
            When it was, UTC nanoseconds.
        trouble
            What went wrong; empty if nothing did.
        """
        last = {each.symbol: each for each in self._report.bars}
        for each in followed:
            closed_at_ns, is_served = each.bar.closed_at_ns, each.receipt is not None
            last[each.symbol] = LastBar(each.symbol, closed_at_ns, is_served)
        self._report = msgspec.structs.replace(
            self._report, looked_at_ns=now_ns, bars=tuple(last.values()), trouble=trouble
        )
        self._write()

    def _write(self) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self._report))
        fresh.replace(self._file)


@contextmanager
def telling(
    home: Home, timeframe: str, symbols: Sequence[str], now_ns: int
) -> Iterator[FollowTeller]:
    """Tell of a follower as long as the block lasts; reports of killed ones are swept away."""
    home.run.mkdir(parents=True, exist_ok=True)
    for file in _files(home):
        if not _is_held(file):
            file.unlink(missing_ok=True)
            file.with_suffix(".lock").unlink(missing_ok=True)
    file = home.run / f"follow-{os.getpid()}.json"
    bars = tuple(LastBar(symbol) for symbol in symbols)
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield FollowTeller(file, FollowReport(os.getpid(), timeframe, now_ns, now_ns, bars))
        finally:
            file.unlink(missing_ok=True)
            file.with_suffix(".lock").unlink(missing_ok=True)


def read_followers(home: Home) -> tuple[Follower, ...]:
    """Return every follower of a home, those that were killed included."""
    found = []
    for file in _files(home):
        try:
            report = msgspec.json.decode(file.read_bytes(), type=FollowReport)
        except (OSError, msgspec.DecodeError):  # it has just ended, or is none of ours
            continue
        found.append(Follower(_is_held(file), report))
    return tuple(found)


def _files(home: Home) -> list[Path]:
    return sorted(home.run.glob("follow-*.json"))


def _is_held(file: Path) -> bool:
    """Tell whether the process that wrote a report still holds its lock."""
    try:
        with file.with_suffix(".lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
