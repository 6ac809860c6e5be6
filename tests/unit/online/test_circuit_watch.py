"""What a circuit did is written down, late rather than never, and nobody waits for it."""

from __future__ import annotations

import asyncio

import pytest

from online.api import circuit_watch
from online.api.circuit_watch import CircuitWatch
from online.domain.breaker import Breaker, BreakerRules
from online.domain.circuit_record import CircuitRecord
from online.domain.errors import JournalUnavailable
from online.domain.record import Record, decode_record, encode_record
from tests.floors import TestFloor
from tests.gateway_world import eventually

pytestmark = pytest.mark.lean


def breakers() -> tuple[Breaker, Breaker]:
    return Breaker("features", BreakerRules(failures=1)), Breaker("mlflow", BreakerRules())


def told(floor: TestFloor) -> list[tuple[int, str, str, str]]:
    return [
        (record.at_ns, record.system, record.state, record.trouble)
        for record in floor.journal.records()
        if isinstance(record, CircuitRecord)
    ]


def test_changes_are_journaled_in_their_order_with_the_time_at_which_they_were() -> None:
    floor, (features, mlflow) = TestFloor(), breakers()
    start_ns = floor.clock.time_ns

    async def story() -> None:
        watch = CircuitWatch((features, mlflow), floor)
        keeping = asyncio.create_task(watch.keep())
        features.fail(0, "no answer")
        floor.clock.time_ns += 5
        features.succeed()

        async def are_told() -> bool:
            return len(told(floor)) == 2

        await eventually(are_told)
        keeping.cancel()

    asyncio.run(story())
    assert told(floor) == [
        (start_ns, "features", "open", "no answer"),
        (start_ns + 5, "features", "closed", ""),
    ]


def test_a_change_that_the_journal_cannot_take_is_written_once_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(circuit_watch, "AGAIN_SECONDS", 0.001)
    floor, (features, _) = TestFloor(), breakers()
    append, refusals = floor.journal.append, 0

    async def refuse_twice(*records: Record, durable: bool = True) -> None:
        nonlocal refusals
        if refusals < 2:
            refusals += 1
            raise JournalUnavailable("full")
        await append(*records, durable=durable)

    floor.journal.append = refuse_twice  # type: ignore[method-assign]

    async def story() -> None:
        watch = CircuitWatch((features,), floor)
        keeping = asyncio.create_task(watch.keep())
        features.fail(0, "no answer")

        async def is_told() -> bool:
            return len(told(floor)) == 1

        await eventually(is_told)
        keeping.cancel()
        assert await watch.flush()

    asyncio.run(story())
    assert (refusals, len(told(floor))) == (2, 1)


def test_what_was_not_written_yet_is_written_at_the_end() -> None:
    floor, (features, _) = TestFloor(), breakers()

    async def story() -> bool:
        watch = CircuitWatch((features,), floor)
        features.fail(0, "no answer")
        return await watch.flush()

    assert asyncio.run(story())
    (record,) = floor.journal.records()
    assert decode_record(encode_record(record)) == record
    floor.restart()
    assert floor.book.pending == ()


def test_a_change_that_was_being_written_at_the_end_is_written_once() -> None:
    floor, (features, _) = TestFloor(), breakers()
    append, on_disk = floor.journal.append, asyncio.Event()

    async def append_slowly(*records: Record, durable: bool = True) -> None:
        await append(*records, durable=durable)  # a caller that gives up loses no record
        await on_disk.wait()

    floor.journal.append = append_slowly  # type: ignore[method-assign]

    async def story() -> None:
        watch = CircuitWatch((features,), floor)
        keeping = asyncio.create_task(watch.keep())
        features.fail(0, "no answer")

        async def is_on_its_way() -> bool:
            return len(told(floor)) == 1

        await eventually(is_on_its_way)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        on_disk.set()
        assert await watch.flush()

    asyncio.run(story())
    assert len(told(floor)) == 1
