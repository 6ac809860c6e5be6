"""The dead-man switch in itself: how long the scorer is silent, and what an operator wants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from online.domain.account import RestingOrder
from online.domain.closing import cancel_order
from online.domain.errors import InvalidInput, Unavailable
from online.domain.market import Side
from online.domain.order import Intent, OrderReply, OrderStatus, Purpose
from online.domain.trading_state import TradingState
from online.gateway.dead_man import DeadMan
from online.gateway.gate import Gate
from online.gateway.inbox import Inbox, open_inbox
from online.gateway.inbox_copy import cause_of
from online.gateway.patience import Patience
from online.gateway.settings import GatewaySettings, Rung, RungAction
from online.gateway.tls import TlsFiles
from online.ports import Observation
from tests.fakes import make_position, make_quote
from tests.gateway_world import closing, entry

pytestmark = pytest.mark.lean
SECOND_NS = 1_000_000_000
Prepare = Callable[[Inbox], None]
LADDER = (Rung(60.0, RungAction.REDUCE), Rung(3_600.0, RungAction.HALT))


class Host:
    """A gateway's host: its inbox, its clock, and how often the account was looked at."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now_ns, self.looks = folder, 1_000 * SECOND_NS, 0
        self.down = False

    def run(self, story: Callable[[DeadMan, Gate], Coroutine[Any, Any, None]]) -> None:
        """Start the switch anew and tell it a story."""

        async def look(_: str) -> Observation:
            self.looks += 1
            if self.down:
                raise Unavailable("the terminal is away")
            return Observation(None, None, (), ())

        async def whole() -> None:
            inbox: Inbox = open_inbox(self.folder / "inbox.db")
            try:
                gate = Gate(inbox)
                flow: Any = None  # nothing is open, so nothing is sent
                switch = DeadMan(LADDER, gate, inbox, flow, look, lambda: self.now_ns)
                await story(switch, gate)
            finally:
                inbox.close()

        asyncio.run(whole())


def test_silence_goes_on_while_the_gateway_itself_is_away(tmp_path: Path) -> None:
    host = Host(tmp_path)

    async def leave(switch: DeadMan, gate: Gate) -> None:
        switch.scorer_came()
        switch.scorer_left()
        await switch.climb()
        assert gate.state is TradingState.ACTIVE

    async def start(switch: DeadMan, gate: Gate) -> None:
        await switch.climb()
        states.append(gate.state)

    states: list[TradingState] = []
    host.run(leave)
    for seconds in (30, 40, 3_600):  # a gateway that never lives as long as a rung waits
        host.now_ns += seconds * SECOND_NS
        host.run(start)
    assert states == [TradingState.ACTIVE, TradingState.REDUCING, TradingState.HALTED]


def test_a_gateway_that_died_with_its_scorer_counts_from_its_next_start(tmp_path: Path) -> None:
    host = Host(tmp_path)

    async def come(switch: DeadMan, _: Gate) -> None:
        switch.scorer_came()

    async def start(switch: DeadMan, gate: Gate) -> None:
        await switch.climb()
        states.append(gate.state)

    states: list[TradingState] = []
    host.run(come)
    for seconds in (500, 59, 2):
        host.now_ns += seconds * SECOND_NS
        host.run(start)
    assert states == [TradingState.ACTIVE, TradingState.ACTIVE, TradingState.REDUCING]


def test_a_flatten_is_tried_again_over_restarts_until_somebody_resumes(tmp_path: Path) -> None:
    host = Host(tmp_path)

    async def obey(switch: DeadMan, gate: Gate) -> None:
        host.down = True
        await switch.obey("leave (ann)", flatten=True)
        assert (gate.state, gate.reason) == (TradingState.HALTED, "flatten: leave (ann)")

    async def climb(switch: DeadMan, _: Gate) -> None:
        await switch.climb()

    async def resume(switch: DeadMan, gate: Gate) -> None:
        switch.resume()
        gate.resume()
        await switch.climb()

    host.run(obey)
    host.down = False
    host.run(climb)
    assert host.looks == 2
    host.run(resume)
    host.run(climb)
    assert host.looks == 2


def test_a_rung_that_cannot_be_written_down_keeps_nobody_from_the_next_and_is_written_later(
    tmp_path: Path,
) -> None:
    host = Host(tmp_path)

    async def leave(switch: DeadMan, gate: Gate) -> None:
        switch.scorer_came()
        switch.scorer_left()
        switch._silent_since = asyncio.get_running_loop().time() - 4_000.0
        gate._inbox._connection.execute("PRAGMA query_only=ON")  # as a full disk
        await switch.climb()
        assert gate.state is TradingState.HALTED
        gate._inbox._connection.execute("PRAGMA query_only=OFF")
        await switch.climb()

    async def start(_: DeadMan, gate: Gate) -> None:
        assert gate.state is TradingState.HALTED

    host.run(leave)
    host.run(start)


