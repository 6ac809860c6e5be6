"""Rollover: the nights that labels are charged for are those of the simulated trade server."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from online.domain.errors import InvalidSettings
from online.domain.market import WEEKDAYS, Instrument
from online.domain.rollover import rollovers
from online.instruments import load_instruments
from online.simulator.rules import TradingRules
from online.simulator.server_time import NEW_YORK_CLOSE, day_of_week


def stamp_ns(*day: int) -> int:
    return int(datetime(*day, tzinfo=UTC).timestamp()) * 1_000_000_000  # type: ignore[misc, arg-type]


def test_the_nights_of_three_years_are_those_of_a_server_that_keeps_new_yorks_close() -> None:
    first_ns, last_ns = stamp_ns(2014, 1, 1), stamp_ns(2017, 1, 1)
    expected, at_ns = [], NEW_YORK_CLOSE.next_midnight_ns(first_ns)
    while at_ns <= last_ns:
        weekday = WEEKDAYS[day_of_week(NEW_YORK_CLOSE.to_server_ns(at_ns) - 1)]
        if weekday not in {"Sat", "Sun"}:
            expected.append((at_ns, 3 if weekday == "Thu" else 1))
        at_ns = NEW_YORK_CLOSE.next_midnight_ns(at_ns)
    assert rollovers(first_ns, last_ns, "Thu") == expected
    assert len(expected) == 783


def test_a_rollover_is_17_oclock_in_new_york_and_its_first_bound_is_outside() -> None:
    winter, summer = stamp_ns(2018, 1, 10, 22), stamp_ns(2018, 7, 11, 21)
    assert rollovers(winter - 1, winter, "Wed") == [(winter, 3)]
    assert rollovers(summer - 1, summer, "Wed") == [(summer, 3)]
    assert rollovers(winter, winter + 1, "Wed") == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"swap_long_points": -1.0},
        {"swap_long_points": -1.0, "swap_short_points": float("nan")},
        {"triple_swap_day": "Sat"},
    ],
)
def test_a_swap_that_cannot_be_is_refused(wrong: dict[str, float | str]) -> None:
    with pytest.raises(InvalidSettings):
        Instrument("EURUSD", "EUR", "USD", 5, 100_000.0, **wrong)  # type: ignore[arg-type]


def test_a_swap_that_nobody_knows_is_told_and_charges_nothing() -> None:
    unknown = Instrument("EURUSD", "EUR", "USD", 5, 100_000.0)
    assert unknown.swap_told.startswith("not known")
    assert TradingRules.of(unknown) == TradingRules()


def test_a_swap_that_was_given_goes_before_what_is_declared() -> None:
    for each in load_instruments().values():
        given = each.swapping((-1.5, 0.25))
        assert (given.swap_long_points, given.swap_short_points) == (-1.5, 0.25)
        assert "(as given)" in given.swap_told
        assert each.swapping(None) is each
    with pytest.raises(InvalidSettings, match="must both be finite"):
        load_instruments()["EURUSD"].swapping((float("nan"), 0.0))


def test_every_declared_swap_names_its_source_and_none_is_credited() -> None:
    for each in load_instruments().values():
        if each.swap_long_points is None or each.swap_short_points is None:
            assert each.symbol == "BTCUSD"
            continue
        assert max(each.swap_long_points, each.swap_short_points) <= 0.0
        assert "published" in each.swap_source
        assert each.swap_source in each.swap_told
        rules = TradingRules.of(each)
        assert rules.swap_points(long=True) == each.swap_long_points
        assert WEEKDAYS[rules.triple_swap_day] == each.triple_swap_day
