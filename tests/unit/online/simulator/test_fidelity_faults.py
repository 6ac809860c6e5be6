"""Fidelity of faults: cases 45 to 52."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from online.adapters.simulated_broker import SimulatedBroker
from online.domain.market import Side
from online.domain.order import Intent, OrderStatus, Purpose
from online.simulator import constants as mt5
from online.simulator.faults import Fault, FaultKind, FaultPlan
from online.simulator.latency import Latency, RandomSlippage
from online.simulator.metatrader5 import SimulatedMetaTrader5
from online.trade import run_to_completion
from tests.conftest import REPOSITORY
from tests.unit.online.simulator.world import BUY, SELL, World

DONE = mt5.TRADE_RETCODE_DONE


def failing(kind: FaultKind, seconds: float = 0.0, name: str = "order_send") -> World:
    return World(faults=FaultPlan().on(name, Fault(kind, seconds)))


def test_order_without_the_trade_server_has_no_connection() -> None:
    """Fidelity case 45."""
    world = failing(FaultKind.DISCONNECTED)
    result = world.order()
    assert (result.retcode, result.order) == (mt5.TRADE_RETCODE_CONNECTION, 0)
    info = world.mt5.terminal_info()
    assert info is not None
    assert not info.connected
    assert world.positions() == ()
    world.client.connected = True
    world.done()


def test_pipe_that_breaks_before_the_write_sends_nothing() -> None:
    """Fidelity case 46."""
    world = failing(FaultKind.PIPE_BROKEN)
    assert world.send() is None
    assert world.error == mt5.RES_E_INTERNAL_FAIL_SEND
    assert world.mt5.positions_get() is None
    assert world.error == mt5.RES_E_INTERNAL_FAIL_CONNECT
    assert world.mt5.initialize()
    assert world.positions() == ()


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FaultKind.REPLY_LOST, mt5.RES_E_INTERNAL_FAIL_RECEIVE),
        (FaultKind.DESYNCHRONISED, mt5.RES_E_INTERNAL_FAIL),
    ],
)
def test_lost_reply_leaves_exactly_one_position(kind: FaultKind, code: int) -> None:
    """Fidelity case 47."""
    world = failing(kind)
    assert world.send(magic=77) is None
    assert world.error == code
    restarted = SimulatedMetaTrader5(world.client)
    assert restarted.initialize()
    (held,) = restarted.positions_get() or ()
    assert held.magic == 77
    assert len(world.terminal.deals_after(0)) == 1
    (order,) = restarted.history_orders_get(ticket=held.ticket) or ()
    assert order.state == mt5.ORDER_STATE_FILLED


def test_fate_of_an_order_whose_reply_was_lost_is_found() -> None:
    """Fidelity case 47: the evidence is at the broker."""
    world = failing(FaultKind.REPLY_LOST)
    assert world.send(magic=77, comment="sx-1") is None
    intent = Intent("i", 77, "sx-1", Purpose.ENTRY, "EURUSD", Side.BUY, 0.1, 0, 0, 0, 0, 1.1002)
    found = run_to_completion(SimulatedBroker(world.terminal).find(intent))
    assert found is not None
    assert (found.status, found.price) == (OrderStatus.FILLED, 1.1002)


def test_slow_reply_takes_its_time() -> None:
    """Fidelity case 48."""
    world = failing(FaultKind.SLOW, 9.5)
    assert world.order().retcode == DONE
    assert world.waited == [9.5]


HANGING = """
import sys
from online.simulator.faults import Fault, FaultKind
from tests.unit.online.simulator.world import World

