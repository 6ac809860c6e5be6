"""The kill ladder while the journal takes its time."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from online.api.metrics import Meters
from online.api.safety import Safety
from online.domain.book import Book
from online.domain.errors import JournalUnavailable
from online.domain.limits import Limits
from online.domain.record import Record
from online.domain.trading_state import TradingState
from tests.fakes import FakeClock, make_limits
from tests.gateway_world import eventually

pytestmark = pytest.mark.lean
ACTIVE, REDUCING, HALTED = TradingState


@dataclass
class SlowJournal:
    """A journal whose appends end when they are told to, oldest first."""

    waiting: list[asyncio.Future[None]] = field(default_factory=list)

    async def append(self, *_: Record, durable: bool = True) -> None:  # noqa: ARG002 - the port's
        written = asyncio.get_running_loop().create_future()
        self.waiting.append(written)
        await written


@dataclass
class Parts:
    """What safety needs of a scorer's parts."""

    journal: SlowJournal = field(default_factory=SlowJournal)
    clock: FakeClock = field(default_factory=FakeClock)
    book: Book = field(default_factory=Book)
    limits: Limits = field(default_factory=make_limits)


async def climb_at_once(
    first: TradingState, then: TradingState, fault: Exception | None = None
) -> list[TradingState]:
    """Ask for two states at once; return the state after each answer of the journal.

    With `fault` the second cannot be journaled.
    """
    parts = Parts()
    operating: Any = None  # nothing is closed
    safety = Safety(parts, Meters(), asyncio.Lock(), operating, None, lambda _: None)
    if first is ACTIVE:
        parts.book.trading = HALTED
    tasks = []
    for state in (first, then):
        tasks.append(asyncio.create_task(safety.change(state, "a test", "ann")))
        await asyncio.sleep(0)
    seen = [parts.book.trading]
    for written, task, error in zip(parts.journal.waiting, tasks, (None, fault), strict=True):
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)
        await asyncio.gather(task, return_exceptions=True)
        seen.append(parts.book.trading)
    return seen


@pytest.mark.parametrize(("first", "then"), [(ACTIVE, HALTED), (REDUCING, HALTED)])
@pytest.mark.parametrize("fault", [None, JournalUnavailable("the disk is full")])
def test_a_halt_holds_from_the_moment_it_is_asked_whatever_is_written_before_it(
    first: TradingState, then: TradingState, fault: Exception | None
) -> None:
    assert asyncio.run(climb_at_once(first, then, fault)) == [HALTED, HALTED, HALTED]


def test_who_resumes_last_resumes() -> None:
    assert asyncio.run(climb_at_once(HALTED, ACTIVE)) == [HALTED, HALTED, ACTIVE]


class HungLimits:
    """Limits on a share that does not answer until it is told to."""

    def __init__(self) -> None:
        self.asked, self.answers = threading.Event(), threading.Event()

    def read(self) -> Limits:
        self.asked.set()
        assert self.answers.wait(30.0)
        return make_limits(max_volume_lots=0.07)

    def stamp(self) -> tuple[object, ...]:
        return ()


def test_limits_that_hang_while_they_are_read_hold_up_no_order_and_no_closing() -> None:
    source, swapped = HungLimits(), list[Limits]()

    async def story() -> None:
        parts, turn = Parts(), asyncio.Lock()
        operating: Any = None  # nothing is closed
        safety = Safety(parts, Meters(), turn, operating, source, swapped.append)
        reading = asyncio.create_task(safety.reload("ann"))
        assert await asyncio.to_thread(source.asked.wait, 30.0)
        try:
            assert not turn.locked()
        finally:
            source.answers.set()

        async def is_being_written() -> bool:
            return len(parts.journal.waiting) == 1

        await eventually(is_being_written)
        assert turn.locked(), "nothing is decided by limits that change meanwhile"
        assert swapped == []
        parts.journal.waiting[0].set_result(None)
        await reading

    asyncio.run(story())
    assert [limits.max_volume_lots for limits in swapped] == [0.07]
