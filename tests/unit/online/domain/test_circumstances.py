"""Circumstances: clocks, hours, weekend, news, model and spread, each at its edge."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from online.domain.circumstances import judge_moment, judge_quote
from online.domain.market import NANOSECONDS_PER_SECOND, Instrument
from online.domain.news import Impact, NewsEvent
from online.domain.reasons import Veto
from online.domain.trading_hours import is_traded, is_weekend_near, parse_hours
from tests.fakes import BAR_NS, EURUSD, HOUR_NS, make_facts, make_limits, make_quote

pytestmark = pytest.mark.lean
MILLISECOND_NS = 1_000_000
BITCOIN = Instrument("BTCUSD", "BTC", "USD", 2, 1.0, hours=("Sun 00:00-Sat 24:00",))


def at(text: str) -> int:
    """Return an instant of UTC, nanoseconds."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(moment.timestamp()) * NANOSECONDS_PER_SECOND


def codes(vetoes: tuple[Veto, ...]) -> set[str]:
    """Return the reason codes of vetoes."""
    return {veto.reason.value for veto in vetoes}


def moment(now_ns: int = BAR_NS, limits: dict[str, Any] | None = None, **facts: Any) -> set[str]:  # noqa: ANN401
    """Judge a moment that is fresh but for what is changed."""
    told = {"now_ns": now_ns, "told_at_ns": now_ns, "signal_at_ns": now_ns, **facts}
    return codes(judge_moment(EURUSD, make_facts(**told), make_limits(**(limits or {}))))


@pytest.mark.parametrize(
    ("skew_milliseconds", "expected"),
    [(0, set()), (500, set()), (-500, set()), (501, {"CLOCK_SKEW"}), (-501, {"CLOCK_SKEW"})],
)
def test_clocks_that_differ_by_more_than_the_limit_are_vetoed(
    skew_milliseconds: int, expected: set[str]
) -> None:
    told_at_ns = BAR_NS + skew_milliseconds * MILLISECOND_NS
    limits = {"max_clock_skew_milliseconds": 500}
    assert moment(limits=limits, told_at_ns=told_at_ns) == expected


def test_a_broker_that_tells_no_clock_is_vetoed() -> None:
    assert moment(told_at_ns=None) == {"CLOCK_SKEW"}


@pytest.mark.parametrize(
    ("age_seconds", "expected"),
    [(-1, {"SIGNAL_TOO_OLD"}), (0, set()), (60, set()), (61, {"SIGNAL_TOO_OLD"})],
)
def test_a_signal_is_too_old_beyond_its_limit_and_from_the_future(
    age_seconds: int, expected: set[str]
) -> None:
    signal_at_ns = BAR_NS - age_seconds * NANOSECONDS_PER_SECOND
    assert moment(limits={"max_signal_age_seconds": 60}, signal_at_ns=signal_at_ns) == expected


def test_a_model_that_is_not_listed_is_vetoed() -> None:
    listed = {"allowed_models": ("EURUSD.H1.barrier@bb",)}
    assert moment(limits=listed) == {"MODEL_NOT_ALLOWED"}
    assert moment(limits=listed, model_sha256="b" * 64) == set()


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("2017-10-06T20:59:59", True),  # summer: New York's 17:00 is 21:00 UTC
        ("2017-10-06T21:00:00", False),
        ("2017-10-08T20:59:59", False),
        ("2017-10-08T21:00:00", True),
        ("2017-11-10T21:59:59", True),  # winter
        ("2017-11-10T22:00:00", False),
        ("2017-11-12T22:00:00", True),
    ],
)
def test_a_symbol_is_entered_only_while_its_week_is_open(
    text: str,
    is_open: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert moment(at(text)) == (set() if is_open else {"SESSION_CLOSED"})


@pytest.mark.parametrize(
    ("text", "hours", "near"),
    [
        ("2017-10-06T16:59:59", 4.0, False),
        ("2017-10-06T17:00:00", 4.0, False),
        ("2017-10-06T17:00:01", 4.0, True),
        ("2017-10-06T20:59:59", 4.0, True),
        ("2017-10-05T20:00:00", 4.0, False),
        ("2017-10-06T20:59:59", 0.0, False),
        ("2017-10-07T20:00:00", 4.0, False),  # it has passed: the session is closed
    ],
)
def test_no_entry_is_made_within_the_hours_before_the_weekend(
    text: str,
    hours: float,
    near: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert is_weekend_near(EURUSD.hours, at(text), hours) is near
    found = moment(at(text), {"no_entry_before_weekend_hours": hours})
    assert ("WEEKEND_NEAR" in found) is near


def test_what_is_traded_around_the_clock_has_no_weekend() -> None:
    assert not is_weekend_near(BITCOIN.hours, at("2017-10-06T20:59:59"), 100.0)


@pytest.mark.parametrize(
    ("impact", "least", "expected"),
    [
        (Impact.HIGH, Impact.HIGH, {"NEWS_BLACKOUT"}),
        (Impact.MEDIUM, Impact.HIGH, set()),
        (Impact.MEDIUM, Impact.LOW, {"NEWS_BLACKOUT"}),
    ],
)
def test_an_event_of_enough_impact_stops_entries(
    impact: Impact, least: Impact, expected: set[str]
) -> None:
    event = NewsEvent(BAR_NS, BAR_NS + HOUR_NS, "USD", impact, "Payrolls")
    assert moment(limits={"news_impact": least}, news=(event,)) == expected


def test_a_calendar_that_is_too_old_stops_entries() -> None:
    assert moment(news=None) == {"NEWS_UNAVAILABLE"}


@pytest.mark.parametrize(("ratio", "expected"), [(1.0, set()), (0.9, {"SPREAD_TOO_WIDE"})])
def test_a_spread_is_measured_against_the_typical_one(ratio: float, expected: set[str]) -> None:
    limits = make_limits(max_spread_ratio=ratio)
    assert codes(judge_quote(make_quote(), EURUSD, limits, BAR_NS)) == expected


def test_an_instrument_without_a_typical_spread_is_not_entered() -> None:
    unknown = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0)
    found = judge_quote(make_quote(), unknown, make_limits(), BAR_NS)
    assert codes(found) == {"TYPICAL_SPREAD_UNKNOWN"}


def test_facts_survive_the_journal_as_they_were() -> None:
    facts = make_facts()
    assert msgspec.json.decode(msgspec.json.encode(facts), type=type(facts)) == facts


@pytest.mark.parametrize(
    "hours", [("Sun 17:00-Fri 17:00",), ("Mon 09:30-Mon 16:15", "Tue 09:30-Sat 24:00")]
)
def test_what_is_kept_of_an_hour_says_of_every_minute_what_the_week_says(
    hours: tuple[str, ...],
) -> None:
    week, minute_ns = parse_hours(hours), 60 * NANOSECONDS_PER_SECOND
    begin_ns = 1_520_000_000 * NANOSECONDS_PER_SECOND  # the week in which New York's clocks change
    for minute in range(0, 10 * 1_440, 5):
        now_ns = begin_ns + minute * minute_ns
        assert is_traded(hours, now_ns) is week.is_open(now_ns), minute
