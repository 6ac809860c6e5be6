"""Journal in memory: kept for one run, sealed like the durable one once somebody looks.

The backtest writes it. Its records are encoded and chained when their bytes are asked for, so that
they can be compared with the live journal byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterator

from online.domain.errors import JournalCorrupt
from online.domain.record import GENESIS, Record, chain, decode_record, encode_record


class MemoryJournal:
    """Keeps records, which never change, as they are; never waits."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._bodies: list[bytes] = []
        self._hashes: list[str] = []

    async def append(self, *records: Record, durable: bool = True) -> None:  # noqa: ARG002 - the port's
        """Append records together; nothing here survives the process, whatever is asked."""
        self._records += records

    @property
    def head(self) -> str:
        """Hash of the last record, hexadecimal."""
        self._seal()
        return self._hashes[-1] if self._hashes else GENESIS

    @property
    def bodies(self) -> tuple[bytes, ...]:
        """Canonical bytes of every record, oldest first."""
        self._seal()
        return tuple(self._bodies)

    def records(self) -> Iterator[Record]:
        """Yield every record, oldest first."""
        yield from self._records

    def verify(self) -> int:
        """Check the whole chain and return the number of records.

        Raises
        ------
        JournalCorrupt
            Naming the first record whose hash does not follow, or that its bytes do not give back.
        """
        self._seal()
        previous = GENESIS
        rows = zip(self._records, self._bodies, self._hashes, strict=True)
        for number, (record, body, sealed) in enumerate(rows, 1):
            if chain(previous, body) != sealed:
                raise JournalCorrupt(
                    f"record {number}: its hash does not follow from the one before"
                )
            if decode_record(body) != record:
                raise JournalCorrupt(f"record {number}: its bytes do not give it back")
            previous = sealed
        return len(self._bodies)

    def _seal(self) -> None:
        """Encode and chain what was appended since the last look."""
        previous = self._hashes[-1] if self._hashes else GENESIS
        for record in self._records[len(self._bodies) :]:
            body = encode_record(record)
            previous = chain(previous, body)
            self._bodies.append(body)
            self._hashes.append(previous)
