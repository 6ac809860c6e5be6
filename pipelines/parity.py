"""Parity: what traded live is, bit for bit, what the backtest of the same bars says.

Two journals are compared record by record: vector bits, scores, decisions, orders, fill prices
and deals. Records are compared by their canonical bytes, so one unit in the last place counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Final, TypeVar

import msgspec

from online.domain.record import DealRecord, DecisionRecord, Record, ResultRecord
from online.domain.vector import vector_bits

KINDS: Final = ("vector", "score", "decision", "order", "fill", "deal", "account")
_MOST_DIFFERENCES = 10
R = TypeVar("R", DecisionRecord, ResultRecord, DealRecord)


@dataclass(frozen=True, slots=True)
class Difference:
    """One item that is not the same on both sides."""

    kind: str
    where: str
    live: str
    batch: str


@dataclass(slots=True)
class Parity:
    """Counts of compared and different items, by kind, and the first differences."""

    compared: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    different: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    first: list[Difference] = field(default_factory=list)

    @property
    def total_compared(self) -> int:
        """Items compared, all kinds."""
        return sum(self.compared.values())

    @property
    def total_different(self) -> int:
        """Items that differ, all kinds."""
        return sum(self.different.values())

    def add(self, kind: str, where: str, live: str, batch: str) -> None:
        """Compare one item."""
        self.compared[kind] += 1
        if live != batch:
            self.different[kind] += 1
            if len(self.first) < _MOST_DIFFERENCES:
                self.first.append(Difference(kind, where, live, batch))


def compare(live: Iterable[Record], batch: Iterable[Record]) -> Parity:
    """Compare two journals of the same bars.

    Parameters
    ----------
    live, batch
        Records in the order they were appended; model, limits and halt records are left out.
    """
    parity = Parity()
    live, batch = list(live), list(batch)
    for ours, theirs in zip_longest(_of(DecisionRecord, live), _of(DecisionRecord, batch)):
        where = (ours or theirs).decision_id
        for kind, text in _DECISION_PARTS:
            mine, other = text(ours), text(theirs)
            if kind == "order" and mine == other == _json(None):
                continue
            parity.add(kind, where, mine, other)
    for result, expected in zip_longest(_of(ResultRecord, live), _of(ResultRecord, batch)):
        where = (result or expected).intent_id
        parity.add("fill", where, _json(result), _json(expected))
    for deal, wanted in zip_longest(_of(DealRecord, live), _of(DealRecord, batch)):
        where = f"deal {(deal or wanted).deal.ticket}"
        parity.add("deal", where, _json(deal), _json(wanted))
    return parity


def _of(kind: type[R], records: Sequence[Record]) -> list[R]:
    return [record for record in records if isinstance(record, kind)]


def _json(part: object) -> str:
    return msgspec.json.encode(part).decode()


def _vector(record: DecisionRecord | None) -> str:
    if record is None or record.features is None:
        return "none"
    window = "" if record.window is None else f" {record.window_stamp_ns} {record.window.hex()}"
    return f"{record.view_stamps_ns} {vector_bits(record.features)}{window}"


def _score(record: DecisionRecord | None) -> str:
    return _json(None if record is None else record.signal)


def _order(record: DecisionRecord | None) -> str:
    return _json(None if record is None else record.intent)


_DECISION_PARTS: Final = (
    ("vector", _vector),
    ("score", _score),
    ("decision", _json),
    ("order", _order),
)
