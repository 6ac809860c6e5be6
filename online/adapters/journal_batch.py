"""What waits to be written to the journal, and telling those who wait for it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import NamedTuple

from online.domain.audit import columns_of
from online.domain.errors import JournalUnavailable
from online.domain.record import Record, encode_record


class Entry(NamedTuple):
    """A record as it is written, before it has its place in the chain."""

    kind: str
    decision_id: str | None
    body: bytes


class Batch(NamedTuple):
    """Records that belong together, whether they must be durable, and whom to tell."""

    entries: tuple[Entry, ...]
    durable: bool
    loop: asyncio.AbstractEventLoop
    written: asyncio.Future[None]


def tell(batches: list[Batch], error: JournalUnavailable | None) -> None:
    """Tell those who wait, in order, and wake each event loop once."""
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for batch in batches:
        by_loop.setdefault(batch.loop, []).append(batch.written)
    for loop, waiting in by_loop.items():
        with suppress(RuntimeError):  # the loop has ended: nobody waits any more
            loop.call_soon_threadsafe(settle, waiting, error)


def settle(waiting: list[asyncio.Future[None]], error: JournalUnavailable | None) -> None:
    """Tell those who wait in this event loop."""
    for written in waiting:
        if written.done():  # its caller has given up
            continue
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)


def make_entry(record: Record) -> Entry:
    """Return a record as it is written."""
    return Entry(*columns_of(record), encode_record(record))
