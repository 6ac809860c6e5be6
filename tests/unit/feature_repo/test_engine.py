from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from feature_repo.anchors import WARM_UP_BARS, periods, quarter_end_ns, quarter_of
from feature_repo.bars import BarArrays
from feature_repo.catalogue import CATALOGUE, available, select
from feature_repo.clock import Clock
from feature_repo.engine import FeatureStream, Program, compute_batch, require_inputs
from feature_repo.expression import CLOSE, CLOSED_AT, HIGH, LOW, exceeds, lag, maximum, minimum
from feature_repo.feature import Feature, Group
from online.domain.errors import InvalidInput, InvalidMarketData, NotFound
from tests.laws.feature_data import HOUR_NS, random_bars


def at_ns(text: str) -> int:
    return int(np.datetime64(text, "ns").astype(np.int64))


def test_a_bar_closing_at_midnight_belongs_to_the_quarter_it_was_made_in() -> None:
    midnight = at_ns("2017-10-01T00:00")
    assert quarter_of(midnight) + 1 == quarter_of(midnight + 1)
    assert quarter_end_ns(quarter_of(midnight)) == midnight


def test_a_quarter_is_anchored_the_warm_up_before_its_first_bar() -> None:
    bars = random_bars(2600, seed=1)
    found = list(periods(bars.closed_at_ns))
    assert found[0].anchor == 0
    assert found[-1].anchor == found[-1].start - WARM_UP_BARS
    assert [p.label for p in found] == ["2019-Q4", "2020-Q1", "2020-Q2"]


def test_no_bars_have_no_quarter() -> None:
    assert list(periods(np.array([], dtype=np.int64))) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"close": np.array([1.0, np.nan])}, "finite"),
        ({"close": np.array([1.0, -1.0])}, "finite"),
        ({"closed_at_ns": np.array([2, 2])}, "increasing"),
        ({"high": np.array([1.0])}, "shapes"),
        ({"volume": np.array([1.0, np.nan])}, "volume"),
    ],
)
def test_bars_that_cannot_be_are_refused(change: dict[str, Any], message: str) -> None:
    one = np.ones(2)
    good = BarArrays(np.array([1, 2]), one, one, one, one, one)
    with pytest.raises(InvalidMarketData, match=message):
        dataclasses.replace(good, **change)


def test_a_volume_of_zero_throughout_is_no_input() -> None:
    one = np.ones(2)
    for volume in (np.zeros(2), np.full(2, np.nan)):
        bars = BarArrays(np.array([1, 2]), one, one, one, one, volume)
        assert "volume" not in bars.inputs


def test_a_feature_without_its_input_is_refused_by_name() -> None:
    needy = Feature("needy", "Needs volume.", "test", lag(CLOSE, 1), Group.VOLUME)
    with pytest.raises(NotFound, match="needy") as refusal:
        require_inputs([needy], frozenset({"open"}))
    assert refusal.value.code == "FEATURE_INPUT_ABSENT"


def test_a_bar_that_is_not_newer_is_refused() -> None:
    bars = random_bars(40, seed=2)
    stream = FeatureStream(bars, select(["rsi_14"]))
    with pytest.raises(InvalidMarketData) as refusal:
        stream.update(bars.bar(39))
    assert refusal.value.code == "BAR_NOT_NEWER"


def test_a_stream_names_its_places_in_the_catalogues_order() -> None:
    bars = random_bars(40, seed=2)
    stream = FeatureStream(bars, select(["atr_14", "rsi_14"]))
    assert stream.names == ("rsi_14", "atr_14")


def test_looking_ahead_cannot_be_written() -> None:
    with pytest.raises(InvalidInput, match="at least one bar"):
        lag(CLOSE, -1)


def test_equal_formulas_are_computed_once() -> None:
    program = Program(CATALOGUE)
    assert len({node.text for node in program.nodes}) == len(program.nodes)


def test_batch_covers_several_quarters_and_refuses_no_bar() -> None:
    bars = random_bars(2600, seed=3)
    values = compute_batch(bars, available(bars.inputs))
    assert all(v.dtype == np.float32 and v.shape == (2600,) for v in values.values())


@pytest.mark.parametrize("word", [maximum, minimum, exceeds])
def test_choosing_words_agree_between_arrays_and_numbers(word: object) -> None:
    node = word(HIGH, LOW)  # type: ignore[operator] # each takes two nodes
    first = np.array([1.0, 2.0, np.nan, 1.0, -0.0, 0.0, np.nan])
    second = np.array([2.0, 1.0, 1.0, np.nan, 0.0, -0.0, np.nan])
    step = node.open(first[:0], second[:0])
    live = np.array([step(a, b) for a, b in zip(first.tolist(), second.tolist(), strict=True)])
    batch = np.asarray(node.batch(first, second), dtype=float)
    np.testing.assert_array_equal(np.isnan(live), np.isnan(batch))
    known = ~np.isnan(live)
    assert live[known].tobytes() == batch[known].tobytes()


def test_dividing_by_zero_gives_zero_and_keeps_the_warm_up() -> None:
    node = HIGH / LOW
    with np.errstate(all="raise"):
        batch = node.batch(np.array([3.0, np.nan, 4.0]), np.array([0.0, 0.0, 2.0]))
    np.testing.assert_array_equal(batch, [0.0, np.nan, 2.0])


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2017-03-10T12:59", 0.0),  # winter: New York is 5 hours behind
        ("2017-03-10T13:00", 1.0),
        ("2017-03-13T11:59", 0.0),  # summer time since the day before
        ("2017-03-13T12:00", 1.0),
        ("2017-03-13T21:00", 0.0),
        ("2017-03-11T15:00", 0.0),  # Saturday
    ],
)
def test_the_new_york_session_follows_daylight_saving(moment: str, expected: float) -> None:
    (entry,) = select(["new_york_session"])
    stamps = np.array([at_ns("2017-03-01T00:00"), at_ns(moment)])
    (minute,) = entry.expression.inputs
    assert entry.expression.batch(minute.batch(stamps))[1] == expected
    step = minute.open(stamps[:0])
    assert entry.expression.open(stamps[:0])(step(int(stamps[1]))) == expected


def test_the_clock_reads_the_minute_of_the_week() -> None:
    node = Clock(CLOSED_AT, "minute", float)
    monday = at_ns("2024-01-01T00:00")
    stamps = np.array([monday, monday + HOUR_NS, monday - 60_000_000_000])
    (minute,) = node.inputs
    assert node.batch(minute.batch(stamps)).tolist() == [0.0, 60.0, 10079.0]


def test_memory_is_used_again_but_never_the_bars() -> None:
    bars = random_bars(1500, seed=3)
    names = ("open", "high", "low", "close", "volume", "closed_at_ns")
    before = {name: getattr(bars, name).copy() for name in names}
    alone = {f.name: compute_batch(bars, [f])[f.name] for f in CATALOGUE}
    together = compute_batch(bars, CATALOGUE)
    for name, column in before.items():
        assert np.array_equal(column, getattr(bars, name)), name
    for name, values in alone.items():
        assert np.array_equal(values, together[name], equal_nan=True), name


def test_two_features_of_one_formula_are_both_there() -> None:
    made = [Feature(name, "The close.", "test", CLOSE, Group.TREND) for name in ("one", "two")]
    found = compute_batch(random_bars(100, seed=3), made)
    assert np.array_equal(found["one"], found["two"])
    assert found["one"].dtype == np.float32
