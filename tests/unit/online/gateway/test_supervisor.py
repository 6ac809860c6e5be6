"""The supervisor: who trades, what a worker that errs leads to, and what no fault may end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from online.domain.errors import InvalidSettings, Unavailable
from online.domain.market import Timeframe
from online.domain.order import OrderReply, OrderStatus
from online.domain.trading_state import TradingState
from online.gateway import supervisor
from online.gateway.errands import Errand, Execute, Probe, Ready, Result
from online.gateway.inbox import Inbox, open_inbox
from online.gateway.messages import (
    AskBars,
    AskStatement,
    AskStatus,
    AskTicks,
    Failed,
    Observe,
    Refused,
    Replied,
    Role,
    Send,
    Status,
    ToScorer,
    Welcome,
)
from tests.gateway_house import READY, House
from tests.gateway_world import entry, eventually

pytestmark = pytest.mark.lean
Story = Callable[[House], Awaitable[None]]


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    opened = open_inbox(tmp_path / "inbox.db")
    yield opened
    opened.close()


@pytest.fixture
def tell(tmp_path: Path, inbox: Inbox) -> Callable[[Story], None]:
    """Return what tells a story of a gateway."""

    def tell(story: Story) -> None:
        async def whole() -> None:
            await story(House(tmp_path, inbox))

        asyncio.run(whole())

    return tell


def code(told: ToScorer) -> str:
    assert isinstance(told, (Refused, Failed))
    return told.code


def test_a_scorer_is_let_in_once_a_worker_knows_the_account_an_operator_before(
    tell: Callable[[Story], None],
) -> None:
    async def story(house: House) -> None:
        house.orders.account = None
        early, operator = house.caller(), house.caller(Role.OPERATOR)
        refused = early.greet()
        assert code(refused) == "TERMINAL_UNAVAILABLE"
        assert "the terminal is closed" in str(refused)
        assert early.wire.ended
        welcome = operator.greet()
        assert isinstance(welcome, Welcome)
        assert (welcome.login, welcome.real) == (0, True)
        house.orders.account = READY
        assert isinstance(house.caller().greet(), Welcome)

    tell(story)


def test_a_newer_scorer_fences_the_older_whose_orders_go_no_further(
    tell: Callable[[Story], None],
) -> None:
    async def story(house: House) -> None:
        older, newer = house.caller(), house.caller()
        first, second = older.greet(), newer.greet()
        assert isinstance(first, Welcome)
        assert isinstance(second, Welcome)
        assert second.epoch == first.epoch + 1
        assert code(older.last) == "FENCED"
        assert not house.gateway.is_current(older.session)
        assert code(house.caller().greet(first.epoch)) == "FENCED", "it may not come back"
        older.session.link.connection_lost(None)
        status = await newer.ask(AskStatus(1))
        assert isinstance(status, Status)
        assert status.scorer_linked, "that the older one left is no absence"

    tell(story)


def test_a_scorer_that_connects_anew_goes_on_and_its_lost_connection_is_dropped(
    tell: Callable[[Story], None],
) -> None:
    async def story(house: House) -> None:
        lost, again = house.caller(), house.caller()
        first = lost.greet()
        assert isinstance(first, Welcome)
        second = again.greet(first.epoch)
        assert isinstance(second, Welcome)
        assert second.epoch == first.epoch
        assert lost.wire.ended == "dropped"
        lost.session.link.connection_lost(None)
        assert house.gateway.is_current(again.session)
        assert house.gateway._dead_man._silent_since is None

    tell(story)


def test_a_scorer_whose_coming_cannot_be_written_down_is_told_why_and_let_in_later(
    tell: Callable[[Story], None], inbox: Inbox
) -> None:
    async def story(house: House) -> None:
        inbox._connection.execute("PRAGMA query_only=ON")  # as a full disk
        refused = house.caller()
        assert code(refused.greet()) == "INBOX_UNAVAILABLE"
        assert refused.wire.ended
        refused.session.link.connection_lost(None)
        assert not house.gateway.is_current(refused.session)
        inbox._connection.execute("PRAGMA query_only=OFF")
        assert isinstance(house.caller().greet(), Welcome)

    tell(story)


@pytest.mark.parametrize(
    "question",
    [
        Observe(1, "EURUSD", 0),
        AskStatement(1, 0, 0),
        AskBars(1, "EURUSD", Timeframe.H1, 0, 1),
        AskTicks(1, "EURUSD", 0, 1),
    ],
)
def test_a_worker_that_answers_another_question_is_no_answer(
    tell: Callable[[Story], None], question: object
) -> None:
    async def story(house: House) -> None:
        scorer = house.caller()
        scorer.greet()
        told = await scorer.ask(question)
        assert code(told) == "WORKER_LOST"
        assert "Probed" in str(told)

    tell(story)


def test_an_order_that_a_worker_answers_with_something_else_is_of_unknown_fate(
    tell: Callable[[Story], None], inbox: Inbox
) -> None:
    async def story(house: House) -> None:
        scorer = house.caller()
        scorer.greet()
        await scorer.ask(Send(1, entry(1), 10_000))

        async def is_replied() -> bool:
            return isinstance(scorer.last, Replied)

        await eventually(is_replied)
        assert isinstance(scorer.last, Replied)
        assert scorer.last.reply.status is OrderStatus.UNKNOWN
        assert [type(errand) for errand in house.orders.asked] == [Execute]
        assert [each.intent for each in inbox.unresolved()] == [entry(1)]

    tell(story)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.READER])
def test_only_the_scorer_sends_orders(
    tell: Callable[[Story], None], inbox: Inbox, role: Role
) -> None:
    async def story(house: House) -> None:
        house.caller().greet()
        stranger = house.caller(role)
        stranger.greet()
        told = await stranger.ask(Send(1, entry(1), 10_000))
        assert isinstance(told, Replied)
        assert told.reply.status is OrderStatus.NOT_SENT
        assert house.orders.asked == []
        assert inbox.find(entry(1)) is None

    tell(story)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.READER])
def test_of_a_copy_of_an_order_that_was_sent_nobody_is_told_that_it_was_not(
    tell: Callable[[Story], None], inbox: Inbox, role: Role
) -> None:
    filled = OrderReply(OrderStatus.FILLED, 10009, 4, 5, 4, 1.1, 0.1, "done")

    async def story(house: House) -> None:
        inbox.accept((entry(1),), 1)
        inbox.record("entry-1", filled, 2)
        stranger = house.caller(role)
        stranger.greet()
        await stranger.ask(Send(1, entry(1), 10_000))

        async def is_replied() -> bool:
            return isinstance(stranger.last, Replied)

        await eventually(is_replied)
        assert isinstance(stranger.last, Replied)
        assert stranger.last.reply == filled
        assert house.orders.asked == []

    tell(story)


def test_a_fenced_scorer_is_not_heard_any_more_not_even_what_came_with_its_fencing(
    tell: Callable[[Story], None], inbox: Inbox
) -> None:
    async def story(house: House) -> None:
        older, newer = house.caller(), house.caller()
        older.greet()
        newer.greet()
        heard = len(older.heard)
        older.say(Send(1, entry(1), 10_000))
        await asyncio.sleep(0)
        assert len(older.heard) == heard
        assert inbox.find(entry(1)) is None

    tell(story)


def test_a_fault_that_nobody_foresaw_is_told_to_who_asked(tell: Callable[[Story], None]) -> None:
    def fail(_: Errand) -> Result:
        raise ZeroDivisionError

    async def story(house: House) -> None:
        scorer = house.caller()
        scorer.greet()
        house.market.answer = fail
        told = await scorer.ask(Observe(1, "EURUSD", 0))
        assert code(told) == "GATEWAY_FAULT"
        assert "ZeroDivisionError" in str(told)
        assert not scorer.wire.ended

    tell(story)


def test_a_terminal_that_is_not_heard_of_lets_no_entry_through(
    tell: Callable[[Story], None],
) -> None:
    def lost(_: Errand) -> Result:
        raise Unavailable("the worker hung", code="WORKER_LOST")

    async def story(house: House) -> None:
        await house.gateway._probe("EURUSD")
        assert house.gateway._gate.refusal(entry(1)) == ""
        assert house.market.asked == [Probe("EURUSD")]
        house.market.answer = lost
        with pytest.raises(Unavailable):
            await house.gateway._probe()
        assert "has not been looked at" in house.gateway._gate.refusal(entry(1))

    tell(story)


def test_an_inbox_is_of_one_account_over_restarts(tell: Callable[[Story], None]) -> None:
    async def first(house: House) -> None:
        house.gateway._check(READY)

    async def again(house: House) -> None:
        house.gateway._check(READY)
        for other in (Ready(8, "Demo", real=False), Ready(7, "Live", real=True)):
            with pytest.raises(Unavailable, match="7@Demo") as refused:
                house.gateway._check(other)
            assert refused.value.code == "WRONG_ACCOUNT"

    tell(first)
    tell(again)


def test_who_says_no_hello_is_sent_away_and_who_did_is_not(tell: Callable[[Story], None]) -> None:
    async def story(house: House) -> None:
        silent, greeted = house.caller(), house.caller(Role.OPERATOR)
        greeted.greet()
        for each in (silent, greeted):
            house.gateway._sessions.add(each.session)
            house.gateway._expect_hello(each.session)
        assert code(silent.last) == "NO_HELLO"
        assert not greeted.wire.ended

    tell(story)


def test_a_connection_that_cannot_be_accepted_keeps_out_no_other(
    tell: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_ACCEPT_PAUSE_SECONDS", 0.0)
    fates: list[BaseException | tuple[str, tuple[str, int]]] = [
        OSError(24, "Too many open files"),
        ("a connection", ("127.0.0.1", 1)),
        asyncio.CancelledError(),
    ]
    admitted: list[object] = []

    async def story(house: House) -> None:
        async def accept(_: object) -> object:
            fate = fates.pop(0)
            if isinstance(fate, BaseException):
                raise fate
            return fate

        async def admit(connection: object, _: object) -> None:
            admitted.append(connection)

        monkeypatch.setattr(asyncio.get_running_loop(), "sock_accept", accept)
        monkeypatch.setattr(house.gateway, "_admit", admit)
        with socket.socket() as listener, pytest.raises(asyncio.CancelledError):
            await house.gateway._accept(listener)
        await asyncio.sleep(0)

    tell(story)
    assert admitted == ["a connection"]


def test_an_address_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidSettings, match=f"127.0.0.1:{port} cannot be listened on"):
            supervisor._listen("127.0.0.1", port)


def test_what_is_unavailable_is_told_once_and_tried_again_and_a_fault_ends_the_gateway(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tries: list[int] = []

    async def work() -> None:
        tries.append(len(tries))
        if len(tries) < 3:
            raise Unavailable("not now")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(supervisor._keep(work, 0.0))
    assert tries == [0, 1, 2]
    assert [record.message for record in caplog.records] == ["UNAVAILABLE: not now"]


def test_an_operator_halts_and_resumes_and_both_outlive_the_gateway(
    tell: Callable[[Story], None],
) -> None:
    states: list[TradingState] = []

    async def halt(house: House) -> None:
        await house.gateway.climb("ann", "enough", flatten=False)

    async def resume(house: House) -> None:
        states.append(house.gateway._gate.state)
        house.gateway.resume("ann")

    async def look(house: House) -> None:
        states.append(house.gateway._gate.state)

    for story in (halt, resume, look):
        tell(story)
    assert states == [TradingState.HALTED, TradingState.ACTIVE]
