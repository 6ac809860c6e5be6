"""Days that bound what a command reads, as its options name them."""

from __future__ import annotations

from datetime import UTC, datetime

from online.domain.errors import InvalidInput
from online.domain.market import NANOSECONDS_PER_SECOND


def first_moment_ns(day: datetime | None) -> int | None:
    """Return a day's first moment, nanoseconds since 1970 UTC; None for none."""
    if day is None:
        return None
    return int(day.replace(tzinfo=UTC).timestamp()) * NANOSECONDS_PER_SECOND


def bounds_ns(since: datetime | None, until: datetime | None) -> tuple[int | None, int | None]:
    """Return the first moments of ``--since`` and ``--until``.

    Raises
    ------
    InvalidInput
        With code ``NO_DAY_BETWEEN`` if the one is not before the other.
    """
    if since is not None and until is not None and not since < until:
        raise InvalidInput(
            f"--until must be after --since, got {until:%Y-%m-%d} and {since:%Y-%m-%d}",
            code="NO_DAY_BETWEEN",
            remedy="The day of --until is left out itself.",
        )
    return first_moment_ns(since), first_moment_ns(until)
