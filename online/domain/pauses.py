"""Pauses between attempts to move a trailed stop that the broker does not take.

Every attempt is journaled, so asking each second for a thing that is always refused would fill the
journal. The pause grows with each refusal in a row, and begins anew with a new rule.
"""

from __future__ import annotations

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
    decision_id: str


class Pauses:
    """How long each trailed position waits: a part of the book, folded of attempts and replies."""

    def __init__(self) -> None:
        self._failed: dict[int, _Failed] = {}
        self._asked: dict[str, TrailRecord] = {}

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

    def ask(self, decision_id: str, record: TrailRecord) -> None:
        """Take notice that a stop is asked for under a rule."""
        self._asked[decision_id] = record

    def hear(self, decision_id: str, reply: OrderReply, at_ns: int) -> None:
        """Take notice of what came back; only an attempt that was carried out is taken.

        What is told later of an attempt that was counted does not count again.
        """
        record = self._asked.get(decision_id)
        if record is None:
            return
        if reply.status is not OrderStatus.UNKNOWN:
            del self._asked[decision_id]
        known = self._failed.get(record.position)
        if reply.status is OrderStatus.DONE:
            self._failed.pop(record.position, None)
        elif known is None or known.record != record:
            self._failed[record.position] = _Failed(record, 1, at_ns, decision_id)
        elif known.decision_id != decision_id:
            self._failed[record.position] = _Failed(record, known.times + 1, at_ns, decision_id)

    def forget(self, position: int) -> None:
        """Forget a position that is trailed no more, or by another rule."""
        self._failed.pop(position, None)

    def clear(self) -> None:
        """Forget everything: the account is another."""
        self._failed.clear()
        self._asked.clear()
