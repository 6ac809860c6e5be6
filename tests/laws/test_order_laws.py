"""Laws of orders: whatever is asked, lost or ended, each is sent once and none is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from online.domain.errors import Conflict, InvalidInput, NotFound, Unavailable
from online.domain.operation import Cancel, Close, Modify, Operation
from online.domain.order import OrderKind, OrderStatus, Purpose
from online.domain.order_state import ENDED, RESTING, Stage
from online.domain.orders import Order
from online.domain.record import TrailRecord
from online.domain.trailing import TrailingRule
from online.resolve import Statement, resolve_by_hand
from online.trade import run_to_completion
from online.trail import move_stops, put_under_trail
from tests.fakes import EURUSD, make_limits
from tests.floors import Died, TestFloor

pytestmark = pytest.mark.lean
REFUSED = (NotFound, InvalidInput, Conflict, Unavailable)
ENTRY_LOTS = st.integers(4, 12).map(lambda steps: steps / 100)
CLOSE_LOTS = st.one_of(st.just(0.0), st.integers(1, 14).map(lambda steps: steps / 100))
PLACE = st.integers(0, 9)
"""Which of what is there: the place, counted around; the last names something that never was."""
FAILURES = ("loses_order", "loses_reply", "dies_before", "dies_after", "down")
FAILURE = st.one_of(st.just(""), st.sampled_from(FAILURES))
MOST_POSITIONS = 4
NOWHERE = 10_000


def _pick(place: int, tickets: list[int]) -> int:
    return NOWHERE if not tickets or place == 9 else tickets[place % len(tickets)]


class OrderLaws(RuleBasedStateMachine):
    """An operator, a strategy, a market, a failing link and a process that dies."""

    def __init__(self) -> None:
        super().__init__()
        self.floor = TestFloor()
        self.asked = 0
        self.bid_points = 110_000
        self.operations: list[tuple[str, Operation]] = []

    @initialize()
    def two_positions_are_open(self) -> None:
        for _ in range(2):
            self.floor.enter(volume_lots=0.1)

    @rule(points=st.integers(-300, 300))
    def the_market_moves(self, points: int) -> None:
        self.bid_points += points
        bid = self.bid_points / EURUSD.scale
        self.floor.quote(bid, round(bid + 0.0002, 5))

    @precondition(lambda self: len(self.floor.terminal.positions()) < MOST_POSITIONS)
    @rule(lots=ENTRY_LOTS, rests=st.booleans(), failure=FAILURE)
    def a_decision_enters(self, lots: float, failure: str, *, rests: bool) -> None:
        bid = self.bid_points / EURUSD.scale
        exits = {"stop": round(bid - 0.01, 5), "target": round(bid + 0.02, 5)}
        price = round(bid - 0.001, 5)
        resting = {"kind": OrderKind.LIMIT, "price": price} if rests else {}
        self._survive(lambda: self.floor.enter(volume_lots=lots, **exits, **resting), failure)

    @rule(place=PLACE, lots=CLOSE_LOTS, failure=FAILURE)
    def an_operator_closes(self, place: int, lots: float, failure: str) -> None:
        self._operate(Close(self._position(place), lots), failure)

    @rule(place=PLACE, points=st.integers(10, 900), failure=FAILURE)
    def an_operator_moves_exits(self, place: int, points: int, failure: str) -> None:
        bid = self.bid_points / EURUSD.scale
        self._operate(
            Modify(self._position(place), round(bid - points / EURUSD.scale, 5), 0.0), failure
        )

    @precondition(lambda self: self.floor.terminal.server.pending.resting)
    @rule(place=PLACE, failure=FAILURE)
    def an_operator_cancels(self, place: int, failure: str) -> None:
        resting = list(self.floor.terminal.server.pending.resting)
        self._operate(Cancel(_pick(place, resting)), failure)

    @precondition(lambda self: self.operations)
    @rule(data=st.data(), failure=FAILURE)
    def the_same_is_asked_again(self, data: st.DataObject, failure: str) -> None:
        name, operation = data.draw(st.sampled_from(self.operations))
        before = self.floor.broker.reached[f"op-{name}"]
        self._survive(lambda: self.floor.operate(name, operation), failure)
        assert self.floor.broker.reached[f"op-{name}"] <= max(before, 1)

    @rule(place=PLACE)
    def an_operator_trails(self, place: int) -> None:
        position = self._position(place)
        if position != NOWHERE:
            rule_ = TrailingRule(0.002, 0.0005)
            record = TrailRecord(self.floor.clock.time_ns, position, "EURUSD", rule_, "ann", "")
            run_to_completion(put_under_trail(record, self.floor))

    @rule(failure=FAILURE)
    def trailed_stops_move(self, failure: str) -> None:
        trailed = self.floor.book.trails
        before = {p.ticket: (p.side, p.stop) for p in self.floor.terminal.positions()}
        limits = make_limits(max_spread_points=100.0)
        self._survive(lambda: run_to_completion(move_stops(self.floor, limits)), failure)
        for held in self.floor.terminal.positions():
            side, stop = before[held.ticket]
            if held.stop != stop:
                assert held.ticket in trailed
                assert side.sign * (held.stop - stop) > 0.0

    @rule(failure=FAILURE)
    def evidence_is_looked_for(self, failure: str) -> None:
        self._survive(self.floor.resolve, failure)

    @rule()
    def an_operator_states_what_never_arrived(self) -> None:
        self.floor.resolve()
        for order in self.floor.book.orders.pending:
            name = order.intent.intent_id
            assert name not in self.floor.broker.reached  # there was evidence of what arrived
            word = Statement(name, OrderStatus.NOT_SENT, "ann", "no trace of it")
            run_to_completion(resolve_by_hand(word, self.floor))

    @rule()
    def the_process_ends_and_starts_again(self) -> None:
        self.floor.restart()

    @invariant()
    def no_order_reaches_the_terminal_twice(self) -> None:
        assert set(self.floor.broker.reached.values()) <= {1}

    @invariant()
    def no_position_is_closed_beyond_its_volume(self) -> None:
        left: Counter[int] = Counter()
        for deal in self.floor.terminal.deals_after(0):
            steps = round(deal.volume_lots * 100)
            left[deal.position] += steps if deal.entry else -steps
        assert min(left.values(), default=0) >= 0

    @invariant()
    def nothing_reaches_the_terminal_that_was_not_journaled(self) -> None:
        orders = self.floor.book.orders
        assert all(orders.find(name) is not None for name in self.floor.broker.reached)

    def teardown(self) -> None:
        """Mend everything: each order that arrived has its fate, and it is the terminal's."""
        floor = self.floor
        floor.restart()
        floor.resolve()
        self.an_operator_states_what_never_arrived()
        filled = Counter[str]()
        for deal in floor.terminal.server.history.deals:
            filled[deal.comment] += round(deal.volume * 100)
        for order in floor.book.orders.newest(1_000):
            self._compare(order, filled[order.intent.comment])
        floor.journal.verify()

    def _compare(self, order: Order, filled_steps: int) -> None:
        stage, intent = order.state.stage, order.intent
        assert stage in ENDED | RESTING
        if not intent.trades:
            return
        if stage is Stage.FILLED:
            assert filled_steps == round(intent.volume_lots * 100)
        else:
            assert filled_steps == 0
        if intent.intent_id in self.floor.broker.reached and intent.purpose is Purpose.CLOSE:
            assert stage in {Stage.FILLED, Stage.REJECTED}

    def _position(self, place: int) -> int:
        return _pick(place, [held.ticket for held in self.floor.terminal.positions()])

    def _operate(self, operation: Operation, failure: str) -> None:
        self.asked += 1
        name = f"n{self.asked}"
        self.operations.append((name, operation))
        self._survive(lambda: self.floor.operate(name, operation), failure)

    def _survive(self, story: Callable[[], object], failure: str) -> None:
        """Do it while something fails; a process that dies starts again."""
        if failure:
            setattr(self.floor.broker, failure, True)
        try:
            story()
        except REFUSED:
            pass  # an answer
        except Died:
            self.floor.restart()
        finally:
            if failure:
                setattr(self.floor.broker, failure, False)


OrderLaws.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestOrderLaws = OrderLaws.TestCase
