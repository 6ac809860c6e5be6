"""Operations of a running scorer: what it asks of whom, one at a time with its trades."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from online.api.metrics import Meters
from online.api.operating import Operating
from online.api.order_messages import DistanceUnit, TrailRequest
from online.domain.errors import InvalidInput, Unavailable
from online.domain.limits import Limits
from online.domain.operation import Close
from online.domain.order import OrderStatus
from online.operate import Wish
from online.ports import FeatureReader
from tests.fakes import FakeFeatures, FakeModel, make_limits, make_manifest, make_reading
from tests.floors import TestFloor

pytestmark = pytest.mark.lean


class Room(TestFloor):
    """A floor with what a scorer has besides."""

    currency = "USD"

    def __init__(self) -> None:
        super().__init__()
        self.features: FeatureReader = FakeFeatures()
        self.limits: Limits = make_limits()


@dataclass
class Running:
    """A room with one open position, and the operations in it."""

    room: Room = field(default_factory=Room)
    resolved: int = 0
    model: FakeModel = field(default_factory=FakeModel)

    def __post_init__(self) -> None:
        self.room.enter()
        self.operating = Operating(
            self.room, Meters(), asyncio.Lock(), self._resolve, lambda: self.model
        )

    async def _resolve(self) -> None:
        self.resolved += 1

    def trail(self, distance: float | None, unit: DistanceUnit = DistanceUnit.PRICE) -> None:
        asked = TrailRequest(position=1, distance=distance, unit=unit, note="a test")
        asyncio.run(self.operating.put_under_trail(asked, "ann"))


def test_evidence_is_looked_for_before_anything_is_done() -> None:
    running = Running()
    reply = asyncio.run(running.operating.operate(Wish("one", Close(1), "ann")))
    assert (reply.status, running.resolved) == (OrderStatus.FILLED, 1)


def test_distance_in_volatility_is_fixed_in_price_when_the_rule_is_made() -> None:
    running = Running()
    running.trail(4.0, DistanceUnit.ATR)
    (record,) = running.room.book.trails.values()
    assert record.rule is not None
    assert (record.rule.distance, record.unit) == (0.005, 0.00125)
    assert running.room.held.stop == 1.095  # it is moved at once


def test_volatility_of_another_symbol_or_none_at_all_is_refused() -> None:
    running = Running(model=FakeModel(manifest=make_manifest(symbol="USDJPY")))
    with pytest.raises(InvalidInput) as refused:
        running.trail(1.0, DistanceUnit.ATR)
    assert refused.value.code == "NO_UNIT"
    running = Running()
    running.room.features = FakeFeatures(make_reading((55.0, 0.0, None, 0.5)))
    with pytest.raises(Unavailable, match="state the distance in price"):
        running.trail(1.0, DistanceUnit.ATR)


def test_trailing_is_ended_while_the_broker_is_out_of_reach() -> None:
    running = Running()
    running.trail(0.005)
    running.room.broker.down = True
    running.trail(None)
    assert running.room.book.trails == {}


def test_stop_that_cannot_be_moved_now_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    running = Running()
    running.trail(0.005)
    running.room.quote(1.11, 1.1102)
    running.room.broker.down = True
    asyncio.run(running.operating.move_stops())
    assert "a stop was not moved: the terminal is down" in caplog.text
    running.room.broker.down = False
    asyncio.run(running.operating.move_stops())
    assert running.room.held.stop == 1.105


def test_stop_that_the_broker_refuses_is_left_alone_for_a_while_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    running = Running()
    running.trail(0.005)
    running.room.broker.refuses = True
    for _ in range(20):
        running.room.quote(1.11, 1.1102)
        asyncio.run(running.operating.move_stops())
    told = [message for message in caplog.messages if "asked again" in message]
    assert [message.rpartition("in ")[2] for message in told] == [
        "1 s",
        "2 s",
        "4 s",
        "8 s",
        "16 s",
    ]
    assert told[0].startswith("the stop of position 1 was not moved: rejected 10027 AutoTrading")
    assert len(running.room.operations) == 6  # one of them moved it


def test_stops_go_on_moving_after_a_fault_that_nobody_foresaw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running, calls = Running(), 0

    async def fail_once() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ValueError("not foreseen")
        raise asyncio.CancelledError

    monkeypatch.setattr("online.api.operating.TRAIL_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(running.operating, "move_stops", fail_once)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(running.operating.keep_moving_stops())
    assert calls == 2


def test_profit_is_stated_at_the_brokers_prices() -> None:
    running = Running()
    told = asyncio.run(running.operating.state_profit())
    assert told.differences is not None
    (found,) = told.differences  # its deal is not on record yet
    assert (found.journal_lots, found.broker_lots) == (0.0, 0.1)
    assert told.told_unrealised == pytest.approx(-2.0)
