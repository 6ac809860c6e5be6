"""The workers' desks on the simulated package: the code that runs unchanged on the real one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from online.domain.daylight import DaylightSaving
from online.domain.errors import Unavailable
from online.domain.market import Instrument, Quote
from online.domain.order import OrderReply, OrderStatus
from online.gateway.market_desk import MarketDesk
from online.gateway.order_desk import OrderDesk
from online.gateway.request import OrderRules
from online.gateway.terminal import Terminal
from online.gateway.terminal_choice import SimulatedChoice, connect
from online.gateway.translation import Translation
from online.simulator import constants as mt5
from online.simulator.client import ClientTerminal
from online.simulator.faults import Fault, FaultKind
from online.simulator.info_tuples import SymbolInfo, Tick
from online.simulator.metatrader5 import SimulatedMetaTrader5
from online.simulator.rules import AccountRules, TradingRules
from online.simulator.server_time import HOUR_NS, ServerTime
from online.simulator.terminal import SimulatedTerminal
from online.simulator.trade_tuples import OrderSendResult
from tests.gateway_world import closing, entry

pytestmark = pytest.mark.lean

ACCOUNT = (1_000_001, "Simulated-Demo")
EURUSD_M = Instrument("EURUSD.m", "EUR", "USD", 5, 100_000.0)
JULY_NS = 1_751_328_000_000_000_000
ZONE = ServerTime(2, DaylightSaving.EUROPE)


class Floor:
    """Both desks on one terminal of a broker with suffixes and a server clock of its own."""

    def __init__(self, **trading: float) -> None:
        rules = TradingRules(**trading)  # type: ignore[arg-type]  # numbers of the rules' fields
        account = AccountRules(hedging=True, commission_per_lot=3.5, zone=ZONE)
        broker = SimulatedTerminal([EURUSD_M], rules=account, trading={"EURUSD.m": rules})
        self.client = ClientTerminal(broker)
        self.package = SimulatedMetaTrader5(self.client)
        terminal: Terminal = self.package
        connect(terminal, SimulatedChoice())
        self.reconnected = 0
        translation = Translation({"EURUSD": "EURUSD.m"}, ZONE)
        self.orders = OrderDesk(terminal, ACCOUNT, translation, OrderRules(), self.reconnect)
        self.market = MarketDesk(terminal, ACCOUNT, translation, self.reconnect)
        self.quote(1.1, 1.1002)

    def reconnect(self) -> None:
        self.reconnected += 1
        connect(self.package, SimulatedChoice())

    def quote(self, bid: float, ask: float, later_ns: int = 0) -> None:
        self.client.terminal.on_quote(Quote("EURUSD.m", bid, ask, JULY_NS + later_ns))

    def fault(self, kind: FaultKind, seconds: float = 0.0, call: int = 1) -> None:
        self.client.faults.on("order_send", Fault(kind, seconds), call)

    def send(self, number: int = 1, volume_lots: float = 0.1) -> OrderReply:
        return self.orders.execute(entry(number, volume_lots), 1.0)


def test_filled_entry_is_told_with_its_deal_and_position() -> None:
    floor = Floor()
    reply = floor.send()
    assert (reply.status, reply.retcode, reply.price) == (OrderStatus.FILLED, 10009, 1.1002)
    seen = floor.market.observe("EURUSD", 0)
    assert seen.positions is not None
    (held,), (deal,) = seen.positions, seen.deals
    assert (held.symbol, held.ticket, held.stop) == ("EURUSD", reply.position, 1.09)
    assert (deal.ticket, deal.entry, deal.reason) == (reply.deal, True, "expert")
    assert deal.commission == -0.35
    assert seen.deals[0].at_ns == JULY_NS


def test_stamps_of_the_servers_summer_clock_become_utc() -> None:
    floor = Floor()
    tick = floor.package.symbol_info_tick("EURUSD.m")
    assert tick is not None
    assert tick.time_msc * 1_000_000 == JULY_NS + 3 * HOUR_NS
    assert floor.market.observe("EURUSD", 0).quote == Quote("EURUSD", 1.1, 1.1002, JULY_NS)


def test_partial_fill_is_told_with_what_was_filled() -> None:
    floor = Floor(depth_lots=0.04)
    reply = floor.send()
    assert (reply.status, reply.volume_lots) == (OrderStatus.PARTIAL, 0.04)
    found = floor.market.search(entry(1), 0).reply
    assert found is not None
    assert (found.status, found.volume_lots) == (OrderStatus.PARTIAL, 0.04)


def test_refusal_leaves_its_code_and_no_deal() -> None:
    floor = Floor(trade_mode=mt5.SYMBOL_TRADE_MODE_CLOSEONLY)
    assert (floor.send().status, floor.send().retcode) == (OrderStatus.REJECTED, 10044)
    assert floor.market.search(entry(1), 0).reply is None


def test_lost_reply_is_unknown_and_the_pipe_is_made_anew() -> None:
    floor = Floor()
    floor.fault(FaultKind.REPLY_LOST)
    assert floor.send().status is OrderStatus.UNKNOWN
    assert floor.reconnected == 1
    found = floor.market.search(entry(1), 0).reply
    assert found is not None
    assert found.status is OrderStatus.FILLED
    assert floor.send(2).status is OrderStatus.FILLED


def test_done_without_a_visible_deal_is_still_told_by_the_answer() -> None:
    floor = Floor()
    floor.fault(FaultKind.DEAL_DELAYED, seconds=5.0)
    reply = floor.send()
    assert (reply.status, reply.volume_lots) == (OrderStatus.FILLED, 0.1)
    evidence = floor.market.search(entry(2), 0)
    assert (evidence.reply, evidence.connected) == (None, True)
    floor.quote(1.1, 1.1002, later_ns=6_000_000_000)
    seen = floor.market.observe("EURUSD", 0)
    assert [deal.ticket for deal in seen.deals] == [reply.deal]


def test_disconnected_terminal_proves_no_absence() -> None:
    floor = Floor()
    floor.fault(FaultKind.DISCONNECTED)
    reply = floor.send()
    assert (reply.status, reply.retcode) == (OrderStatus.UNKNOWN, 10031)
    assert not floor.market.search(entry(1), 0).connected


def test_requoted_order_is_sent_again_inside_its_collar_alone() -> None:
    floor = Floor(execution=mt5.SYMBOL_TRADE_EXECUTION_INSTANT)
    sent = []
    original = floor.package.order_send

    def moving(request: dict[str, object]) -> object:
        sent.append(request["price"])
        if len(sent) < 3:
            floor.quote(1.1 + 0.0002 * len(sent), 1.1002 + 0.0002 * len(sent), len(sent))
        return original(request)

    floor.package.order_send = moving  # type: ignore[assignment,method-assign]  # the market moves
    reply = floor.send()
    assert reply.status is OrderStatus.FILLED
    assert sent == [1.1002, 1.1004, 1.1006]


def test_requoted_order_ends_as_the_server_said_when_the_collar_is_left() -> None:
    floor = Floor(execution=mt5.SYMBOL_TRADE_EXECUTION_INSTANT)
    original = floor.package.order_send

    def jumping(request: dict[str, object]) -> object:
        floor.quote(1.102, 1.1022, 1)
        return original(request)

    floor.package.order_send = jumping  # type: ignore[assignment,method-assign]  # the market moves
    reply = floor.send()
    assert (reply.status, reply.retcode) == (OrderStatus.REJECTED, 10004)
    assert floor.market.observe("EURUSD", 0).positions == ()


@pytest.mark.parametrize(("patience_seconds", "sends"), [(0.0, 1), (60.0, 3)])
def test_requoted_order_is_sent_again_so_often_and_while_it_has_patience(
    patience_seconds: float, sends: int
) -> None:
    floor = Floor(execution=mt5.SYMBOL_TRADE_EXECUTION_INSTANT)
    original, sent = floor.package.order_send, []

    def running_away(request: dict[str, object]) -> object:
        sent.append(request["price"])
        ahead = 0.0002 * len(sent)
        floor.quote(1.1 + ahead, 1.1002 + ahead, len(sent))
        return original(request)

    floor.package.order_send = running_away  # type: ignore[assignment,method-assign]  # as above
    reply = floor.orders.execute(entry(1), patience_seconds)
    assert (reply.status, reply.retcode, len(sent)) == (OrderStatus.REJECTED, 10004, sends)


@pytest.mark.parametrize("retcode", [mt5.TRADE_RETCODE_PLACED, mt5.TRADE_RETCODE_DONE])
def test_an_answer_that_names_neither_order_nor_deal_leaves_the_fate_unknown(retcode: int) -> None:
    floor = Floor()

    def nameless(_: dict[str, object]) -> OrderSendResult:
        return OrderSendResult(retcode=retcode, comment="taken")

    floor.package.order_send = nameless  # type: ignore[assignment,method-assign]  # it tells little
    reply = floor.send()
    assert (reply.status, reply.retcode) == (OrderStatus.UNKNOWN, retcode)


@pytest.mark.parametrize("partial", [False, True])
def test_close_is_told_apart_from_its_entry(*, partial: bool) -> None:
    floor = Floor()
    opened = floor.send()
    close = closing(2, entry(1), opened.position)
    assert floor.market.search(close, 0).reply is None
    floor.fault(FaultKind.COMMENT_EDITED)
    if partial:
        floor.fault(FaultKind.REPLY_LOST)
    floor.orders.execute(close, 1.0)
    found = floor.market.search(close, 0).reply
    assert found is not None
    assert (found.status, found.price) == (OrderStatus.FILLED, 1.1)


def test_order_that_lost_magic_and_comment_is_found_by_what_it_did() -> None:
    floor = Floor()
    floor.fault(FaultKind.COMMENT_EDITED)
    floor.fault(FaultKind.MAGIC_DROPPED)
    floor.send()
    assert floor.market.search(entry(1), 0).reply is None
    found = floor.market.search(entry(1), JULY_NS).reply
    assert found is not None
    assert found.status is OrderStatus.FILLED
    assert floor.market.search(entry(1), JULY_NS + HOUR_NS).reply is None


def test_health_tells_every_switch() -> None:
    floor = Floor()
    assert floor.market.health("").trade_allowed
    floor.client.api_allowed = False
    assert not floor.market.health("").trade_allowed
    assert floor.send().status is OrderStatus.NOT_SENT
    floor.client.api_allowed, floor.client.connected = True, False
    assert not floor.market.health("").connected


def test_unknown_symbol_is_not_sent() -> None:
    floor = Floor()
    reply = floor.orders.execute(entry(1, symbol="NOSUCH"), 1.0)
    assert reply.status is OrderStatus.NOT_SENT


def test_terminal_that_somebody_logged_in_to_another_account_is_left_alone() -> None:
    floor = Floor()
    floor.client.login = 7
    reply = floor.send()
    assert (reply.status, "7@" in reply.comment) == (OrderStatus.NOT_SENT, True)
    with pytest.raises(Unavailable) as refused:
        floor.market.observe("EURUSD", 0)
    assert refused.value.code == "WRONG_ACCOUNT"
    floor.client.login = ACCOUNT[0]
    assert floor.send().status is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("told", "refusal"),
    [
        ({"filling_mode": 0, "trade_exemode": 2}, (OrderStatus.NOT_SENT, 0)),
        ({"trade_tick_size": 0.1}, (OrderStatus.REJECTED, mt5.TRADE_RETCODE_INVALID_STOPS)),
    ],
)
def test_a_symbol_of_which_something_else_is_true_by_now_is_read_anew_for_the_next_order(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], refusal: tuple[OrderStatus, int]
) -> None:
    floor = Floor()
    ask = floor.package.symbol_info

    def former(name: str) -> SymbolInfo:
        seen = ask(name)
        assert seen is not None
        return seen._replace(**told)

    with monkeypatch.context() as patched:
        patched.setattr(floor.package, "symbol_info", former)
        refused = floor.send(1)
    assert (refused.status, refused.retcode) == refusal
    assert floor.send(2).status is OrderStatus.FILLED


def test_a_symbol_that_somebody_took_off_the_market_watch_is_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    floor = Floor()
    ask, package = floor.package.symbol_info_tick, floor.package

    def watched(name: str) -> Tick | None:
        return ask(name) if name in floor.client.selected else None

    monkeypatch.setattr(package, "symbol_info_tick", watched)
    looks: tuple[Callable[[], bool], ...] = (
        lambda: floor.market.observe("EURUSD", 0).quote is not None,
        lambda: floor.market.health("EURUSD").quote_age_seconds is not None,
        lambda: floor.send(1).status is OrderStatus.FILLED,
    )
    for look in looks:
        assert look()
        floor.client.selected.clear()
        assert not look()
        assert look(), "it takes one look to find out"
