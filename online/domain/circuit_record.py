"""The record of a circuit that opened or closed."""

from __future__ import annotations

import msgspec

from online.domain.breaker import BreakerState


class CircuitRecord(msgspec.Struct, frozen=True, tag="circuit"):
    """An outside system is asked no more, or again.

    A try that fails while the circuit is open is no change, so an outage is two records however
    long it lasts.

    Parameters
    ----------
    at_ns
        When it changed.
    system
        Name of the system, as metrics and readiness call it.
    state
        ``open`` or ``closed``, from now on.
    trouble
        The failure that opened it; empty where it closed.
    """

    at_ns: int
    system: str
    state: BreakerState
    trouble: str = ""
