"""Trailing stops: only where an operator put them, and only ever in the position's favour."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from online.domain.errors import Conflict, InvalidInput, NotFound
from online.domain.market import Side
from online.domain.order import OrderReply, OrderStatus
from online.domain.pauses import Pauses
from online.domain.record import TrailRecord
from online.domain.trailing import TrailingRule, trail
from online.operate import Carried
from online.trade import run_to_completion
from online.trail import move_stops, put_under_trail
from tests.fakes import EURUSD, make_limits, make_position, make_quote
from tests.floors import TestFloor

pytestmark = pytest.mark.lean
MINUTE_NS = 60_000_000_000
RULE = TrailingRule(0.005, 0.001)


def put(floor: TestFloor, rule: TrailingRule | None, position: int = 1) -> None:
    record = TrailRecord(floor.clock.time_ns, position, "EURUSD", rule, "ann", "a test")
    run_to_completion(put_under_trail(record, floor))


def move(floor: TestFloor, spread_points: float = 30.0) -> tuple[Carried, ...]:
    limits = make_limits(max_quote_age_milliseconds=60_000, max_spread_points=spread_points)
    return run_to_completion(move_stops(floor, limits))


def attempts(floor: TestFloor, seconds: int) -> list[int]:
    """Return the seconds, from 1, at which a stop was asked for while quotes stayed fresh."""
    asked = []
    for second in range(1, seconds + 1):
        floor.quote(1.11, 1.1102)
        if move(floor):
            asked.append(second)
    return asked


def refused_floor() -> TestFloor:
    """Return a floor whose trailed stop the broker refuses to move."""
    floor = TestFloor()
    floor.enter()
    put(floor, RULE)
    floor.broker.refuses = True
    return floor


def test_no_position_is_trailed_that_nobody_put_under_a_rule() -> None:
    floor = TestFloor()
    floor.enter()
    floor.quote(1.11, 1.1102)
    assert move(floor) == ()
    assert floor.held.stop == 1.09


def test_stop_follows_the_market_at_its_distance_and_stays_when_it_turns() -> None:
    floor = TestFloor()
    floor.enter()
    put(floor, RULE)
    stops = []
    for bid in (1.1, 1.1005, 1.105, 1.1055, 1.107, 1.104):
        floor.quote(bid, bid + 0.0002)
        move(floor)
        stops.append(floor.held.stop)
    assert stops == [1.095, 1.095, 1.1, 1.1, 1.102, 1.102]
    assert [record.by for record in floor.operations] == ["trailing rule"] * 3
    assert floor.held.target == 1.12


def test_rule_survives_a_restart_and_ends_with_its_position() -> None:
    floor = TestFloor()
    floor.enter()
    put(floor, RULE)
    floor.restart()
    floor.quote(1.11, 1.1102)
    assert [each.reply.status for each in move(floor) if each.reply] == [OrderStatus.DONE]
    floor.quote(1.104, 1.1042)  # the stop at 1.105 ends it
    assert floor.terminal.positions() == ()
    move(floor)
    assert floor.book.trails == {}
    floor.restart()
    assert floor.book.trails == {}


def test_rule_is_ended_by_who_put_it_and_an_unknown_one_is_not_found() -> None:
    floor = TestFloor()
    floor.enter()
    put(floor, RULE)
    put(floor, None)
    floor.quote(1.11, 1.1102)
    assert move(floor) == ()
    with pytest.raises(NotFound) as refused:
        put(floor, None)
    assert refused.value.code == "NOT_TRAILED"


@pytest.mark.parametrize("way", ["stale", "future", "wide"])
def test_quote_that_is_stale_or_of_the_future_or_wide_moves_nothing(way: str) -> None:
    floor = TestFloor()
    floor.enter()
    put(floor, RULE)
    floor.quote(1.11, 1.1102)
    if way == "stale":
        floor.clock.time_ns += 2 * MINUTE_NS
    if way == "future":
        floor.clock.time_ns -= 1
    assert move(floor, 10.0 if way == "wide" else 30.0) == ()


def test_lost_move_is_not_repeated_until_its_fate_is_known() -> None:
    floor = TestFloor()
    floor.enter()
    put(floor, RULE)
    floor.quote(1.11, 1.1102)
    floor.broker.loses_reply = True
    (first,) = move(floor)
    assert first.reply is not None
    assert first.reply.status is OrderStatus.UNKNOWN
    floor.broker.loses_reply = False
    floor.quote(1.115, 1.1152)
    assert move(floor) == ()
    assert floor.resolve() == 0
    assert len(move(floor)) == 1
    assert floor.held.stop == 1.11


def test_stop_that_is_refused_is_asked_for_after_a_growing_pause() -> None:
    floor = refused_floor()
    assert attempts(floor, 245) == [1, 2, 4, 8, 16, 32, 64, 124, 184, 244]
    assert len(floor.operations) == 10


def test_pauses_survive_a_restart() -> None:
    floor = refused_floor()
    assert attempts(floor, 20) == [1, 2, 4, 8, 16]
    floor.restart()
    assert attempts(floor, 16) == [12]  # 16 s after the last attempt, as if nothing had been
    (record,) = floor.book.trails.values()
    assert floor.book.pauses.seconds(record) == 32


@pytest.mark.parametrize("status", [each for each in OrderStatus if each is not OrderStatus.DONE])
def test_whatever_is_not_carried_out_is_paused(status: OrderStatus) -> None:
    pauses, record = Pauses(), TrailRecord(1, 1, "EURUSD", RULE, "ann", "a test")
    for number in range(3):
        pauses.ask(f"op-{number}", record)
        pauses.hear(f"op-{number}", OrderReply(status, 0, 0, 0, 0, 0.0, 0.0, ""), 0)
    assert pauses.seconds(record) == 4


def test_what_is_told_later_of_a_lost_attempt_is_not_counted_twice() -> None:
    pauses, record = Pauses(), TrailRecord(1, 1, "EURUSD", RULE, "ann", "a test")
    pauses.ask("op-1", record)
    for status in (OrderStatus.UNKNOWN, OrderStatus.UNKNOWN, OrderStatus.REJECTED):
        pauses.hear("op-1", OrderReply(status, 0, 0, 0, 0, 0.0, 0.0, ""), 0)
        assert pauses.seconds(record) == 1
    pauses.ask("op-2", record)
    pauses.hear("op-2", OrderReply(OrderStatus.UNKNOWN, 0, 0, 0, 0, 0.0, 0.0, ""), 0)
    assert pauses.seconds(record) == 2
    pauses.hear("op-2", OrderReply(OrderStatus.DONE, 0, 0, 0, 0, 0.0, 0.0, ""), 0)
    assert pauses.seconds(record) == 0


def test_pause_ends_with_a_stop_that_is_moved() -> None:
    floor = refused_floor()
    attempts(floor, 10)
    floor.broker.refuses = False
    assert attempts(floor, 10) == [6]
    assert floor.held.stop == 1.105
    floor.broker.refuses = True
    asked = []
    for second in range(1, 5):
        floor.quote(1.115, 1.1152)
        if move(floor):
            asked.append(second)
    assert asked == [1, 2, 4]


def test_new_rule_is_asked_for_at_once() -> None:
    floor = refused_floor()
    attempts(floor, 40)
    put(floor, RULE)
    assert attempts(floor, 4) == [1, 2, 4]


def test_clock_that_is_set_back_does_not_prolong_a_pause() -> None:
    floor = refused_floor()
    attempts(floor, 1)
    (record,) = floor.book.trails.values()
    assert floor.book.pauses.seconds(record) == 1
    assert not floor.book.pauses.are_over(record, floor.clock.time_ns)
    assert floor.book.pauses.are_over(record, floor.clock.time_ns - MINUTE_NS)


def test_pause_of_a_position_that_is_trailed_no_more_is_forgotten() -> None:
    floor = refused_floor()
    attempts(floor, 10)
    (record,) = floor.book.trails.values()
    put(floor, None)
    move(floor)
    assert floor.book.pauses.seconds(record) == 0


@pytest.mark.parametrize(("distance", "step"), [(0.0, 0.0), (-1.0, 0.0), (float("nan"), 0.0),
                                                (0.01, -1.0), (0.01, float("inf"))])  # fmt: skip
def test_rule_that_cannot_be_is_refused(distance: float, step: float) -> None:
    with pytest.raises(InvalidInput):
        TrailingRule(distance, step)


def test_distance_below_the_brokers_least_is_refused() -> None:
    floor = TestFloor()
    floor.enter()
    with pytest.raises(Conflict):
        put(floor, TrailingRule(0.000001))


POINTS = st.integers(100_000, 120_000)


@given(
    side=st.sampled_from(Side),
    stop=st.one_of(st.just(0), POINTS),
    distance=st.integers(1, 5_000),
    step=st.integers(0, 500),
    path=st.lists(st.tuples(POINTS, st.integers(0, 50)), max_size=20),
)
def test_stop_never_moves_against_the_position(
    side: Side, stop: int, distance: int, step: int, path: list[tuple[int, int]]
) -> None:
    rule, scale = TrailingRule(distance / 1e5, step / 1e5), EURUSD.scale
    position = make_position(side=side, stop=stop / scale)
    for bid_points, spread in path:
        quote = make_quote(bid_points / scale, (bid_points + spread) / scale)
        moved = trail(position, quote, rule, EURUSD)
        if moved is None:
            continue
        if position.stop:
            gained_points = side.sign * (moved - position.stop) * scale
            assert gained_points >= max(step, 1) - 1e-3
        away_points = side.sign * (quote.price_to_close(side) - moved) * scale
        assert away_points == pytest.approx(distance, abs=0.51)
        position = make_position(side=side, stop=moved)
