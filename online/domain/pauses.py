"""Pauses between attempts to move a trailed stop that the broker does not take.

Every attempt is journaled, so asking each second for a thing that is always refused would fill the
journal. The pause grows with each refusal in a row, and begins anew with a new rule.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.order import OrderReply, OrderStatus
from online.domain.record import TrailRecord

LONGEST_PAUSE_SECONDS = 60
_MOST_DOUBLINGS = LONGEST_PAUSE_SECONDS.bit_length()


class _Failed(msgspec.Struct, frozen=True, gc=False):
    record: TrailRecord
    times: int
    at_ns: int


class Pauses:
    """How long each trailed position waits; known while the scorer runs, begun anew with it."""

    def __init__(self) -> None:
        self._failed: dict[int, _Failed] = {}

    def seconds(self, record: TrailRecord) -> int:
        """Return the pause after the last attempt under this very rule, 0 if that was taken."""
        failed = self._failed.get(record.position)
        if failed is None or failed.record != record:
            return 0
        return min(1 << min(failed.times - 1, _MOST_DOUBLINGS), LONGEST_PAUSE_SECONDS)

    def are_over(self, record: TrailRecord, now_ns: int) -> bool:
        """Return whether the stop may be asked for again; a clock that was set back ends a pause.

        Parameters
        ----------
        record
            The rule that the position is under.
        now_ns
            Of the clock, nanoseconds since 1970.
        """
        pause_ns = self.seconds(record) * NANOSECONDS_PER_SECOND
        return not pause_ns or not 0 <= now_ns - self._failed[record.position].at_ns < pause_ns

    def note(self, record: TrailRecord, reply: OrderReply, now_ns: int) -> None:
        """Take notice of what came back for an attempt: only one that was carried out is taken."""
        if reply.status is OrderStatus.DONE:
            self._failed.pop(record.position, None)
            return
        known = self._failed.get(record.position)
        times = known.times if known is not None and known.record == record else 0
        self._failed[record.position] = _Failed(record, times + 1, now_ns)

    def forget_all_but(self, trails: Mapping[int, TrailRecord]) -> None:
        """Forget positions that are trailed no more."""
        for position in self._failed.keys() - trails.keys():
            del self._failed[position]
