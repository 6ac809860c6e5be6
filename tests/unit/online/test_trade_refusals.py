"""What is refused before an order is made, each with its reason, and recorded all the same."""

from __future__ import annotations

import math
from typing import Any

import pytest

from online.domain.errors import NotFound
from online.domain.market import Quote, Timeframe
from online.domain.record import (
    decode_record,
    encode_record,
)
from tests.desks import World, codes, deal
from tests.fakes import (
    BAR_NS,
    HOUR_NS,
    make_account,
    make_position,
    make_quote,
    make_reading,
)

pytestmark = pytest.mark.lean
NAN = math.nan


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"down": True}, "ACCOUNT_UNAVAILABLE"),
        ({"quote": None}, "NO_QUOTE"),
        ({"quote": make_quote(NAN)}, "CROSSED_QUOTE"),
        ({"quote": make_quote(1.1, math.inf)}, "CROSSED_QUOTE"),
        ({"quote": make_quote(at_ns=BAR_NS - 61_000_000_000)}, "STALE_QUOTE"),
        ({"quote": make_quote(1.1, 1.2)}, "SPREAD_TOO_WIDE"),
        ({"quote": Quote("GBPUSD", 1.1, 1.1001, BAR_NS)}, "NO_QUOTE"),
        ({"account": None}, "ACCOUNT_UNAVAILABLE"),
        ({"account": make_account(NAN)}, "ACCOUNT_UNAVAILABLE"),
        ({"account": make_account(currency="CHF")}, "NO_CONVERSION_RATE"),
        ({"account": make_account(100.0)}, "VOLUME_TOO_SMALL"),
        ({"positions": None}, "ACCOUNT_UNAVAILABLE"),
        ({"positions": (make_position(opened_price=NAN),)}, "ACCOUNT_UNAVAILABLE"),
    ],
)
def test_whatever_the_broker_does_not_tell_is_a_veto_and_the_record_can_be_read(
    change: dict[str, Any], expected: str
) -> None:
    world = World()
    for name, value in change.items():
        setattr(world.broker, name, value)
    outcome = world.ask()
    assert expected in codes(outcome)
    assert outcome.record.intent is None
    assert world.broker.sent == []
    assert decode_record(encode_record(outcome.record)) == outcome.record


def test_a_deal_that_is_not_finite_is_a_veto() -> None:
    world = World()
    world.broker.deals.append(deal(5, profit=NAN))
    assert "ACCOUNT_UNAVAILABLE" in codes(world.ask())


@pytest.mark.parametrize("raw", [(NAN, 0.5, 0.5), (0.9, 0.9, 0.9), (-0.1, 0.5, 0.6)])
def test_a_score_that_is_no_distribution_is_a_veto(raw: tuple[float, float, float]) -> None:
    world = World()
    world.model.probabilities = raw
    assert codes(world.ask()) == ["NON_FINITE_SCORE"]


def test_features_that_are_down_or_torn_are_not_scored() -> None:
    world = World()
    world.features.down = True
    assert codes(world.ask()) == ["FEATURES_UNAVAILABLE"]
    world.features.down = False
    world.features.reading = make_reading(stamps_ns=(BAR_NS, BAR_NS - HOUR_NS))
    assert codes(world.ask()) == ["TORN_VECTOR"]
    assert world.model.scored == []


@pytest.mark.parametrize("unit", [0.0, -0.001])
def test_a_unit_that_is_no_distance_gives_no_order(unit: float) -> None:
    world = World()
    world.features.reading = make_reading((55.0, 0.0, unit, 0.5))
    assert codes(world.ask()) == ["STOP_MISSING"]


def test_a_unit_wider_than_the_price_gives_no_order() -> None:
    world = World()
    world.features.reading = make_reading((55.0, 0.0, 5.0, 0.5))
    assert set(codes(world.ask())) <= {"STOP_MISSING", "VOLUME_TOO_SMALL"}
    assert world.broker.sent == []


def test_only_a_champion_sends_live_orders() -> None:
    world = World(live=True)
    assert codes(world.ask()) == ["MODEL_NOT_APPROVED"]
    world.model.alias = "champion"
    assert world.ask().reply is not None


@pytest.mark.parametrize(
    ("change", "code"),
    [({"symbol": "GBPUSD"}, "UNKNOWN_SYMBOL"), ({"timeframe": Timeframe.M1}, "UNKNOWN_TIMEFRAME")],
)
def test_what_the_model_does_not_trade_is_not_found(change: dict[str, Any], code: str) -> None:
    world = World()
    with pytest.raises(NotFound) as caught:
        world.ask(**change)
    assert caught.value.code == code
    assert world.journal.records == []


def test_a_model_of_an_unknown_instrument_is_not_found() -> None:
    world = World(instruments={})
    with pytest.raises(NotFound, match="EURUSD"):
        world.ask()
