"""The audit of a journal: its chain, its numbers, its orders' ways, and one root hash a day.

Pure: it takes sealed records in order, wherever they were read (the journal, its archive, its copy
in PostgreSQL), and names the first one that is not as it was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from online.domain.errors import InvalidInput, JournalCorrupt
from online.domain.former import FormerLimitsRecord
from online.domain.market import NANOSECONDS_PER_SECOND
from online.domain.merkle import MerkleTree
from online.domain.numbering import Numbering
from online.domain.order_replay import OrderReplay
from online.domain.record import (
    GENESIS,
    DecisionRecord,
    FormerDecisionRecord,
    OperationRecord,
    Record,
    chain,
    decode_record,
)

_HASH_LENGTH = len(GENESIS)
_END_OF_TIME_NS = 1 << 63  # the year 2262, where signed 64-bit nanoseconds end


class RecordCorrupt(JournalCorrupt):
    """One record of a journal is not as it was written.

    Attributes
    ----------
    sequence : int
        Of the record, from 1.
    """

    def __init__(
        self, sequence: int, what: str, *, code: str | None = None, remedy: str | None = None
    ) -> None:
        super().__init__(f"record {sequence}: {what}", code=code, remedy=remedy)
        self.sequence = sequence


class SealedRecord(msgspec.Struct, frozen=True, gc=False):
    """A record in its place in the chain, as stored.

    Parameters
    ----------
    sequence
        Place, from 1.
    kind, decision_id
        As stored beside the body, for searching; the hash does not seal them.
    body
        Canonical JSON bytes.
    previous_hash, hash
        Of the record before and of this one, hexadecimal.
    """

    sequence: int
    kind: str
    decision_id: str | None
    body: bytes
    previous_hash: str
    hash: str


class Anchor(msgspec.Struct, frozen=True, gc=False):
    """A place in the chain and its hash; whoever kept one can prove all that came before it.

    Parameters
    ----------
    sequence
        Of the record, 0 before the first.
    hash
        Of the record, hexadecimal.
    """

    sequence: int = 0
    hash: str = GENESIS

    @classmethod
    def parse(cls, text: str) -> Anchor:
        """Return the anchor written as ``SEQUENCE:HASH``.

        Raises
        ------
        InvalidInput
            If it is not so written.
        """
        sequence, _, sealed = text.strip().partition(":")
        hexadecimal = len(sealed) == _HASH_LENGTH and not set(sealed) - set("0123456789abcdef")
        if not (sequence.isascii() and sequence.isdigit() and int(sequence) and hexadecimal):
            raise InvalidInput(
                f"an anchor is SEQUENCE:HASH, a number from 1 and {_HASH_LENGTH} hexadecimal "
                f"digits, got {text!r}"
            )
        return cls(int(sequence), sealed)

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"


class DayRoot(msgspec.Struct, frozen=True, gc=False):
    """One hash over all records of a day.

    Parameters
    ----------
    day
        Of the records' own clock, UTC, ``YYYY-MM-DD``.
    records
        How many.
    first_sequence, last_sequence
        Lowest and highest of the day.
    root
        Merkle root over the records' hashes in order of sequence, hexadecimal.
    """

    day: str
    records: int
    first_sequence: int
    last_sequence: int
    root: str


class AuditReport(msgspec.Struct, frozen=True):
    """What an audit found sound.

    Parameters
    ----------
    journal_id
        Hash of the first record: two journals never share it; empty for no records.
    records
        Number of records, every one verified.
    head
        The last record; keep it elsewhere, as `Anchor`, to prove this journal later.
    kinds
        Records by kind.
    decisions
        Number of decisions.
    orders
        How many orders there are in each stage, every way to it legal.
    former
        Records in the shape of an earlier version, by kind; what they lack is told where they are
        shown.
    missing_numbers
        Closed ranges of decision numbers that no record carries, oldest first.
    days
        Roots, oldest day first.
    """

    journal_id: str
    records: int
    head: Anchor
    kinds: dict[str, int]
    decisions: int
    orders: dict[str, int]
    former: dict[str, int]
    missing_numbers: tuple[tuple[int, int], ...]
    days: tuple[DayRoot, ...]


class _Day:
    """A day as it grows."""

    def __init__(self, first_sequence: int) -> None:
        self.first_sequence = self.last_sequence = first_sequence
        self.tree = MerkleTree()


class Auditor:
    """Takes records in order and keeps what its report needs, however long the journal is.

    Parameters
    ----------
    anchors
        Places whose hashes somebody kept; a journal that was rewritten or cut does not hold them.
    """

    def __init__(self, anchors: Iterable[Anchor] = ()) -> None:
        self._anchors = {anchor.sequence: anchor.hash for anchor in anchors}
        self._journal_id = ""
        self._head = Anchor()
        self._kinds: dict[str, int] = {}
        self._former: dict[str, int] = {}
        self._numbers = Numbering()
        self._orders = OrderReplay()
        self._days: dict[str, _Day] = {}

    def add(self, sealed: SealedRecord) -> Record:
        """Check the next record and return it.

        Raises
        ------
        RecordCorrupt
            Naming it, if it is not as it was written or not where it belongs, or if it tells of
            an order what no order can have gone through.
        """
        self._head = check_link(self._head, sealed)
        record = check_body(sealed)
        sequence = sealed.sequence
        if self._anchors.get(sequence, sealed.hash) != sealed.hash:
            raise RecordCorrupt(
                sequence,
                f"its hash is {sealed.hash}, the anchor kept elsewhere is "
                f"{self._anchors[sequence]}: the journal was rewritten",
            )
        if isinstance(record, DecisionRecord | OperationRecord) and not self._numbers.claim(
            record.number
        ):
            raise RecordCorrupt(
                sequence, f"decision number {record.number} was given before or is below 1"
            )
        try:
            self._orders.take(record)
        except JournalCorrupt as error:
            raise RecordCorrupt(sequence, str(error), code=error.code) from error
        self._journal_id = self._journal_id or sealed.hash
        self._kinds[sealed.kind] = self._kinds.get(sealed.kind, 0) + 1
        if isinstance(record, FormerDecisionRecord | FormerLimitsRecord):
            self._former[sealed.kind] = self._former.get(sealed.kind, 0) + 1
        day = self._days.setdefault(day_of(record.at_ns), _Day(sequence))
        day.last_sequence = sequence
        day.tree.add(bytes.fromhex(sealed.hash))
        return record

    def report(self) -> AuditReport:
        """Return what was found.

        Raises
        ------
        RecordCorrupt
            If an anchor lies beyond the last record: the end was cut off.
        """
        beyond = [place for place in self._anchors if place > self._head.sequence]
        if beyond:
            raise RecordCorrupt(
                self._head.sequence + 1,
                f"is missing: the journal ends at {self._head.sequence}, an anchor kept elsewhere "
                f"names record {min(beyond)}",
            )
        days = (
            DayRoot(day, grown.tree.size, grown.first_sequence, grown.last_sequence, root)
            for day, grown in sorted(self._days.items())
            for root in (grown.tree.root,)
        )
        return AuditReport(
            journal_id=self._journal_id,
            records=self._head.sequence,
            head=self._head,
            kinds=dict(sorted(self._kinds.items())),
            decisions=self._kinds.get("decision", 0),
            orders=self._orders.stages,
            former=dict(sorted(self._former.items())),
            missing_numbers=self._numbers.missing,
            days=tuple(days),
        )


def audit(records: Iterable[SealedRecord], anchors: Iterable[Anchor] = ()) -> AuditReport:
    """Audit a whole journal: its chain, numbers, anchors and the way of every order.

    Parameters
    ----------
    records
        From the first on, in order.
    anchors
        Places whose hashes were kept elsewhere.

    Raises
    ------
    RecordCorrupt
        Naming the first record that is not as it was written.
    """
    auditor = Auditor(anchors)
    for sealed in records:
        auditor.add(sealed)
    return auditor.report()


def check_link(previous: Anchor, sealed: SealedRecord) -> Anchor:
    """Check that a record follows from the one before and return its own place.

    Raises
    ------
    RecordCorrupt
        If one is missing, comes twice, or the hash does not follow.
    """
    expected = previous.sequence + 1
    if sealed.sequence > expected:
        raise RecordCorrupt(expected, f"is missing: {sealed.sequence} follows {previous.sequence}")
    if sealed.sequence < expected:
        raise RecordCorrupt(sealed.sequence, f"comes again after {previous.sequence}")
    if sealed.previous_hash != previous.hash:
        raise RecordCorrupt(
            expected,
            f"it names {sealed.previous_hash} as the hash before it, record {previous.sequence} "
            f"has {previous.hash}",
        )
    computed = chain(previous.hash, sealed.body)
    if computed != sealed.hash:
        raise RecordCorrupt(
            expected,
            f"it is not as it was written: its stored hash is {sealed.hash}, its body gives "
            f"{computed}",
        )
    return Anchor(expected, sealed.hash)


def columns_of(record: Record) -> tuple[str, str | None]:
    """Return the kind and the decision that are stored beside a record's body, to find it by."""
    return str(record.__struct_config__.tag), getattr(record, "decision_id", None) or None