world = World()
world.client.wait = lambda seconds: __import__("time").sleep(seconds)
world.client.faults.on("order_send", Fault(FaultKind.HANG_AFTER))
sys.stdout.write("calling\\n")
sys.stdout.flush()
world.send()
sys.stdout.write("answered\\n")
"""


def test_worker_that_hangs_for_ever_can_only_be_killed() -> None:
    """Fidelity case 48."""
    with subprocess.Popen(
        [sys.executable, "-c", HANGING], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "calling\n"
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(timeout=0.5)
        worker.kill()
        assert worker.stdout.read() == ""
    assert worker.returncode < 0


@pytest.mark.parametrize("kind", [FaultKind.HANG_BEFORE, FaultKind.HANG_AFTER])
def test_hanging_call_has_or_has_not_reached_the_broker(kind: FaultKind) -> None:
    """Fidelity case 48."""
    hanging = threading.Event()

    class Stopped(BaseException):
        """Ends the test's own hanging call."""

    def wait(_seconds: float) -> None:
        hanging.set()
        raise Stopped

    world = failing(kind)
    world.client.wait = wait
    with pytest.raises(Stopped):
        world.send()
    assert hanging.is_set()
    assert len(world.positions()) == (kind is FaultKind.HANG_AFTER)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (FaultKind.TIMED_OUT, mt5.TRADE_RETCODE_TIMEOUT),
        (FaultKind.PROCESSING_ERROR, mt5.TRADE_RETCODE_ERROR),
    ],
)
def test_order_that_timed_out_is_live(kind: FaultKind, code: int) -> None:
    """Fidelity case 49."""
    world = failing(kind)
    result = world.order(magic=5)
    assert (result.retcode, result.deal, result.order) == (code, 0, 0)
    (held,) = world.positions()
    assert held.magic == 5


def test_deal_is_seen_only_some_seconds_after_its_fill() -> None:
    """Fidelity case 50."""
    world = failing(FaultKind.DEAL_DELAYED, 5.0)
    sent = world.done()
    assert len(world.positions()) == 1
    assert world.mt5.history_deals_get(ticket=sent.order) == ()
    world.terminal.pass_time(world.terminal.now_ns + 4_900_000_000)
    assert world.mt5.history_deals_get(position=sent.order) == ()
    world.terminal.pass_time(world.terminal.now_ns + 100_000_000)
    assert len(world.mt5.history_deals_get(ticket=sent.order) or ()) == 1


def test_edited_comment_leaves_the_magic() -> None:
    """Fidelity case 51."""
    world = failing(FaultKind.COMMENT_EDITED)
    sent = world.done(magic=5, comment="sx-5")
    assert (world.positions()[0].magic, world.positions()[0].comment) == (5, "edited by server")
    assert sent.request.comment == "sx-5"


def test_dropped_magic_leaves_the_comment() -> None:
    """Fidelity case 51."""
    world = failing(FaultKind.MAGIC_DROPPED)
    world.done(magic=6, comment="sx-6")
    assert (world.positions()[0].magic, world.positions()[0].comment) == (0, "sx-6")


def story(seed: int) -> tuple[object, ...]:
    """Trade through a tape with every kind of chance, and return all that is left of it."""
    rows = [
        (s / 4, 1.1 + (s * 7919 % 97) / 1e4, 1.1002 + (s * 7919 % 97) / 1e4) for s in range(900)
    ]
    chances = {
        ("order_send", FaultKind.REPLY_LOST): 0.1,
        ("order_send", FaultKind.PIPE_BROKEN): 0.1,
        ("order_send", FaultKind.TIMED_OUT): 0.1,
    }
    world = World(
        tape={"EURUSD": rows},
        latency=Latency(20.0, 300.0, seed),
        slippage=RandomSlippage(2.0, seed),
        faults=FaultPlan(seed, chances),
    )
    assert world.client.tape is not None
    world.client.tape.play(1)
    answers = []
    for step in range(60):
        answers.append(world.send(type=BUY if step % 2 else SELL, magic=step))
        if world.mt5.last_error()[0] != mt5.RES_S_OK:
            answers.append(None)
            world.mt5.initialize()
        world.client.tape.play(3)
    history = world.terminal.server.history
    orders = [str(order) for order in history.orders.values()]
    return answers, history.deals, orders, world.terminal.account()


def test_same_seed_and_ticks_leave_the_same_journal() -> None:
    """Fidelity case 52."""
    assert story(seed=3) == story(seed=3)
    assert story(seed=3) != story(seed=4)


def test_faults_by_chance_repeat_with_their_seed() -> None:
    chances = {("order_send", FaultKind.SLOW): 0.5}
    first, second = (FaultPlan(9, chances) for _ in range(2))
    drawn = [first.next("order_send") for _ in range(30)]
    assert drawn == [second.next("order_send") for _ in range(30)]
    assert 0 < sum(map(bool, drawn)) < 30
