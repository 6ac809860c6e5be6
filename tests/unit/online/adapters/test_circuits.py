"""Ports behind circuits: who is asked, what is answered at once, and what an order becomes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from online.adapters.circuits import Circuit, GuardedBroker, GuardedFeatures
from online.adapters.mlflow_rest import DOWN, MlflowRegistry
from online.domain.breaker import Breaker, BreakerRules, BreakerState, CircuitOpen
from online.domain.errors import NotFound, Unavailable
from online.domain.order import OrderStatus
from tests.fake_broker import FakeBroker
from tests.fakes import SECOND_NS, FakeClock, FakeFeatures, make_contract, make_intent

pytestmark = pytest.mark.lean


def make_circuit(*failures: type[Exception]) -> tuple[Circuit, Breaker, FakeClock]:
    breaker, clock = Breaker("it", BreakerRules(failures=3, cool_down_seconds=2.0)), FakeClock()
    return Circuit(breaker, clock, failures or (Unavailable,)), breaker, clock


def test_a_store_that_failed_is_not_asked_until_it_has_cooled_down() -> None:
    circuit, breaker, clock = make_circuit()
    store = FakeFeatures(down=True)
    guarded = GuardedFeatures(store, circuit)

    async def story() -> None:
        for _ in range(3):
            with pytest.raises(Unavailable, match="the store is down"):
                await guarded.read("EURUSD", make_contract())
        store.down = False
        with pytest.raises(CircuitOpen):
            await guarded.read("EURUSD", make_contract())
        clock.time_ns += 2 * SECOND_NS
        assert await guarded.read("EURUSD", make_contract()) == store.reading
        assert breaker.state is BreakerState.CLOSED

    asyncio.run(story())


def test_nobody_queues_up_for_a_system_that_hangs_while_one_call_tries() -> None:
    circuit, breaker, clock = make_circuit()
    hanging = 0

    async def hang() -> None:
        nonlocal hanging
        hanging += 1
        await asyncio.Event().wait()

    async def story() -> None:
        for _ in range(3):
            breaker.fail(clock.time_ns, "no answer")
        clock.time_ns += 2 * SECOND_NS
        calls = [asyncio.create_task(circuit.run(hang)) for _ in range(100)]
        await asyncio.sleep(0)
        refused = [call for call in calls if call.done()]
        assert (len(refused), hanging) == (99, 1)
        assert all(isinstance(call.exception(), CircuitOpen) for call in refused)
        (trial,) = [call for call in calls if not call.done()]
        trial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trial
        assert breaker.state is BreakerState.OPEN

    asyncio.run(story())


def test_an_order_is_known_not_to_be_sent_while_its_broker_is_down() -> None:
    circuit, breaker, clock = make_circuit()
    broker = FakeBroker(down=True)
    guarded = GuardedBroker(broker, circuit)

    async def story() -> None:
        for _ in range(3):
            with pytest.raises(Unavailable):
                await guarded.observe("EURUSD", 0)
        for asked in (guarded.find(make_intent()), guarded.statement(0)):
            with pytest.raises(CircuitOpen):
                await asked
        clock.time_ns += 2 * SECOND_NS
        reply = await guarded.send(make_intent())
        assert reply.status is OrderStatus.NOT_SENT
        assert "CIRCUIT_OPEN" in reply.comment
        assert broker.sent == [], "an order never tries whether a broker is back"
        broker.down = False
        await guarded.observe("EURUSD", 0)
        assert (await guarded.send(make_intent())).status is OrderStatus.FILLED
        assert breaker.state is BreakerState.CLOSED

    asyncio.run(story())


def test_an_answer_that_says_no_is_no_failure() -> None:
    circuit, breaker, _ = make_circuit()

    async def absent() -> None:
        raise NotFound("no such model")

    for _ in range(10):
        with pytest.raises(NotFound):
            asyncio.run(circuit.run(absent))
    assert breaker.state is BreakerState.CLOSED


def test_an_mlflow_that_is_down_is_asked_no_more_and_the_kept_bundle_is_given(
    tmp_path: Path,
) -> None:
    circuit, breaker, _ = make_circuit(*DOWN)
    registry = MlflowRegistry("http://127.0.0.1:1", tmp_path, 1.0, circuit)

    async def story() -> None:
        for _ in range(3):
            with pytest.raises(Unavailable, match="ConnectError"):
                await registry.fetch("EURUSD.H1.barrier", "paper")
        assert breaker.state is BreakerState.OPEN
        with pytest.raises(Unavailable, match="CircuitOpen"):
            await registry.fetch("EURUSD.H1.barrier", "paper")
        with pytest.raises(CircuitOpen):
            await registry.look("EURUSD.H1.barrier", "paper")

    asyncio.run(story())
    assert httpx.HTTPError in DOWN
