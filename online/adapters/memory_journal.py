"""Journal in memory: encoded and chained like the durable one, kept for one run.

The backtest writes it, so that its records can be compared with the live journal byte by byte.
"""

from __future__ import annotations

from collections.abc import Iterator

from online.domain.errors import JournalCorrupt
from online.domain.record import GENESIS, Record, chain, decode_record, encode_record


class MemoryJournal:
    """Keeps records as canonical bytes, sealed by the hash chain; never waits."""

    def __init__(self) -> None:
        self._bodies: list[bytes] = []
        self._hashes: list[str] = []

    async def append(self, *records: Record, durable: bool = True) -> None:  # noqa: ARG002 - the port's
        """Append records together; nothing here survives the process, whatever is asked."""
        bodies = [encode_record(record) for record in records]
        for body in bodies:
            self._hashes.append(chain(self.head, body))
            self._bodies.append(body)

    @property
    def head(self) -> str:
        """Hash of the last record, hexadecimal."""
        return self._hashes[-1] if self._hashes else GENESIS

    @property
    def bodies(self) -> tuple[bytes, ...]:
        """Canonical bytes of every record, oldest first."""
        return tuple(self._bodies)

    def records(self) -> Iterator[Record]:
        """Yield every record, oldest first."""
        for body in self._bodies:
            yield decode_record(body)

    def verify(self) -> int:
        """Check the whole chain and return the number of records.

        Raises
        ------
        JournalCorrupt
            Naming the first record whose hash does not follow.
        """
        previous = GENESIS
        for number, (body, sealed) in enumerate(zip(self._bodies, self._hashes, strict=True), 1):
            if chain(previous, body) != sealed:
                raise JournalCorrupt(
                    f"record {number}: its hash does not follow from the one before"
                )
            previous = sealed
        return len(self._bodies)
