"""A desk for tests, and everything behind it within reach."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import msgspec

from online.domain.account import Deal
from online.domain.book import Book
from online.domain.market import Side, Timeframe
from online.domain.record import (
    Request,
)
from online.trade import Desk, Outcome, consider, run_to_completion
from tests.fake_broker import FakeBroker
from tests.fakes import (
    BAR_NS,
    HOUR_NS,
    INSTRUMENTS,
    FakeClock,
    FakeFeatures,
    FakeJournal,
    FakeModel,
    make_limits,
    make_quote,
    make_reading,
)

NAN = math.nan
DAY_NS = 24 * HOUR_NS


class World:
    """A desk and everything behind it, within reach."""

    def __init__(self, **changes: Any) -> None:  # noqa: ANN401 - any field of the desk
        self.broker = FakeBroker()
        self.features = FakeFeatures()
        self.journal = FakeJournal()
        self.clock = FakeClock()
        self.model = FakeModel()
        desk = Desk(
            features=self.features,
            broker=self.broker,
            journal=self.journal,
            clock=self.clock,
            model=self.model,
            limits=make_limits(),
            instruments=INSTRUMENTS,
            book=Book(),
        )
        self.desk = replace(desk, **changes)

    def ask(self, bar_ns: int = BAR_NS, *, send: bool = True, **changes: Any) -> Outcome:  # noqa: ANN401
        """Ask about a bar, at its close, with everything fresh."""
        request = Request("EURUSD", Timeframe.H1, bar_ns, send)
        return run_to_completion(consider(msgspec.structs.replace(request, **changes), self.desk))

    def move(self, bar_ns: int) -> None:
        """Let a bar close: clock, quote and features are of that bar."""
        self.clock.time_ns = bar_ns
        self.broker.quote = make_quote(at_ns=bar_ns)
        self.features.reading = make_reading(stamps_ns=(bar_ns, bar_ns))


def codes(outcome: Outcome) -> list[str]:
    """Return every reason code of a decision."""
    record = outcome.record
    return [veto.reason.value for veto in (*record.decision.reasons, *record.vetoes)]


def deal(ticket: int, profit: float = 1.0) -> Deal:
    """Return a fill that closed something."""
    return Deal(
        ticket,
        1,
        1,
        0,
        "EURUSD",
        Side.SELL,
        False,  # noqa: FBT003 - in the order of the struct
        "stop",
        0.1,
        1.1,
        BAR_NS,
        profit,
        -1.0,
    )
