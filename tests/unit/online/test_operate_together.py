"""Several who close the same position at once, and a closing that fails half way."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest
from msgspec import structs

from online.adapters.memory_journal import MemoryJournal
from online.domain.errors import Conflict, JournalUnavailable, SextantError, Unavailable
from online.domain.operation import Cancel, Close, Operation
from online.domain.order import Intent, OrderKind, OrderReply, OrderStatus
from online.domain.record import OperationRecord, Record, ResultRecord
from online.operate import Closing, Wish, close_all, operate
from online.ports import Observation
from online.sending import resolve_pending
from online.trade import run_to_completion
from tests.floors import Died, TestFloor

pytestmark = pytest.mark.lean


@dataclass
class SlowJournal(MemoryJournal):
    """A journal that lets others go on before it has written; `refuses` is a disk that is full."""

    refuses: type[Record] | None = None
    inner: MemoryJournal = field(default_factory=MemoryJournal)

    async def append(self, *records: Record, durable: bool = True) -> None:
        await asyncio.sleep(0)
        if self.refuses is not None and isinstance(records[0], self.refuses):
            raise JournalUnavailable("the disk is full")
        await self.inner.append(*records, durable=durable)


@pytest.fixture(params=[True, False], ids=["hedging", "netting"])
def floor(request: pytest.FixtureRequest) -> TestFloor:
    floor = TestFloor(hedging=request.param)
    floor.enter()
    floor.journal = SlowJournal(inner=floor.journal)
    return floor


async def ask(name: str, operation: Operation, floor: TestFloor) -> OrderReply | str:
    try:
        return await operate(Wish(name, operation, "ann"), floor)
    except SextantError as error:
        return error.code


def closes(floor: TestFloor) -> Counter[int]:
    """Count the closes that came to the terminal, by position."""
    ours = {r.decision_id: r for r in floor.journal.inner.records()  # type: ignore[attr-defined]  # a SlowJournal
            if isinstance(r, OperationRecord)}  # fmt: skip
    return Counter(ours[name].intent.position for name in floor.broker.reached if name in ours)


def test_of_two_flattens_at_once_each_position_is_closed_by_one(floor: TestFloor) -> None:
    async def both() -> tuple[Closing, Closing]:
        flattens = (close_all(name, "", "ann", "a test", floor) for name in ("a", "b"))
        first, second = await asyncio.gather(*flattens)
        return first, second

    first, second = asyncio.run(both())
    replies = [each.reply for each in (*first.operations, *second.operations)]
    assert [reply.status for reply in replies if reply] == [OrderStatus.FILLED]
    refusals = [each.refusal for each in (*first.operations, *second.operations)]
    assert [refusal.code for refusal in refusals if refusal] == ["ORDER_IN_FLIGHT"]
    assert closes(floor) == {1: 1}
    assert floor.terminal.positions() == ()


@pytest.mark.parametrize("second", [Close(1), Close(1, 0.04)])
def test_a_close_is_refused_while_another_of_the_position_becomes_durable(
    floor: TestFloor, second: Close
) -> None:
    async def both() -> list[OrderReply | str]:
        asked = (ask("a", Close(1, 0.04), floor), ask("b", second, floor))
        return list(await asyncio.gather(*asked))

    first, refused = asyncio.run(both())
    assert isinstance(first, OrderReply)
    assert (refused, floor.held.volume_lots) == ("ORDER_IN_FLIGHT", 0.06)


def test_two_with_one_id_at_once_send_one_order(floor: TestFloor) -> None:
    async def both() -> list[OrderReply | str]:
        asked = (ask("a", Close(1, 0.04), floor) for _ in range(2))
        return list(await asyncio.gather(*asked))

    _, refused = asyncio.run(both())
    assert refused in {"ORDER_IN_FLIGHT", "CLIENT_ID_USED"}
    assert floor.broker.reached["op-a"] == 1


def test_an_order_that_could_not_be_journaled_holds_nothing(floor: TestFloor) -> None:
    assert isinstance(floor.journal, SlowJournal)
    floor.journal.refuses = OperationRecord
    assert asyncio.run(ask("a", Close(1), floor)) == "JOURNAL_UNAVAILABLE"
    floor.journal.refuses = None
    reply = asyncio.run(ask("a", Close(1), floor))
    assert isinstance(reply, OrderReply)
    assert reply.status is OrderStatus.FILLED


def test_an_id_that_was_journaled_is_claimed_by_nobody(floor: TestFloor) -> None:
    order = floor.book.orders.newest(1)[0]
    with pytest.raises(Conflict, match="under way"), floor.book.orders.claimed(order.intent):
        pass


def test_a_close_whose_reply_cannot_be_recorded_is_told_as_unknown_not_as_refused(
    floor: TestFloor,
) -> None:
    assert isinstance(floor.journal, SlowJournal)
    floor.journal.refuses = ResultRecord
    (done,) = asyncio.run(close_all("x", "", "ann", "a test", floor)).operations
    assert done.refusal is None
    assert done.reply is not None
    assert done.reply.status is OrderStatus.UNKNOWN
    assert "the disk is full" in done.reply.comment
    assert floor.terminal.positions() == ()
    floor.journal.refuses = None
    assert len(floor.book.orders.pending) == 1
    assert asyncio.run(resolve_pending(floor)) == ()


def test_what_was_not_sent_and_what_was_stand_side_by_side() -> None:
    floor = TestFloor()
    floor.enter()
    floor.enter(kind=OrderKind.LIMIT, price=1.095, quoted=1.095)

    class Full(SlowJournal):
        async def append(self, *records: Record, durable: bool = True) -> None:
            asked = records[0]
            if isinstance(asked, OperationRecord) and isinstance(asked.operation, Cancel):
                raise JournalUnavailable("the disk is full")
            await self.inner.append(*records, durable=durable)

    floor.journal = Full(inner=floor.journal)
    cancel, close = run_to_completion(close_all("x", "", "ann", "a test", floor)).operations
    assert cancel.reply is None
    assert cancel.refusal is not None
    assert cancel.refusal.code == "JOURNAL_UNAVAILABLE"
    assert close.reply is not None
    assert close.reply.status is OrderStatus.FILLED


@pytest.mark.parametrize("ahead_ns", [0, 1_000_000_000], ids=["same clock", "broker ahead"])
def test_a_closing_that_was_cut_short_goes_on_and_tells_of_all_and_closes_nothing_newer(
    ahead_ns: int,
) -> None:
    floor = TestFloor()
    observe = floor.broker.observe

    async def observe_ahead(
        symbol: str, after_deal: int, pairs: tuple[str, ...] = ()
    ) -> Observation:
        seen = await observe(symbol, after_deal, pairs)
        moved = tuple(
            structs.replace(held, opened_at_ns=held.opened_at_ns + ahead_ns)
            for held in seen.positions or ()
        )
        return structs.replace(seen, positions=moved)

    floor.broker.observe = observe_ahead  # type: ignore[method-assign]
    for _ in range(3):
        floor.enter()
    send = floor.broker.send

    async def die_at_the_second(intent: Intent) -> OrderReply:
        if floor.broker.reached.total() == 4:  # three entries, one close
            raise Died
        return await send(intent)

    floor.broker.send = die_at_the_second  # type: ignore[method-assign]
    with pytest.raises(Died):
        run_to_completion(close_all("x", "", "ann", "a test", floor))
    floor.broker.send = send  # type: ignore[method-assign]
    floor.restart()
    floor.quote(1.1, 1.1002)
    floor.enter()
    newer = max(held.ticket for held in floor.terminal.positions())
    done = run_to_completion(close_all("x", "", "ann", "a test", floor)).operations
    told = [None if each.reply is None else str(each.reply.status) for each in done]
    assert told == ["filled", "unknown", "filled"]
    assert len({each.client_id for each in done}) == 3
    left = {held.ticket for held in floor.terminal.positions()}
    assert newer in left
    assert len(left) == 2, "the newer one, and the one whose close is of unknown fate"


def test_a_broker_that_tells_nothing_is_an_error_and_nothing_was_sent(floor: TestFloor) -> None:
    floor.broker.down = True
    with pytest.raises(Unavailable):
        asyncio.run(close_all("x", "", "ann", "a test", floor))
    assert closes(floor) == {}


def test_a_closing_is_not_the_continuation_of_one_whose_id_begins_alike() -> None:
    floor = TestFloor()
    floor.enter()
    run_to_completion(close_all("evening.london", "", "ann", "a test", floor))
    floor.quote(1.1, 1.1002)
    floor.enter()
    done = run_to_completion(close_all("evening", "", "ann", "a test", floor)).operations
    assert [each.client_id for each in done] == ["evening.3"]
    assert floor.terminal.positions() == (), "it was opened before this closing began"


def test_a_closing_asked_for_again_leaves_an_order_that_rests_since_as_it_is() -> None:
    floor = TestFloor()
    floor.enter()
    (first,) = run_to_completion(close_all("x", "", "ann", "a test", floor)).operations
    floor.quote(1.1, 1.1002)
    newer = floor.enter(kind=OrderKind.LIMIT, price=1.095, quoted=1.095)
    again = run_to_completion(close_all("x", "", "ann", "a test", floor)).operations
    assert [each.client_id for each in again] == [first.client_id]
    orders = run_to_completion(floor.broker.observe("", 0)).orders
    assert [order.ticket for order in orders or ()] == [newer.order]
    (other,) = run_to_completion(close_all("y", "", "ann", "a test", floor)).operations
    assert other.operation == Cancel(newer.order), "another closing takes it back"
