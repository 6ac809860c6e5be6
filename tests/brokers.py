"""Every broker behind the port, each on an account that quotes EURUSD 1.1 to 1.1002 and is flat."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from online.adapters.simulated_broker import SimulatedBroker
from online.domain.market import Instrument, Quote
from online.domain.order import Intent, OrderReply, OrderStatus
from online.ports import AccountBroker, Observation
from online.simulator.terminal import SimulatedTerminal
from tests.gateway_world import closing, entry, running_terminal, running_world

T = TypeVar("T")
EURUSD = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0)
HEDGING, NETTING = "gateway", "netting gateway"
KINDS = (
    *("simulated", "netting"),
    pytest.param(HEDGING, marks=pytest.mark.integration),
    pytest.param(NETTING, marks=pytest.mark.integration),
)
"""On hedging and netting accounts; a gateway is reached over TLS, its terminal is a process."""


class Runner:
    """Drives a broker's answers, whether they wait or not."""

    loop = asyncio.new_event_loop()

    def __call__(self, story: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(story)


run = Runner()


@dataclass(frozen=True)
class Standing:
    """A broker, flat, and what moves its market.

    Orders are made by number; `first` keeps those of one test apart from another's.
    """

    broker: AccountBroker
    quote: Callable[[float, float], object]
    first: int = 0
    last_deal: int = 0

    def entry(self, number: int, **changes: Any) -> Intent:  # noqa: ANN401 - fields of Intent
        return entry(self.first + number, **changes)

    def closing(self, number: int, opened: Intent, position: int) -> Intent:
        return closing(self.first + number, opened, position)

    def send(self, intent: Intent) -> OrderReply:
        return run(self.broker.send(intent))

    def fate(self, intent: Intent) -> OrderStatus | None:
        found = run(self.broker.find(intent))
        return None if found is None else found.status

    def observe(self) -> Observation:
        return run(self.broker.observe("EURUSD", self.last_deal))


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[Callable[[], Standing]]:
    """Open a kind of broker; what it yields gives each test one that is flat."""
    if kind not in {HEDGING, NETTING}:
        yield lambda: _in_process(hedging=kind == "simulated")
        return
    terminal = running_terminal(hedging=kind == HEDGING)
    with terminal as process, running_world(folder, process, absence=60.0) as world:
        run(world.ready())
        gateway, firsts = world.broker(), itertools.count(0, 100)

        def quote(bid: float, ask: float) -> None:
            process.order("quote", bid=bid, ask=ask)

        def flatten() -> Standing:
            last_deal = process.order("flatten")
            quote(1.1, 1.1002)
            return Standing(gateway, quote, next(firsts), last_deal)

        yield flatten
        run(gateway.close())


def _in_process(*, hedging: bool) -> Standing:
    terminal = SimulatedTerminal([EURUSD], hedging=hedging)

    def quote(bid: float, ask: float) -> None:
        terminal.on_quote(Quote("EURUSD", bid, ask, terminal.now_ns + 2))

    quote(1.1, 1.1002)
    return Standing(SimulatedBroker(terminal), quote)