def check_body(sealed: SealedRecord) -> Record:
    """Read a record's body and check the columns beside it against it.

    Raises
    ------
    RecordCorrupt
        If it cannot be read, its instant is no time, or its kind or decision is another than
        stored beside it.
    """
    try:
        record = decode_record(sealed.body)
    except JournalCorrupt as error:
        raise RecordCorrupt(
            sealed.sequence, str(error), code=error.code, remedy=error.remedy
        ) from error
    if not 0 <= record.at_ns < _END_OF_TIME_NS:
        raise RecordCorrupt(sealed.sequence, f"its instant is no time: {record.at_ns} ns")
    kind, decision_id = columns_of(record)
    if (sealed.kind, sealed.decision_id) != (kind, decision_id):
        raise RecordCorrupt(
            sealed.sequence,
            f"it is stored as kind {sealed.kind!r} of decision {sealed.decision_id!r}, its body "
            f"says {kind!r} of {decision_id!r}",
        )
    return record


def join_copies(
    archived: Iterable[SealedRecord], journal: Iterable[SealedRecord]
) -> Iterator[SealedRecord]:
    """Yield archive and journal as one chain; where both hold a record they must be equal.

    Parameters
    ----------
    archived
        From the first record on.
    journal
        From the first record on, or from any the archive reaches.

    Raises
    ------
    RecordCorrupt
        If a record differs between the two, or the journal ends before the archive does.
    """
    live = iter(journal)
    upcoming = next(live, None)
    ended_at = 0 if upcoming is None else None
    for record in archived:
        if ended_at is not None:
            raise RecordCorrupt(
                record.sequence,
                f"is missing from the journal, which ends at {ended_at}; the archive holds it",
            )
        if upcoming is not None and upcoming.sequence == record.sequence:
            if upcoming != record:
                raise RecordCorrupt(
                    record.sequence, "the journal and its archive do not hold the same"
                )
            upcoming = next(live, None)
            ended_at = record.sequence if upcoming is None else None
        yield record
    if upcoming is not None:
        yield upcoming
        yield from live


def day_of(at_ns: int) -> str:
    """Return the UTC day of an instant, ``YYYY-MM-DD``.

    Examples
    --------
    >>> day_of(1_507_075_200_000_000_000)
    '2017-10-04'
    """
    return f"{datetime.fromtimestamp(at_ns // NANOSECONDS_PER_SECOND, tz=UTC):%Y-%m-%d}"