class Wire:
    """Takes orders down, and carries out all of them."""

    def __init__(self, refused: int) -> None:
        self.sent: list[Intent] = []
        self._refused = refused

    async def send(self, intent: Intent, *_: object, **__: object) -> OrderReply:
        if intent.position == self._refused:
            raise InvalidInput("quoted must not be negative", code="INVALID_INTENT")
        self.sent.append(intent)
        return OrderReply(OrderStatus.FILLED, 10009, 0, 0, intent.position, 1.1, 0.1, "")


async def flatten_two(
    folder: Path,
    *,
    blind: str = "",
    silent: str = "",
    refused: int = -1,
    resting: tuple[RestingOrder, ...] = (),
    prepare: Prepare | None = None,
) -> Wire:
    """Flatten two positions; a symbol may be `blind`, its quote fails, or `silent`, it has none."""
    symbols, wire = ("EURUSD", "USDJPY"), Wire(refused)
    positions = tuple(
        make_position(ticket=n, magic=entry(n).magic, symbol=symbol)
        for n, symbol in enumerate(symbols, 1)
    )

    async def look(symbol: str) -> Observation:
        if symbol == blind != "":
            raise Unavailable("no quote to be had")
        return Observation(None if symbol == silent else make_quote(), None, positions, (), resting)

    inbox = open_inbox(folder / "inbox.db")
    try:
        for number in (1, 2):
            inbox.accept((entry(number),), number)
            filled = OrderReply(OrderStatus.FILLED, 10009, number, number, number, 1.1, 0.1, "")
            inbox.record(f"entry-{number}", filled, number)
        if prepare is not None:
            prepare(inbox)
        flow: Any = wire
        switch = DeadMan(LADDER, Gate(inbox), inbox, flow, look)
        await switch.obey("leave (ann)", flatten=True)
    finally:
        inbox.close()
    return wire


@pytest.mark.parametrize("trouble", [{"blind": "EURUSD"}, {"silent": "EURUSD"}, {"refused": 1}])
def test_a_position_that_cannot_be_closed_keeps_no_other_open(
    tmp_path: Path, trouble: dict[str, Any]
) -> None:
    wire = asyncio.run(flatten_two(tmp_path, **trouble))
    assert [intent.position for intent in wire.sent] == [2]


def test_resting_orders_of_ours_are_taken_back_once_and_no_others(tmp_path: Path) -> None:
    ours, strangers, going = (
        RestingOrder(ticket, magic, "EURUSD", Side.BUY, "limit", 0.1, 1.0, 0.0, 0.0, "")
        for ticket, magic in ((11, entry(1).magic), (12, 99), (13, entry(2).magic))
    )

    def prepare(inbox: Inbox) -> None:
        inbox.accept((cancel_order(going, "cancel-13", "sx-3"),), 5)

    resting = (ours, strangers, going)
    wire = asyncio.run(flatten_two(tmp_path, resting=resting, prepare=prepare))
    assert [intent.order for intent in wire.sent if intent.order] == [11]
    inbox = open_inbox(tmp_path / "inbox.db")
    assert [inbox.fact(cause_of(intent.intent_id)) for intent in wire.sent] == [
        "flatten: leave (ann)"
    ] * 3
    inbox.close()


def test_only_a_close_under_way_keeps_a_position_from_being_closed(tmp_path: Path) -> None:
    def prepare(inbox: Inbox) -> None:
        change = msgspec.structs.replace(entry(3), purpose=Purpose.MODIFY, position=1)
        inbox.accept((change,), 5)
        inbox.accept((closing(4, entry(2), 2),), 5)

    wire = asyncio.run(flatten_two(tmp_path, prepare=prepare))
    assert [intent.position for intent in wire.sent] == [1]


