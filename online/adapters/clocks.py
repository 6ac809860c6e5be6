"""Clocks: the system's, and a virtual one that a replay sets."""

from __future__ import annotations

import time

from online.domain.errors import InvalidInput


class SystemClock:
    """The host's clock."""

    def now_ns(self) -> int:
        """Return nanoseconds since 1970-01-01 UTC."""
        return time.time_ns()


class VirtualClock:
    """A clock that stands still until it is set; replays run on it.

    Parameters
    ----------
    now_ns
        Where it starts, nanoseconds since 1970-01-01 UTC.
    """

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns

    def now_ns(self) -> int:
        """Return nanoseconds since 1970-01-01 UTC."""
        return self._now_ns

    def set(self, now_ns: int) -> None:
        """Move the clock forward.

        Raises
        ------
        InvalidInput
            If `now_ns` lies before the present.
        """
        if now_ns < self._now_ns:
            raise InvalidInput(
                f"a clock only moves forward: it stands at {self._now_ns} ns, got {now_ns} ns"
            )
        self._now_ns = now_ns
