"""A breaker: when it opens, whom it lets try, and what closes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from online.domain.breaker import Breaker, BreakerRules, BreakerState, CircuitOpen
from online.domain.errors import InvalidSettings

pytestmark = pytest.mark.lean
SECOND_NS = 1_000_000_000


def broken() -> Breaker:
    """Return one that opened at 0 and has cooled down at two seconds."""
    breaker = Breaker("store", BreakerRules(failures=3, cool_down_seconds=2.0))
    for _ in range(3):
        breaker.enter(0)
        breaker.fail(0, "no route to host")
    return breaker


def test_it_opens_after_failures_in_a_row_and_says_why() -> None:
    breaker = broken()
    assert (breaker.state, breaker.opened) == (BreakerState.OPEN, 1)
    with pytest.raises(CircuitOpen, match=r"store failed 3 times in a row .*no route") as refused:
        breaker.enter(2 * SECOND_NS - 1)
    assert refused.value.code == "CIRCUIT_OPEN"


def test_a_success_between_failures_starts_the_count_again() -> None:
    breaker = Breaker("store", BreakerRules(failures=2))
    for _ in range(5):
        breaker.fail(0, "late")
        breaker.succeed()
    assert (breaker.state, breaker.trouble) == (BreakerState.CLOSED, "")


def test_when_it_has_cooled_down_one_call_tries_and_the_others_are_refused() -> None:
    breaker = broken()
    breaker.enter(2 * SECOND_NS)
    assert breaker.state == "half_open"
    with pytest.raises(CircuitOpen, match="is being tried"):
        breaker.enter(2 * SECOND_NS)
    breaker.succeed()
    breaker.enter(2 * SECOND_NS)
    assert breaker.state == "closed"


def test_a_clock_that_is_set_back_keeps_nobody_out_for_longer() -> None:
    breaker = broken()
    breaker.enter(-3_600 * SECOND_NS)
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.fail(-3_600 * SECOND_NS, "still down")
    with pytest.raises(CircuitOpen):
        breaker.enter(-3_600 * SECOND_NS + 1)


def test_a_trial_that_fails_opens_it_for_as_long_again() -> None:
    breaker = broken()
    breaker.enter(5 * SECOND_NS)
    breaker.fail(6 * SECOND_NS, "still down")
    with pytest.raises(CircuitOpen, match="still down"):
        breaker.enter(8 * SECOND_NS - 1)
    breaker.enter(8 * SECOND_NS)
    assert (breaker.state, breaker.opened) == (BreakerState.HALF_OPEN, 1)


def test_a_trial_that_was_given_up_is_no_answer() -> None:
    breaker = broken()
    breaker.enter(2 * SECOND_NS)
    breaker.abandon(2 * SECOND_NS)
    assert breaker.state is BreakerState.OPEN


def test_failures_of_calls_begun_before_it_opened_do_not_lengthen_its_rest() -> None:
    breaker = broken()
    breaker.fail(SECOND_NS, "late")
    breaker.enter(2 * SECOND_NS)
    assert breaker.state is BreakerState.HALF_OPEN


@pytest.mark.parametrize("wrong", [{"failures": 0}, {"cool_down_seconds": 0.0}])
def test_rules_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidSettings):
        BreakerRules(**wrong)  # type: ignore[arg-type]  # that is the test


@given(st.lists(st.sampled_from(["succeed", "fail", "enter", "pass"]), max_size=60))
def test_whatever_happens_at_most_one_call_tries_and_a_success_closes_it(steps: list[str]) -> None:
    breaker, now_ns = Breaker("store", BreakerRules(failures=2, cool_down_seconds=1.0)), 0
    for step in steps:
        before = breaker.state
        match step:
            case "pass":
                now_ns += SECOND_NS
            case "succeed":
                breaker.succeed()
                assert breaker.state is BreakerState.CLOSED
            case "fail":
                breaker.fail(now_ns, "down")
                assert breaker.state is not BreakerState.HALF_OPEN
            case "enter":
                try:
                    breaker.enter(now_ns)
                except CircuitOpen:
                    assert before is not BreakerState.CLOSED
                else:
                    assert before is not BreakerState.HALF_OPEN


def test_an_outage_is_two_changes_however_often_it_is_tried_meanwhile() -> None:
    breaker = Breaker("store", BreakerRules(failures=3, cool_down_seconds=2.0))
    told: list[tuple[str, str]] = []
    breaker.on_change = lambda it: told.append((it.state, it.trouble))
    for second in range(100):
        try:
            breaker.enter(second * SECOND_NS)
        except CircuitOpen:
            continue
        breaker.fail(second * SECOND_NS, f"down at {second}")
    assert told == [("open", "down at 2")]
    breaker.enter(200 * SECOND_NS)
    breaker.succeed()
    breaker.succeed()
    assert told == [("open", "down at 2"), ("closed", "")]