class Closed:
    """A market that takes no order."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def send(self, intent: Intent, *_: object, **__: object) -> OrderReply:
        self.asked.append(intent.position or intent.order)
        return OrderReply(OrderStatus.REJECTED, 10018, 0, 0, 0, 0.0, 0.0, "Market closed")


def test_what_a_closed_market_refuses_is_asked_for_ever_more_seldom_until_somebody_wants_it(
    tmp_path: Path,
) -> None:
    wire, clock = Closed(), [0.0]
    order = RestingOrder(11, entry(1).magic, "EURUSD", Side.BUY, "limit", 0.1, 1.0, 0.0, 0.0, "")
    position = make_position(ticket=1, magic=entry(1).magic, symbol="EURUSD")

    async def look(_: str) -> Observation:
        return Observation(make_quote(), None, (position,), (), (order,))

    async def weekend() -> None:
        inbox = open_inbox(tmp_path / "inbox.db")
        inbox.accept((entry(1),), 1)
        filled = OrderReply(OrderStatus.FILLED, 10009, 1, 1, 1, 1.1, 0.1, "")
        inbox.record("entry-1", filled, 1)
        flow: Any = wire
        patience = Patience(lambda: clock[0])
        switch = DeadMan(LADDER, Gate(inbox), inbox, flow, look, patience=patience)
        await switch.obey("leave (ann)", flatten=True)
        assert wire.asked == [11, 1]
        for half_seconds in range(2 * 3_600):
            clock[0] = half_seconds / 2.0
            await switch.climb()
        assert 2 * 120 <= len(wire.asked) <= 2 * 130  # twice a minute, after six tries at first
        assert wire.asked.count(1) == wire.asked.count(11)
        before = len(wire.asked)
        await switch.climb()
        assert len(wire.asked) == before
        await switch.obey("leave now (ann)", flatten=True)
        assert wire.asked[before:] == [11, 1]
        inbox.close()

    asyncio.run(weekend())


def test_a_pause_doubles_up_to_half_a_minute_and_ends_with_what_is_granted() -> None:
    clock = [100.0]
    patience = Patience(lambda: clock[0])
    for seconds in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        assert patience.may_ask("1")
        patience.refused("1")
        assert patience.may_ask("2")
        clock[0] += seconds - 0.25
        assert not patience.may_ask("1")
        clock[0] += 0.25
    patience.granted("1")
    for _ in range(3):  # nobody was asked, so nobody is spared
        patience.not_sent("1")
        assert not patience.may_ask("1")
        clock[0] += 1.0
        assert patience.may_ask("1")
    patience.refused("1")
    clock[0] += 1.0
    assert patience.may_ask("1")


@pytest.mark.parametrize(
    ("status", "times"),
    [
        (OrderStatus.PARTIAL, 2),
        (OrderStatus.FILLED, 2),
        (OrderStatus.REJECTED, 1),
        (OrderStatus.UNKNOWN, 1),
        (OrderStatus.NOT_SENT, 1),
    ],
)
def test_what_is_left_of_a_position_is_closed_at_once_and_a_refusal_is_waited_out(
    tmp_path: Path, status: OrderStatus, times: int
) -> None:
    asked: list[int] = []

    class Answers:
        async def send(self, intent: Intent, *_: object, **__: object) -> OrderReply:
            asked.append(intent.position)
            return OrderReply(status, 0, 0, 0, 0, 0.0, 0.0, "")

    async def look(_: str) -> Observation:
        position = make_position(ticket=1, magic=entry(1).magic, symbol="EURUSD")
        return Observation(make_quote(), None, (position,), ())

    async def twice() -> None:
        inbox = open_inbox(tmp_path / "inbox.db")
        inbox.accept((entry(1),), 1)
        inbox.record("entry-1", OrderReply(OrderStatus.FILLED, 10009, 1, 1, 1, 1.1, 0.1, ""), 1)
        flow: Any = Answers()
        patience = Patience(lambda: 0.0)
        switch = DeadMan(LADDER, Gate(inbox), inbox, flow, look, patience=patience)
        await switch.obey("leave (ann)", flatten=True)
        await switch.climb()
        inbox.close()

    asyncio.run(twice())
    assert asked == [1] * times


def test_a_halt_by_hand_closes_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path)

    async def obey(switch: DeadMan, gate: Gate) -> None:
        await switch.obey("odd fills (ann)", flatten=False)
        await switch.climb()
        assert (gate.state, gate.reason) == (TradingState.HALTED, "halt: odd fills (ann)")

    host.run(obey)
    assert host.looks == 0


@pytest.mark.parametrize(
    "actions",
    [
        (RungAction.FLATTEN, RungAction.HALT),
        (RungAction.HALT, RungAction.REDUCE),
        (RungAction.HALT, RungAction.HALT),
    ],
)
def test_a_ladder_that_does_not_climb_is_refused(actions: tuple[RungAction, ...]) -> None:
    rungs = tuple(Rung(float(n + 1), action) for n, action in enumerate(actions))
    files = TlsFiles(Path("a"), Path("b"), Path("c"))
    with pytest.raises(InvalidInput, match="climb"):
        GatewaySettings(tls=files, state=Path("state"), ladder=rungs)
