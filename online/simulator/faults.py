"""Faults: what goes wrong between a program, its terminal and the trade server, on purpose."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from online.domain.errors import InvalidSettings


class FaultKind(StrEnum):
    """What goes wrong in one call."""

    PIPE_BROKEN = "pipe_broken"
    """Before the request is written: nothing reaches the terminal."""
    REPLY_LOST = "reply_lost"
    """After the request was carried out."""
    DESYNCHRONISED = "desynchronised"
    """The answer belongs to another request; this one was carried out."""
    SLOW = "slow"
    """The answer takes `Fault.seconds` longer."""
    HANG_BEFORE = "hang_before"
    """No answer ever comes; the request was not carried out."""
    HANG_AFTER = "hang_after"
    """No answer ever comes; the request was carried out."""
    DISCONNECTED = "disconnected"
    """The terminal loses the trade server just before the request."""
    TIMED_OUT = "timed_out"
    """Return code 10012, and the order is live."""
    PROCESSING_ERROR = "processing_error"
    """Return code 10011, and the order is live."""
    DEAL_DELAYED = "deal_delayed"
    """The deal is not seen in the history for `Fault.seconds`."""
    COMMENT_EDITED = "comment_edited"
    """The trade server writes its own comment."""
    MAGIC_DROPPED = "magic_dropped"
    """The trade server forgets the magic number."""


class Fault(msgspec.Struct, frozen=True):
    """One thing that goes wrong.

    Parameters
    ----------
    kind
        What.
    seconds
        How long, for those that end (>= 0).
    """

    kind: FaultKind
    seconds: float = 0.0


class FaultPlan:
    """Says which call fails, and how: by number, or by chance from a seed.

    Parameters
    ----------
    seed
        Of the chances; the same seed and calls give the same faults.
    chances
        By function name and kind, probability in [0, 1].

    Examples
    --------
    >>> plan = FaultPlan().on("order_send", Fault(FaultKind.REPLY_LOST), call=2)
    >>> plan.next("order_send"), plan.next("order_send")[0].kind.value
    ((), 'reply_lost')
    """

    def __init__(
        self, seed: int = 0, chances: Mapping[tuple[str, FaultKind], float] | None = None
    ) -> None:
        self._chances = dict(chances or {})
        for (name, kind), chance in self._chances.items():
            if not 0.0 <= chance <= 1.0:
                raise InvalidSettings(f"chance of {kind} in {name} must be in [0, 1]: {chance}")
        self._random = random.Random(seed)  # noqa: S311  # reproducible faults, not secrets
        self._planned: defaultdict[tuple[str, int], list[Fault]] = defaultdict(list)
        self._calls: Counter[str] = Counter()

    def on(self, name: str, fault: Fault, call: int = 1) -> FaultPlan:
        """Let the n-th call from now of a function fail; return the plan.

        Parameters
        ----------
        name
            Of the function, for example ``order_send``.
        fault
            What goes wrong.
        call
            1 for the next call (>= 1).
        """
        self._planned[name, self._calls[name] + call].append(fault)
        return self

    @property
    def waits(self) -> bool:
        """Whether a call that is to fail has not come yet."""
        return any(self._planned.values())

    def next(self, name: str) -> tuple[Fault, ...]:
        """Count a call and return what goes wrong in it."""
        self._calls[name] += 1
        faults = self._planned.pop((name, self._calls[name]), [])
        for (function, kind), chance in self._chances.items():
            if function == name and self._random.random() < chance:
                faults.append(Fault(kind))
        return tuple(faults)
