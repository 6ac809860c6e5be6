"""Each call of `order_send` is taken down with what was given, what came back and both clocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import msgspec
import pytest

from online.domain.called_reply import CalledReply
from online.domain.daylight import DaylightSaving
from online.domain.market import Instrument, Quote
from online.domain.order import Intent, OrderReply, OrderStatus, Purpose
from online.domain.terminal_call import ServerStamp, TerminalCall
from online.gateway.call_ledger import CallLedger
from online.gateway.order_desk import OrderDesk
from online.gateway.request import OrderRules
from online.gateway.terminal import Terminal
from online.gateway.terminal_choice import SimulatedChoice, connect
from online.gateway.translation import Translation
from online.simulator.client import ClientTerminal
from online.simulator.faults import Fault, FaultKind
from online.simulator.metatrader5 import SimulatedMetaTrader5
from online.simulator.rules import AccountRules, TradingRules
from online.simulator.server_time import HOUR_NS, ServerTime
from online.simulator.terminal import SimulatedTerminal
from online.simulator.trade_tuples import OrderSendResult, TradeRequest
from tests.gateway_world import closing, entry

pytestmark = pytest.mark.lean
ACCOUNT = (1_000_001, "Simulated-Demo")
EURUSD = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0)
JULY_NS = 1_751_328_000_000_000_000
ZONE = ServerTime(2, DaylightSaving.EUROPE)
SUMMER = ServerStamp((JULY_NS + 3 * HOUR_NS) // 1_000_000, JULY_NS)


class Pages:
    """A note that keeps every page."""

    def __init__(self) -> None:
        self.pages: list[tuple[str, tuple[TerminalCall, ...]]] = []

    def write(self, intent_id: str, calls: tuple[TerminalCall, ...]) -> None:
        self.pages.append((intent_id, calls))


class Floor:
    """An order desk on a broker whose clock is three hours ahead in July."""

    def __init__(self, **trading: float) -> None:
        rules = TradingRules(**trading)  # type: ignore[arg-type]  # numbers of the rules' fields
        account = AccountRules(hedging=True, zone=ZONE)
        self.broker = SimulatedTerminal([EURUSD], rules=account, trading={"EURUSD": rules})
        self.client = ClientTerminal(self.broker)
        self.package = SimulatedMetaTrader5(self.client)
        terminal: Terminal = self.package
        connect(terminal, SimulatedChoice())
        self.note = Pages()
        self.desk = OrderDesk(
            terminal,
            ACCOUNT,
            Translation({}, ZONE),
            OrderRules(),
            lambda: connect(terminal, SimulatedChoice()),
            self.note,
        )
        self.broker.on_quote(Quote("EURUSD", 1.1, 1.1002, JULY_NS))

    def send(self, intent: Intent) -> tuple[OrderReply, tuple[TerminalCall, ...]]:
        reply = self.desk.execute(intent, 1.0)
        return reply, reply.calls if isinstance(reply, CalledReply) else ()


def test_a_filled_order_tells_its_request_its_answer_and_both_clocks() -> None:
    floor = Floor()
    reply, (call,) = floor.send(entry(1))
    assert reply.status is OrderStatus.FILLED
    assert call.function == "order_send"
    assert call.request["comment"] == entry(1).comment
    assert (call.request["magic"], call.request["sl"]) == (entry(1).magic, 1.09)
    assert call.result is not None
    assert (call.result["retcode"], call.result["deal"]) == (10009, reply.deal)
    assert {*call.result} == {*OrderSendResult._fields} - {"request"}
    assert call.echo is not None
    assert {*call.echo} == {*TradeRequest._fields}
    assert call.echo["volume"] == call.request["volume"]
    assert call.last_error == (1, "Success")
    assert call.returned_at_ns is not None
    assert call.called_at_ns <= call.returned_at_ns
    assert (call.server_before, call.server_after) == (SUMMER, SUMMER)
    assert call.trouble == ""


def test_the_request_is_noted_before_the_terminal_hears_and_the_answer_at_once() -> None:
    floor = Floor()
    _, (call,) = floor.send(entry(1))
    (before, asked), (after, answered) = floor.note.pages
    assert before == after == "entry-1"
    assert (asked[0].request, asked[0].returned_at_ns) == (call.request, None)
    assert answered[0] == msgspec.structs.replace(call, server_after=None)


def test_an_answer_that_was_lost_leaves_the_request_and_the_error() -> None:
    floor = Floor()
    floor.client.faults.on("order_send", Fault(FaultKind.REPLY_LOST))
    reply, (call,) = floor.send(entry(1))
    assert reply.status is OrderStatus.UNKNOWN
    assert (call.result, call.echo, call.server_after) == (None, None, None)
    assert call.last_error is not None
    assert call.last_error[0] == -10002
    assert call.returned_at_ns is not None


def test_a_requoted_order_tells_every_send() -> None:
    floor = Floor()
    requote = OrderSendResult(10004, comment="Requote")
    answers = iter([requote, requote])
    genuine = floor.package.order_send

    def order_send(request: Mapping[str, int | float | str]) -> OrderSendResult | None:
        return next(answers, None) or genuine(request)

    floor.package.order_send = order_send  # type: ignore[method-assign,assignment]  # the terminal requotes
    reply, calls = floor.send(entry(1))
    assert reply.status is OrderStatus.FILLED
    assert [call.result and call.result["retcode"] for call in calls] == [10004, 10004, 10009]
    assert floor.note.pages[-2][1][:2] == calls[:2], "what was answered stays noted"


def test_an_order_that_never_left_tells_of_no_call() -> None:
    floor = Floor()
    reply, calls = floor.send(entry(1, quoted=1.05))
    assert reply.status is OrderStatus.NOT_SENT
    assert (calls, floor.note.pages) == ((), [])
    _, first = floor.send(entry(2))
    assert len(first) == 1
    assert floor.send(entry(3, quoted=1.05))[1] == (), "those of the order before are not its own"


def test_a_modify_and_a_cancel_tell_the_servers_clock_too() -> None:
    floor = Floor()
    opened = floor.desk.execute(entry(1), 1.0)
    modify = msgspec.structs.replace(
        closing(2, entry(1), opened.position), purpose=Purpose.MODIFY, stop=1.095, target=1.12
    )
    reply, (call,) = floor.send(modify)
    assert reply.status is OrderStatus.DONE
    assert (call.request["sl"], call.server_before, call.server_after) == (1.095, SUMMER, None)


def test_a_call_that_raises_is_noted_with_what_it_raised() -> None:
    class Broken:
        def order_send(self, request: object) -> None:
            raise SystemError(f"error return without exception set {request}"[:34])

    note = Pages()
    ledger = CallLedger(cast("Terminal", Broken()), note, lambda: 7)
    ledger.begin("entry-1")
    with pytest.raises(SystemError):
        ledger.send({"symbol": "EURUSD"}, None)
    ((_, (call,)),) = note.pages[-1:]
    assert call.trouble == "SystemError: error return without exception set"
    assert (call.called_at_ns, call.returned_at_ns) == (7, None)
