"""A circuit breaker: after repeated failures nobody waits for an outside system any more; pure.

Closed, every call goes through. After `BreakerRules.failures` in a row it opens: calls are refused
at once. When it has cooled down one call may try (half-open): it closes the breaker, or opens it
for as long again.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import msgspec

from online.domain.errors import InvalidSettings, Unavailable
from online.domain.market import NANOSECONDS_PER_SECOND


class BreakerState(StrEnum):
    """How a breaker stands."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class BreakerRules(msgspec.Struct, frozen=True):
    """When a breaker opens, and for how long.

    Parameters
    ----------
    failures
        In a row that open it (>= 1).
    cool_down_seconds
        Before one call may try again (> 0).
    """

    failures: int = 5
    cool_down_seconds: float = 2.0

    def __post_init__(self) -> None:
        if self.failures < 1 or not self.cool_down_seconds > 0:
            raise InvalidSettings(f"a breaker needs failures >= 1 and a cool-down > 0, got {self}")


class CircuitOpen(Unavailable):
    """The system failed again and again: it is not asked for a while."""

    code = "CIRCUIT_OPEN"
    remedy = "Mend the named system; it is tried again by itself."


class Breaker:
    """The breaker of one outside system.

    Parameters
    ----------
    name
        Of the system, as metrics and readiness call it.
    rules
        When it opens.
    essential
        False if the scorer can do without the system for a while.

    Attributes
    ----------
    state
        How it stands.
    opened
        How often it has opened.
    trouble
        The last failure in words; empty after a success.
    on_change
        Called with the breaker whenever it has opened, and when it has closed again; a try that
        fails meanwhile is no change.
    """

    def __init__(self, name: str, rules: BreakerRules, *, essential: bool = True) -> None:
        self.name = name
        self.essential = essential
        self.rules = rules
        self.state = BreakerState.CLOSED
        self.opened = 0
        self.trouble = ""
        self.on_change: Callable[[Breaker], None] | None = None
        self._failures = 0
        self._cool_down_ns = round(rules.cool_down_seconds * NANOSECONDS_PER_SECOND)
        self._until_ns = 0

    def enter(self, now_ns: int) -> None:
        """Let a call begin.

        Raises
        ------
        CircuitOpen
            If it must not.
        """
        if self.state is BreakerState.CLOSED:
            return
        left_ns = self._until_ns - now_ns
        if self.state is BreakerState.OPEN and not 0 < left_ns <= self._cool_down_ns:
            self.state = BreakerState.HALF_OPEN  # it has cooled down, or the clock was set back
            return
        what = "is being tried" if self.state is BreakerState.HALF_OPEN else "is not asked"
        raise CircuitOpen(
            f"{self.name} failed {self._failures} times in a row and {what}: {self.trouble}"
        )

    def succeed(self) -> None:
        """Take note of a call that was answered."""
        was_closed = self.state is BreakerState.CLOSED
        self.state, self._failures, self.trouble = BreakerState.CLOSED, 0, ""
        if not was_closed:
            self._tell()

    def fail(self, now_ns: int, trouble: str) -> None:
        """Take note of a call that was not."""
        self._failures += 1
        self.trouble = trouble
        tried = self.state is BreakerState.HALF_OPEN
        if tried or (self._failures >= self.rules.failures and self.state is BreakerState.CLOSED):
            self._open(now_ns)
            self.opened += not tried
            if not tried:
                self._tell()

    def abandon(self, now_ns: int) -> None:
        """Take note of a call that was given up by its caller: that tells nothing."""
        if self.state is BreakerState.HALF_OPEN:
            self._open(now_ns)

    def _open(self, now_ns: int) -> None:
        self.state = BreakerState.OPEN
        self._until_ns = now_ns + self._cool_down_ns

    def _tell(self) -> None:
        if self.on_change is not None:
            self.on_change(self)
